"""Counters in shared memory: their places, moves that a reader sees whole, and what survives a death."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from ingestd import stats
from ingestd.memory import Memory
from ingestd.stats import (
    CERTIFICATES,
    LATENCY_BUCKETS,
    LAYOUT,
    METRICS,
    PID,
    POSITION,
    SLOT_WIDTH,
    STATE,
    VERSION,
    Board,
    Foreign,
    index,
)


def places() -> list[int]:
    """The place of every int64 of every series."""
    found: list[int] = []
    for metric in METRICS:
        if metric.kind == "histogram":
            base = index(metric.name)
            found += range(base, base + metric.width)
        else:
            found += [index(metric.name, *labels) for labels in metric.series]
    return found


def test_every_series_has_a_place_of_its_own_behind_the_heads() -> None:
    found = places()
    assert len(found) == len(set(found))
    assert min(found) == CERTIFICATES + 1
    assert max(found) < SLOT_WIDTH
    assert SLOT_WIDTH * 8 % 64 == 0, "two slots would share a cache line"


def test_names_follow_the_conventions_of_prometheus() -> None:
    for metric in METRICS:
        assert metric.name.startswith("ingestd_")
        assert metric.help.endswith(".")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert all(len(labels) == len(metric.labels) for labels in metric.series)
        if metric.kind == "histogram":
            assert metric.name.endswith("_seconds")


def test_a_series_that_is_not_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        index("ingestd_records_received_total", "json", "carrier pigeon")


def test_slots_do_not_touch_each_other() -> None:
    board = Board(3)
    for number in range(4):
        board.slot(number)[SLOT_WIDTH - 1] = number + 1
        board.slot(number)[VERSION] = 2 * number
    snapshots = board.snapshots()
    assert [values[SLOT_WIDTH - 1] for values in snapshots] == [1, 2, 3, 4]
    assert board.supervisor[SLOT_WIDTH - 1] == 4


def test_a_move_is_odd_while_it_lasts_even_if_it_fails() -> None:
    slot = Board(1).slot(0)
    with slot.moving():
        assert slot[VERSION] % 2 == 1
    with pytest.raises(ZeroDivisionError), slot.moving():
        raise ZeroDivisionError
    assert slot[VERSION] == 4


def test_a_reader_sees_moves_whole() -> None:
    board = Board(1)
    slot = board.slot(0)
    one, other = CERTIFICATES + 1, SLOT_WIDTH - 1
    done = threading.Event()

    def move() -> None:
        while not done.is_set():
            with slot.moving() as values:
                values[one] += 1
                values[other] -= 1

    writer = threading.Thread(target=move)
    writer.start()
    try:
        snapshots = [board.snapshot(0) for _ in range(300)]
    finally:
        done.set()
        writer.join()
    assert all(values[one] + values[other] == 0 for values in snapshots)


def test_a_writer_that_died_within_a_move_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "_NAP_S", 0.0)
    board = Board(1)
    slot = board.slot(0)
    slot[VERSION] = 7
    slot[STATE] = stats.READY
    assert board.snapshot(0)[STATE] == stats.READY
    slot.adopt(pid=42, now_monotonic_ns=5, now_ns=6)
    assert slot[VERSION] == 8
    assert [slot[place] for place in (stats.PID, stats.HEARTBEAT, stats.STARTED, STATE)] == [42, 5, 6, 0]


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [
        (0.0, 0),
        (0.001, 0),
        (0.0011, 1),
        (1.0, LATENCY_BUCKETS.index(1.0)),
        (30.0, len(LATENCY_BUCKETS) - 1),
        (30.1, len(LATENCY_BUCKETS)),
    ],
)
def test_an_observation_falls_into_the_first_bucket_that_holds_it(seconds: float, bucket: int) -> None:
    slot = Board(1).slot(0)
    base = index("ingestd_write_latency_seconds")
    slot.observe(base, LATENCY_BUCKETS, seconds, 3)
    counts = [slot[base + offset] for offset in range(len(LATENCY_BUCKETS) + 1)]
    assert counts == [3 * (offset == bucket) for offset in range(len(counts))]
    assert slot[base + len(counts)] == int(seconds * 1e6) * 3


def test_counters_survive_the_process_that_moved_them() -> None:
    board = Board(1)
    place = index("ingestd_udp_datagrams_total")
    pid = os.fork()
    if pid == 0:
        board.slot(0).add(place, 17)
        os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    assert board.snapshot(0)[place] == 17


def test_a_slot_that_is_given_out_again_keeps_its_counters_and_nothing_else() -> None:
    slot = Board(1).slot(0)
    datagrams, open_, in_flight = (
        index("ingestd_udp_datagrams_total"),
        index("ingestd_connections_open"),
        index("ingestd_records_in_flight", "json", "tcp"),
    )
    slot.assign(3)
    slot.adopt(pid=42, now_monotonic_ns=5, now_ns=6)
    for place in (datagrams, open_, in_flight):
        slot[place] = 7
    slot.release()
    assert [slot[place] for place in (PID, POSITION, open_)] == [0, 0, 0]
    slot.assign(1)
    assert [slot[place] for place in (POSITION, datagrams, in_flight)] == [2, 7, 7]


def test_every_cell_has_a_name() -> None:
    assert set(LAYOUT.values()) == {*range(1, CERTIFICATES + 1), *places()}
    assert len(LAYOUT) == len(set(LAYOUT.values()))


def test_counters_of_another_version_are_carried_over_by_name() -> None:
    """There the slots are narrower, the order is another, and some names are unknown here."""
    datagrams = index("ingestd_udp_datagrams_total")
    names = ["gone|x", "ingestd_udp_datagrams_total", "heartbeat", "pid", "position", "le"]
    layout = {name: place for place, name in enumerate(names, 1)}
    memory = Memory("test", 3 * 8 * 8)
    words = memory.words()
    words[8 + layout["ingestd_udp_datagrams_total"]] = 17
    words[8 + layout["pid"]] = 42
    foreign = Foreign(memory, 2, 8, layout)
    slot = Board(4).slot(1)
    slot[index("ingestd_queue_bytes")] = 3
    foreign.transcribe(1, slot)
    assert (slot[datagrams], slot[PID], slot[index("ingestd_queue_bytes")]) == (17, 42, 3)
    foreign.beat(99)
    assert words[16 + layout["heartbeat"]] == 99
