"""The accounting law, at every step: received = written + rejected + dropped + in flight.

A worker's death is played by the image of its folder at that moment and a ledger that never heard its last messages.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from formats.record import REASONS, Encoded, Reject
from ingestd.accounting import Ledger
from ingestd.stats import DROP_REASONS, LAYOUT, Board, Slot, index
from ingestd.store.batch import Commit, Durable, Event, Freed, Lost, Recovery
from ingestd.store.writer import SegmentWriter
from tests.daemon import wait_for
from tests.fakes import KeepingListener, batch, records, segments, seqs
from tests.store.conftest import settings

SOURCES = [(format_, transport) for format_ in ("json", "raw") for transport in ("tcp", "udp")]


@pytest.fixture
def slot() -> Slot:
    return Board(1).slot(0)


def value(slot: Slot, family: str, *labels: str) -> int:
    return slot[index(f"ingestd_records_{family}", *labels)]


def side(slot: Slot, name: str, source: tuple[str, str]) -> int:
    """The records of a source on one side of the law."""
    match name:
        case "rejected":
            return sum(value(slot, "rejected_total", *source, reason) for reason in REASONS)
        case "dropped":
            return sum(value(slot, "dropped_total", *source, reason) for reason in DROP_REASONS)
        case "in_flight":
            return value(slot, "in_flight", *source)
        case _:
            return value(slot, f"{name}_total", *source)


def sides(slot: Slot, format_: str = "json", transport: str = "tcp") -> dict[str, int]:
    """The sides that are not zero."""
    names = ("received", "written", "rejected", "dropped", "in_flight")
    values = {name: side(slot, name, (format_, transport)) for name in names}
    return {name: number for name, number in values.items() if number}


def observed(slot: Slot, histogram: str) -> tuple[dict[str, int], int]:
    """The observations by the bounds of their buckets, where there are any, and the sum in microseconds."""
    cells = {
        name.removeprefix(f"{histogram}|"): slot[place] for name, place in LAYOUT.items() if histogram in name
    }
    sum_us = cells.pop("sum")
    return {bound: observations for bound, observations in cells.items() if observations}, sum_us


def check_law(slot: Slot) -> None:
    for source in SOURCES:
        received, *others = (
            side(slot, name, source) for name in ("received", "written", "rejected", "dropped", "in_flight")
        )
        assert received == sum(others), source
        assert all(number >= 0 for number in others), source


class Watch:
    """Looks that the law holds and that no counter went back since the last look."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._before = self._counters()

    def _counters(self) -> list[int]:
        names = ("received", "written", "rejected", "dropped")
        return [side(self._slot, name, source) for source in SOURCES for name in names]

    def look(self) -> None:
        check_law(self._slot)
        now = self._counters()
        assert all(after >= before for before, after in zip(self._before, now, strict=True))
        self._before = now


def ledger(slot: Slot) -> Ledger:
    return Ledger(slot, freed=lambda _: None)


def refused(encoded: Encoded, *reasons: str) -> Encoded:
    """The block with some refused records beside the good ones."""
    encoded.rejects = [Reject(reason, b"x", "") for reason in reasons]
    return encoded


def test_a_block_is_received_and_in_flight_and_its_bad_records_are_rejected(slot: Slot) -> None:
    ledger(slot).received(refused(records(0, 3), "invalid_json", "invalid_json", "oversize"), "tcp")
    assert sides(slot) == {"received": 6, "rejected": 3, "in_flight": 3}
    assert value(slot, "rejected_total", "json", "tcp", "invalid_json") == 2
    assert value(slot, "rejected_total", "json", "tcp", "oversize") == 1
    check_law(slot)


def test_refused_and_dropped_records_were_received(slot: Slot) -> None:
    books = ledger(slot)
    books.refused("raw", "tcp", "truncated", 2)
    books.dropped("json", "udp", "backpressure", 5)
    assert sides(slot, "raw", "tcp") == {"received": 2, "rejected": 2}
    assert sides(slot, "json", "udp") == {"received": 5, "dropped": 5}
    check_law(slot)


def test_a_commit_moves_records_to_written(slot: Slot) -> None:
    books = ledger(slot)
    books.received(records(0, 5), "tcp")
    books.received(records(0, 2, format_="raw"), "udp")
    done = [Durable("json", "tcp", 5, 0), Durable("raw", "udp", 2, 500_000_000)]
    books.message(
        Commit(done, frames=1, lines_bytes=700, written_bytes=90, sync_ns=4_000_000, done_ns=1_000_000_000)
    )
    assert sides(slot) == {"received": 5, "written": 5}
    assert sides(slot, "raw", "udp") == {"received": 2, "written": 2}
    assert books.counted_frames == 1
    assert slot[index("ingestd_encoded_bytes_total")] == 700
    assert slot[index("ingestd_written_bytes_total")] == 90
    assert observed(slot, "ingestd_sync_duration_seconds") == ({"0.005": 1}, 4_000)
    check_law(slot)


def test_the_latency_has_one_observation_per_record(slot: Slot) -> None:
    books = ledger(slot)
    books.received(records(0, 4), "tcp")
    done = [Durable("json", "tcp", 3, 0), Durable("json", "tcp", 1, 999_000_000)]
    books.message(Commit(done, 1, 1, 1, sync_ns=1, done_ns=1_000_000_000))
    assert observed(slot, "ingestd_write_latency_seconds") == ({"1.0": 3, "0.001": 1}, 3_001_000)


def test_how_long_a_sync_took_has_one_observation_per_sync(slot: Slot) -> None:
    books = ledger(slot)
    books.received(records(0, 4), "tcp")
    for sync_ns, records_of_it in ((4_000_000, 3), (600_000_000, 1)):
        done = [Durable("json", "tcp", records_of_it, 0)]
        books.message(Commit(done, 1, 1, 1, sync_ns=sync_ns, done_ns=1_000_000_000))
    assert observed(slot, "ingestd_sync_duration_seconds") == ({"0.005": 1, "1.0": 1}, 604_000)


def test_lost_records_are_dropped(slot: Slot) -> None:
    books = ledger(slot)
    books.received(records(0, 5), "tcp")
    books.message(Lost([Durable("json", "tcp", 5, 0)]))
    assert value(slot, "dropped_total", "json", "tcp", "write_error") == 5
    assert sides(slot) == {"received": 5, "dropped": 5}


def test_freed_bytes_and_events_are_passed_on(slot: Slot) -> None:
    freed: list[int] = []
    books = Ledger(slot, freed.append)
    books.message(Freed(123))
    books.message(Event("ingestd_write_errors_total", "open"))
    books.message(Event("ingestd_rejects_skipped_total", "", 7))
    assert freed == [123]
    assert slot[index("ingestd_write_errors_total", "open")] == 1
    assert slot[index("ingestd_rejects_skipped_total")] == 7


def test_a_recovery_without_orphans_counts_files_alone(slot: Slot) -> None:
    ledger(slot).message(
        Recovery(segments=2, torn_bytes=99, frames=0, sources={}, lines_bytes=0, written_bytes=0)
    )
    assert slot[index("ingestd_segments_recovered_total")] == 2
    assert slot[index("ingestd_segment_torn_bytes_total")] == 99
    check_law(slot)


@pytest.mark.parametrize(
    ("found", "written", "dropped"),
    [({}, 0, 8), ({"json/tcp": 5}, 5, 3), ({"json/tcp": 8, "raw/udp": 4}, 8, 0)],
)
def test_orphans_are_written_as_far_as_they_are_on_disk(
    slot: Slot, found: dict[str, int], written: int, dropped: int
) -> None:
    ledger(slot).received(records(0, 8), "tcp")
    watch = Watch(slot)
    successor = ledger(slot)
    watch.look()
    successor.received(records(8, 2), "tcp")  # before it has heard what recovery found
    watch.look()
    successor.message(Recovery(1, 0, len(found), found, 10, 10))
    watch.look()
    assert sides(slot)["in_flight"] == 2
    assert sides(slot).get("written", 0) == written
    assert value(slot, "dropped_total", "json", "tcp", "worker_crash") == dropped
    successor.message(Recovery(0, 0, 0, {}, 0, 0))
    assert sides(slot)["in_flight"] == 2, "orphans are settled once"


@pytest.mark.parametrize("moved", ["received_total", "in_flight"])
def test_what_a_death_left_half_counted_is_counted(slot: Slot, moved: str) -> None:
    ledger(slot).received(records(0, 3), "tcp")
    slot[index(f"ingestd_records_{moved}", "json", "tcp")] += 2 if moved == "received_total" else -1
    successor = ledger(slot)
    check_law(slot)
    successor.message(Recovery(0, 0, 0, {}, 0, 0))
    check_law(slot)
    assert "in_flight" not in sides(slot)


class Life:
    """One worker's life: a ledger on the slot, and a writer whose messages it hears when told to."""

    def __init__(self, slot: Slot, folder: Path) -> None:
        self.books = ledger(slot)
        self.told = KeepingListener()
        self._heard = 0
        given = settings(folder)
        mine = given.mine._replace(counted_frames=self.books.counted_frames)
        self.writer = SegmentWriter(given._replace(mine=mine), self.told)
        self.writer.start()

    def take(self, encoded: Encoded, transport: str = "tcp") -> None:
        """As the pipeline does: count, queue."""
        self.books.received(encoded, transport)
        self.writer.append(batch(encoded, transport))

    def commit(self) -> None:
        """Put all on disk; nobody hears of it yet."""
        before = len(self.told.of(Commit))
        self.writer.flush()
        wait_for(lambda: len(self.told.of(Commit)) > before, "a commit")

    def hear(self) -> None:
        """Let the ledger hear what the writer has told so far."""
        for message in tuple(self.told.messages)[self._heard :]:
            self.books.message(message)
            self._heard += 1


@pytest.fixture
def lives() -> Iterator[list[Life]]:
    lives: list[Life] = []
    yield lives
    for life in lives:
        life.writer.close(0)


def test_a_writer_that_committed_and_a_loop_that_never_heard(
    slot: Slot, tmp_path: Path, lives: list[Life]
) -> None:
    watch = Watch(slot)
    (tmp_path / "0").mkdir()
    first = Life(slot, tmp_path / "0")
    lives.append(first)
    first.take(records(0, 10))
    first.take(refused(records(10, 5, format_="raw"), "invalid_utf8"), "udp")
    first.commit()
    first.hear()
    watch.look()
    assert first.books.counted_frames == 1

    first.take(records(15, 7))
    first.commit()
    first.take(records(22, 3), "udp")
    first.commit()  # two frames on disk that no ledger heard of
    first.take(records(25, 4))  # and records that are nowhere but in memory
    watch.look()
    assert sides(slot) == {"received": 21, "written": 10, "in_flight": 11}

    shutil.copytree(tmp_path / "0", tmp_path / "1")  # the worker dies at this moment
    second = Life(slot, tmp_path / "1")
    lives.append(second)
    second.take(records(29, 2))
    watch.look()
    second.commit()
    second.hear()
    watch.look()
    assert sides(slot) == {"received": 23, "written": 19, "dropped": 4}
    assert sides(slot, "json", "udp") == {"received": 3, "written": 3}
    assert sides(slot, "raw", "udp") == {"received": 6, "written": 5, "rejected": 1}
    assert value(slot, "dropped_total", "json", "tcp", "worker_crash") == 4
    assert second.books.counted_frames == 4, "the numbers go on behind those found on disk"
    assert seqs(*segments(tmp_path / "1")) == [*range(25), 29, 30]

    second.take(records(31, 1))
    second.commit()  # not heard either
    shutil.copytree(tmp_path / "1", tmp_path / "2")
    third = Life(slot, tmp_path / "2")
    lives.append(third)
    third.writer.close(10)
    third.hear()
    watch.look()
    assert sides(slot) == {"received": 24, "written": 20, "dropped": 4}
    assert third.books.counted_frames == 5
    assert slot[index("ingestd_segments_recovered_total")] == 2
    on_disk = seqs(*segments(tmp_path / "2"))
    written = sum(side(slot, "written", source) for source in SOURCES)
    assert len(on_disk) == len(set(on_disk)) == written
    assert slot[index("ingestd_frames_written_total")] == 5


def test_a_death_before_recovery_was_heard_settles_later(
    slot: Slot, tmp_path: Path, lives: list[Life]
) -> None:
    watch = Watch(slot)
    folder = tmp_path / "0"
    folder.mkdir()
    first = Life(slot, folder)
    lives.append(first)
    first.take(records(0, 6))
    first.commit()
    shutil.copytree(folder, tmp_path / "1")
    second = Life(slot, tmp_path / "1")
    lives.append(second)
    second.writer.close(10)  # it recovered the file and died before it told
    watch.look()
    third = Life(slot, tmp_path / "1")
    lives.append(third)
    third.writer.close(10)
    third.hear()
    watch.look()
    assert sides(slot) == {"received": 6, "written": 6}
    assert third.books.counted_frames == 1
