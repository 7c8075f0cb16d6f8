"""The gate: closes above the high-water mark, opens at the low one, and flutters in between never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.net.backpressure import Gate
from ingestd.stats import Board, Slot, index

HIGH, LOW = 100, 40


class KeepingReader:
    """Keeps what it was told; may do something of its own at that."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pause(self) -> None:
        self.told.append("pause")

    def halt(self) -> None:
        self.told.append("halt")

    def resume(self) -> None:
        self.told.append("resume")


@pytest.fixture
def slot() -> Slot:
    return Board(1).slot(0)


@pytest.fixture
def gate(slot: Slot) -> Gate:
    return Gate(HIGH, LOW, slot)


def test_it_closes_above_high_and_opens_at_low(gate: Gate, slot: Slot) -> None:
    reader = KeepingReader()
    gate.register(reader)
    stands = []
    for change in (HIGH, 1, LOW - HIGH, 50, -50, -1):
        if change > 0:
            gate.add(change)
        else:
            gate.free(-change)
        stands.append("closed" if gate.closed else "open")
    assert stands == ["open", "closed", "closed", "closed", "closed", "open"]
    assert reader.told == ["pause", "resume"]
    assert slot[index("ingestd_backpressure_pauses_total")] == 1


def test_the_queue_is_shown(gate: Gate, slot: Slot) -> None:
    gate.add(70)
    gate.free(30)
    assert slot[index("ingestd_queue_bytes")] == 40


def test_a_new_gate_shows_an_empty_queue(slot: Slot) -> None:
    slot[index("ingestd_queue_bytes")] = 12345  # what a dead worker left
    Gate(HIGH, LOW, slot)
    assert slot[index("ingestd_queue_bytes")] == 0


def test_a_reader_that_comes_while_closed_is_paused_at_once(gate: Gate) -> None:
    gate.add(HIGH + 1)
    reader = KeepingReader()
    gate.register(reader)
    assert reader.told == ["pause"]
    gate.free(HIGH + 1)
    assert reader.told == ["pause", "resume"]


def test_a_reader_that_was_forgotten_hears_nothing(gate: Gate) -> None:
    reader = KeepingReader()
    gate.register(reader)
    gate.forget(reader)
    gate.forget(reader)  # a second time is no error
    gate.add(HIGH + 1)
    gate.free(HIGH + 1)
    assert reader.told == []


def test_who_was_spared_is_halted_when_it_was_too_much(gate: Gate) -> None:
    reader = KeepingReader()
    gate.register(reader)
    gate.add(HIGH + 1)
    gate.add(HIGH // 4 - 1)
    assert reader.told == ["pause"]
    gate.add(1)
    gate.add(1)
    late = KeepingReader()
    gate.register(late)
    assert reader.told == late.told == ["pause", "halt"]
    gate.free(HIGH)
    assert reader.told == late.told == ["pause", "halt", "resume"]


def test_readers_may_leave_when_they_are_told(gate: Gate) -> None:
    class Leaving(KeepingReader):
        def pause(self) -> None:
            super().pause()
            gate.forget(self)

        def resume(self) -> None:
            super().resume()
            gate.forget(self)

    readers = [Leaving() for _ in range(5)]
    for reader in readers:
        gate.register(reader)
    gate.add(HIGH + 1)
    assert [reader.told for reader in readers] == [["pause"]] * 5
    late = [Leaving() for _ in range(5)]
    for reader in late:
        gate.register(reader)  # paused, and gone again at once
    gate.free(HIGH + 1)
    assert [reader.told for reader in late] == [["pause"]] * 5


@given(st.lists(st.integers(1, 80)))
def test_readers_are_told_in_turn_and_as_the_gate_stands(amounts: list[int]) -> None:
    gate = Gate(HIGH, LOW, Board(1).slot(0))
    reader = KeepingReader()
    gate.register(reader)
    waiting = 0
    for amount in amounts:
        if gate.closed:
            gate.free(min(amount, waiting))
            waiting -= min(amount, waiting)
        else:
            gate.add(amount)
            waiting += amount
        assert waiting <= HIGH + 80
        assert gate.closed == (reader.told[-1:] in (["pause"], ["halt"]))
    told = [word for word in reader.told if word != "halt"]
    assert told == ["pause", "resume"] * (len(told) // 2) + ["pause"] * (len(told) % 2)
