"""The pace: pieces as large as a turn allows, learnt from a clock that only the work moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.pace import FIRST_BYTES, MAX_BYTES, MIN_BYTES, TURN_S, Pace
from tests.fakes import ManualClock


class Work:
    """Takes so long for each byte, and keeps what it was given."""

    def __init__(self, s_per_byte: float) -> None:
        self.clock = ManualClock()
        self.s_per_byte = s_per_byte
        self.pieces: list[bytes] = []

    def __call__(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.clock.now_s += len(piece) * self.s_per_byte

    def do(self, pace: Pace, data: bytes) -> list[int]:
        """The sizes of the pieces that `data` is worked on in."""
        before = len(self.pieces)
        steps = sum(1 for _ in pace.steps(data, self))
        sizes = [len(piece) for piece in self.pieces[before:]]
        assert steps == len(sizes) - 1
        return sizes


CHEAP_S = 1e-9
DEAR_S = 1e-6
READ = bytes(MAX_BYTES)


def test_cheap_input_is_taken_whole_after_the_first_read() -> None:
    work = Work(CHEAP_S)
    pace = Pace(work.clock)
    assert work.do(pace, READ)[0] == FIRST_BYTES
    assert work.do(pace, READ) == [MAX_BYTES]
    assert work.pieces[-1] is READ  # not even copied


def test_dear_input_is_taken_in_turns() -> None:
    work = Work(DEAR_S)
    pace = Pace(work.clock)
    work.do(pace, READ)
    for size in work.do(pace, READ):
        assert size <= TURN_S / DEAR_S


def test_a_change_for_the_worse_is_noticed_at_once() -> None:
    work = Work(CHEAP_S)
    pace = Pace(work.clock)
    work.do(pace, READ)
    work.s_per_byte = DEAR_S
    assert work.do(pace, READ) == [MAX_BYTES]
    assert max(work.do(pace, READ)) <= TURN_S / DEAR_S
    work.s_per_byte = CHEAP_S
    for _ in range(3):
        work.do(pace, READ)
    assert work.do(pace, READ) == [MAX_BYTES]


def test_it_never_becomes_less_than_the_least() -> None:
    work = Work(1.0)
    assert set(work.do(Pace(work.clock), READ)[1:]) == {MIN_BYTES}


def test_small_reads_are_done_whole_and_not_timed() -> None:
    def clock() -> float:
        raise AssertionError("a small read looked at the clock")

    work = Work(1.0)
    pace = Pace(clock)
    assert work.do(pace, bytes(MIN_BYTES)) == [MIN_BYTES]
    assert work.do(pace, b"") == [0]


def test_what_is_left_is_told() -> None:
    work = Work(CHEAP_S)
    pace = Pace(work.clock)
    steps = pace.steps(READ, work)
    next(steps)
    assert pace.left_bytes == MAX_BYTES - FIRST_BYTES
    list(steps)
    assert pace.left_bytes == 0


def test_an_error_of_the_work_is_the_callers() -> None:
    def fail(_: bytes) -> None:
        raise ValueError

    with pytest.raises(ValueError):
        list(Pace().steps(READ, fail))


@given(st.lists(st.tuples(st.integers(0, 2 * MAX_BYTES), st.sampled_from([CHEAP_S, 1e-7, DEAR_S, 1.0]))))
def test_the_pieces_are_the_input(reads: list[tuple[int, float]]) -> None:
    work = Work(CHEAP_S)
    pace = Pace(work.clock)
    for number, (size, work.s_per_byte) in enumerate(reads):
        data = bytes([number % 256]) * size
        before = len(work.pieces)
        work.do(pace, data)
        assert b"".join(work.pieces[before:]) == data
        assert MIN_BYTES <= pace.size_bytes <= MAX_BYTES
