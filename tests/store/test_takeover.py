"""Taking over: what dead writers left is closed and counted once; what fails is tried again, beside new batches."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ingestd.store import disk
from ingestd.store.batch import Recovery
from ingestd.store.folder import Folder
from ingestd.store.segment import HEADER
from ingestd.store.takeover import Mine, TakeOver, leftovers, newest_closed, strays
from tests.fakes import FaultyOs, KeepingListener, batch, records, segments, seqs
from tests.store.conftest import StartWriter
from tests.store.made import BAD, CLOSED, OPEN, STEM, frames, state


def taken_over(
    folder: Path, worker: int, strays: Mapping[str, int], instance: str, counted_frames: int
) -> tuple[Recovery, int]:
    return TakeOver(Folder.at(folder), Mine(worker, strays, instance, counted_frames)).begin()


def test_what_a_writer_left_is_recovered_whole(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path)
    for first in range(0, 30, 3):
        writer.append(batch(records(first, 3)))
        writer.flush()
    heard.wait_durable(30)
    image = tmp_path / "image"
    image.mkdir()
    (path,) = segments(tmp_path)
    (image / path.name).write_bytes(path.read_bytes() + b"\x5e\x2a\x4d\x18torn")
    found, failures = taken_over(image, 0, {}, "run-2", 0)
    assert (found, failures) == (Recovery(1, 8, 0, {}, 0, 0), 0)
    assert seqs(*image.glob("*.zst")) == list(range(30))


def test_a_second_recovery_changes_nothing(tmp_path: Path) -> None:
    good, torn = frames(2)
    (tmp_path / OPEN).write_bytes(good + torn[:-1])
    (tmp_path / "log_0_20261120_120001.jsonl.zst.open").write_bytes(b"garbage")
    (tmp_path / "log_0_20261120_120002.jsonl.zst.open").touch()
    first, _ = taken_over(tmp_path, 0, {}, "run-2", 0)
    assert (first.segments, first.torn_bytes) == (1, len(torn) - 1 + len(b"garbage"))
    before = state(tmp_path)
    assert before.keys() == {CLOSED, BAD, "log_0_20261120_120001.jsonl.zst.bad"}
    second, failures = taken_over(tmp_path, 0, {}, "run-2", 0)
    assert (second, failures) == (Recovery(0, 0, 0, {}, 0, 0), 0)
    assert state(tmp_path) == before


@pytest.mark.parametrize(
    ("worker", "workers", "taken"),
    [(0, 1, [0, 1, 2, 10]), (0, 2, [0, 2, 10]), (1, 2, [1]), (0, 3, [0]), (1, 3, [1, 10]), (2, 3, [2])],
)
def test_files_of_numbers_beyond_todays_workers_are_shared_out(
    tmp_path: Path, worker: int, workers: int, taken: list[int]
) -> None:
    for number in (0, 1, 2, 10):
        (tmp_path / f"log_{number}_20261120_120000.jsonl.zst.open").touch()
    mine = leftovers(tmp_path, worker, strays(tmp_path, workers))
    assert {path.name.split("_")[1] for path in mine} == set(map(str, taken))


def test_files_of_a_number_that_is_given_out_later_are_no_strays(tmp_path: Path) -> None:
    (tmp_path / "log_3_20261120_120000.jsonl.zst.open").touch()
    left_by_the_last_run = strays(tmp_path, 2)
    (tmp_path / "log_3_20261120_120001.jsonl.zst.open").touch()  # by a worker that is number 3 now
    older, newer = sorted(tmp_path.iterdir())
    assert leftovers(tmp_path, 1, left_by_the_last_run) == [older]
    assert leftovers(tmp_path, 3, left_by_the_last_run) == [newer]


@pytest.mark.parametrize(
    "name",
    [
        "log_.jsonl.zst.open",
        "log_x_20261120_120000.jsonl.zst.open",
        "log_-1_20261120_120000.jsonl.zst.open",
        "log_²_20261120_120000.jsonl.zst.open",
        "other_0_20261120_120000.jsonl.zst.open",
        "log_0_20261120_120000.jsonl.zst.open.swp",
        "rejects_0.jsonl.zst",
    ],
)
def test_foreign_files_are_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not ours")
    before = state(tmp_path)
    assert taken_over(tmp_path, 0, {}, "run-1", 0) == (Recovery(0, 0, 0, {}, 0, 0), 0)
    assert state(tmp_path) == before


def test_one_file_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / OPEN).mkdir()
    (tmp_path / "log_0_20261120_110000.jsonl.zst").mkdir()
    (tmp_path / "log_0_20261120_120001.jsonl.zst.open").write_bytes(frames(1)[0])
    found, failures = taken_over(tmp_path, 0, {}, "run-1", 0)
    assert failures == 1
    assert (found.segments, found.frames, found.sources) == (1, 1, {"json/tcp": 1})


def test_the_frames_nobody_counted_are_found_across_segments(tmp_path: Path) -> None:
    made = frames(6)
    for number, part in enumerate((made[:2], made[2:3], made[3:5])):
        (tmp_path / f"log_0_20261120_12000{number}.jsonl.zst").write_bytes(b"".join(part))
    (tmp_path / "log_0_20261120_120009.jsonl.zst.open").write_bytes(made[5] + b"torn")
    found, _ = taken_over(tmp_path, 0, {}, "run-1", counted_frames=2)
    assert (found.segments, found.torn_bytes, found.frames) == (1, 4, 4)
    assert found.sources == {"json/tcp": 4}
    datas = [frame[HEADER.size + HEADER.unpack_from(frame)[1] :] for frame in made[2:]]
    assert found.written_bytes == sum(map(len, datas))
    assert found.lines_bytes == sum(records(seq, 1).nbytes for seq in range(3, 7))


def test_counted_frames_of_other_runs_and_workers_are_not_found(tmp_path: Path) -> None:
    (tmp_path / "log_0_20261120_120000.jsonl.zst.open").write_bytes(b"".join(frames(3, instance="run-0")))
    (tmp_path / "log_2_20261120_120000.jsonl.zst.open").write_bytes(b"".join(frames(3, worker=2)))
    (tmp_path / "log_0_20261120_120001.jsonl.zst.open").write_bytes(b"".join(frames(3)))
    found, _ = taken_over(tmp_path, 0, strays(tmp_path, 2), "run-1", counted_frames=3)
    assert (found.segments, found.frames, found.sources) == (3, 0, {})


def test_a_frame_that_is_there_twice_is_counted_once(tmp_path: Path) -> None:
    made = frames(3)
    (tmp_path / "log_0_20261120_120000.jsonl.zst.open").write_bytes(b"".join(made[:2]))
    (tmp_path / "log_0_20261120_120001.jsonl.zst").write_bytes(b"".join(made[1:]))
    found, _ = taken_over(tmp_path, 0, {}, "run-1", 0)
    assert (found.frames, found.sources) == (3, {"json/tcp": 3})


def test_a_torn_file_of_an_older_run_does_not_hide_the_uncounted_ones(tmp_path: Path) -> None:
    """It is cut just now, so it is the newest by its time; ours were closed before."""
    (tmp_path / "log_0_20261120_120001.jsonl.zst").write_bytes(b"".join(frames(2)))
    os.utime(tmp_path / "log_0_20261120_120001.jsonl.zst", (1, 1))
    (tmp_path / OPEN).write_bytes(frames(1, instance="run-0")[0] + b"torn")
    found, _ = taken_over(tmp_path, 0, {}, "run-1", 0)
    assert found.frames == 2


@pytest.mark.parametrize(("call", "found"), [("fsync", 0), ("pwrite", 0), ("unlink", 2), ("ftruncate", 2)])
def test_a_file_that_fails_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, found: int
) -> None:
    """What could be read and synced is decided, whether or not the file can be closed; nothing else is."""
    (tmp_path / OPEN).write_bytes(b"".join(frames(2)) + b"torn")
    (tmp_path / f"{STEM}.9.cut").touch()
    if call != "unlink":
        (tmp_path / f"{STEM}.9.cut").unlink()
        found_frames = 2
    else:
        found_frames = found = 0  # nothing within the first nine bytes is a frame
    faulty = FaultyOs()
    faulty.errors[call] = errno.EIO
    taking = TakeOver(Folder.at(tmp_path), Mine(0, {}, "run-1", 0))
    with monkeypatch.context() as patched:
        patched.setattr(disk, "os", faulty)
        first, failures = taking.begin()
        assert (failures, first.segments, first.frames) == (1, 0, found)
        assert first.complete == (call not in ("fsync", "pwrite"))
        assert taking.again() == (None, 1)
    second, failures = taking.again()
    assert second is not None
    assert (failures, second.complete, taking.pending) == (0, True, False)
    assert second.sources == ({"json/tcp": found_frames} if found_frames > found else {})
    assert (tmp_path / CLOSED).exists() == bool(found_frames)


def test_newest_closed_goes_by_time_then_by_number(tmp_path: Path) -> None:
    for name, seconds in ((f"{STEM}_2", 5), (f"{STEM}_10", 5), (STEM, 5), ("log_0_20261120_130000", 4)):
        path = tmp_path / f"{name}.jsonl.zst"
        path.touch()
        os.utime(path, (seconds, seconds))
    (tmp_path / "log_1_20261120_120000.jsonl.zst").touch()
    (tmp_path / OPEN).touch()
    found = [path.name.removesuffix(".jsonl.zst") for path in newest_closed(tmp_path, 0)]
    assert found == [f"{STEM}_10", f"{STEM}_2", STEM, "log_0_20261120_130000"]


def test_a_closed_segment_that_retention_takes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / CLOSED).symlink_to(tmp_path / "gone")
    assert list(newest_closed(tmp_path, 0)) == []
