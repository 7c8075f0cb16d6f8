"""The writer on a disk that fails: nothing lost, nothing doubled, bounded memory, and it goes on by itself.

A file system of 1 MiB that fills is the real thing and needs root; what no file system does on demand (an EIO from
a sync, short writes) is done by `FaultyOs` in the place of the segment module's `os`.
"""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestd.store import disk
from ingestd.store import writer as writer_module
from ingestd.store.batch import Failing, Freed, Recovery, Rejected
from tests.daemon import PATIENCE_S, wait_for
from tests.fakes import FaultyOs, KeepingListener, batch, records, segments, seqs
from tests.store.conftest import StartWriter
from tests.store.made import OPEN, frames

WRITE_ERRORS = "ingestd_write_errors_total"
ROTATIONS = "ingestd_segment_rotations_total"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "RETRY_S", 0.01)


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> FaultyOs:
    faulty = FaultyOs()
    monkeypatch.setattr(disk, "os", faulty)
    return faulty


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def wait_failing(heard: KeepingListener, operation: str, times: int = 3) -> None:
    before = heard.events(WRITE_ERRORS)[operation]
    wait_for(lambda: heard.events(WRITE_ERRORS)[operation] >= before + times, f"failing {operation}s")


def no_litter(folder: Path) -> bool:
    """Whether there are only closed segments with something in them."""
    return all(path.name.endswith(".jsonl.zst") and path.stat().st_size for path in folder.iterdir())


def test_a_disk_that_fills_and_is_emptied(
    small_disk: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    taken_away: list[int] = []
    writer = start_writer(small_disk, flush_interval_s=0.01, max_bytes=300_000)
    appended = 0
    for _ in range(4):
        full = heard.events(WRITE_ERRORS)
        while heard.events(WRITE_ERRORS) == full:
            writer.append(batch(records(appended, 5, padding_bytes=20_000)))
            appended += 5
            writer.flush()
            time.sleep(0.001)  # so that not all of it is queued before the first failure
        for path in segments(small_disk):
            if path.suffix == ".zst":
                taken_away += seqs(path)
                path.unlink()
        heard.wait_durable(appended)
    writer.close(PATIENCE_S)
    assert sorted(taken_away + seqs(*segments(small_disk))) == list(range(appended))
    assert heard.durable() == appended
    assert heard.lost() == 0
    assert no_litter(small_disk)


def test_a_disk_that_is_full_from_the_start(
    small_disk: Path, heard: KeepingListener, start_writer: StartWriter, caplog: pytest.LogCaptureFixture
) -> None:
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    writer = start_writer(small_disk)
    writer.append(batch(records(0, 3)))
    writer.flush()
    wait_for(lambda: heard.events(WRITE_ERRORS).total() >= 5, "failing writes")
    assert segments(small_disk) == [], "tries that failed leave no files"
    said = [record.message for record in caplog.records if "free some space" in record.message]
    assert len(said) == 1, "a failing disk is told once, not once a try"
    filler.unlink()
    heard.wait_durable(3)
    writer.close(PATIENCE_S)
    assert seqs(*segments(small_disk)) == [0, 1, 2]
    assert no_litter(small_disk)
    assert "can be written again" in caplog.text


def test_a_sync_that_fails_is_never_told_as_on_disk(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter, faulty: FaultyOs
) -> None:
    writer = start_writer(tmp_path)
    writer.append(batch(records(0, 2)))
    writer.flush()
    heard.wait_durable(2)
    faulty.errors["fdatasync"] = errno.EIO
    writer.append(batch(records(2, 2)))
    writer.flush()
    wait_failing(heard, "write")
    assert heard.durable() == 2
    first = segments(tmp_path)[0]
    assert first.suffix == ".zst", "what was synced before is closed"
    assert seqs(first) == [0, 1]
    del faulty.errors["fdatasync"]
    heard.wait_durable(4)
    writer.close(PATIENCE_S)
    assert seqs(*segments(tmp_path)) == [0, 1, 2, 3]
    assert heard.events(ROTATIONS) == {"error": 1, "shutdown": 1}
    assert no_litter(tmp_path)


@pytest.mark.parametrize("operation", ["pwrite", "fdatasync"])
def test_while_the_disk_fails_the_queue_fills_and_not_the_writer(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter, faulty: FaultyOs, operation: str
) -> None:
    faulty.errors[operation] = errno.EIO
    writer = start_writer(tmp_path, flush_interval_s=0.01)
    first = records(0, 1)
    writer.append(batch(first))
    writer.flush()
    wait_failing(heard, "write")
    for seq in range(1, 20):
        writer.append(batch(records(seq, 1, padding_bytes=1 << 20)))
    wait_failing(heard, "write")
    assert heard.of(Freed) == [Freed(first.nbytes)], "only what the failing commit holds has left the queue"
    del faulty.errors[operation]
    heard.wait_durable(20)
    writer.close(PATIENCE_S)
    assert seqs(*segments(tmp_path)) == list(range(20))


def test_rejects_are_bounded_while_the_disk_fails(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter, faulty: FaultyOs
) -> None:
    faulty.errors["pwrite"] = errno.EIO
    writer = start_writer(tmp_path)
    writer.append(batch(records(0, 1)))
    writer.flush()
    wait_failing(heard, "write")
    refused = Rejected(
        "invalid_json", "", bytes(1 << 20), "json", "tcp", "::1", "2026-11-20T12:00:00.000000Z"
    )
    for _ in range(10):
        writer.reject([refused])
    assert heard.events("ingestd_rejects_skipped_total")[""] >= 6
    del faulty.errors["pwrite"]
    writer.close(PATIENCE_S)
    assert heard.durable() == 1


def test_short_writes(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter, faulty: FaultyOs
) -> None:
    faulty.write_limit = 100
    writer = start_writer(tmp_path, max_bytes=5_000)
    for seq in range(30):
        writer.append(batch(records(seq, 1, padding_bytes=1_000)))
        writer.flush()
    writer.close(PATIENCE_S)
    assert seqs(*segments(tmp_path)) == list(range(30))
    assert heard.events(WRITE_ERRORS) == {}


def test_a_segment_that_cannot_be_cut_is_marked_and_left(
    tmp_path: Path,
    heard: KeepingListener,
    start_writer: StartWriter,
    faulty: FaultyOs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer_module, "LEFT_RETRY_S", 0.01)
    writer = start_writer(tmp_path)
    writer.append(batch(records(0, 2)))
    writer.flush()
    heard.wait_durable(2)
    (broken,) = segments(tmp_path)
    synced_bytes = broken.stat().st_size
    faulty.errors |= {"fdatasync": errno.EIO, "ftruncate": errno.EIO}
    writer.append(batch(records(2, 3)))
    writer.flush()
    wait_failing(heard, "write")
    del faulty.errors["fdatasync"]
    heard.wait_durable(5)
    mark = tmp_path / f"{broken.name.partition('.')[0]}.{synced_bytes}.cut"
    assert mark.exists()
    assert seqs(broken) == [0, 1, 2, 3, 4], "the tail is in two files; only one of them counts"
    wait_failing(heard, "recovery")
    del faulty.errors["ftruncate"]
    wait_for(lambda: not broken.exists(), "the broken segment to be closed")
    writer.close(PATIENCE_S)
    assert seqs(*sorted(tmp_path.glob("log_*.zst"))) == [0, 1, 2, 3, 4]
    assert not mark.exists()
    assert heard.durable() == 5


def test_a_segment_that_can_neither_be_cut_nor_marked_holds_everything_up(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter, faulty: FaultyOs
) -> None:
    writer = start_writer(tmp_path)
    faulty.errors |= {"fdatasync": errno.EIO, "ftruncate": errno.EROFS, "unlink": errno.EROFS}
    writer.append(batch(records(0, 3)))
    writer.flush()
    wait_failing(heard, "write")
    del faulty.errors["fdatasync"]
    wait_failing(heard, "write")
    assert len(segments(tmp_path)) == 1, "the records would be there twice"
    del faulty.errors["ftruncate"], faulty.errors["unlink"]
    heard.wait_durable(3)
    writer.close(PATIENCE_S)
    assert seqs(*segments(tmp_path)) == [0, 1, 2]
    assert no_litter(tmp_path)


def test_a_segment_that_cannot_be_renamed_is_left_and_told(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter, faulty: FaultyOs
) -> None:
    writer = start_writer(tmp_path, max_bytes=1)
    writer.append(batch(records(0, 1)))
    writer.flush()
    heard.wait_durable(1)
    wait_for(lambda: heard.events(ROTATIONS), "the first segment to be closed")
    sync = os.fsync

    def fails_on_files(fd: int) -> None:
        if os.path.isfile(f"/proc/self/fd/{fd}"):  # noqa: PTH113 - a name of the kernel's, not a path of ours
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)

    faulty.__dict__["fsync"] = fails_on_files
    writer.append(batch(records(1, 1)))
    writer.flush()
    heard.wait_durable(2)
    wait_for(lambda: heard.events(WRITE_ERRORS) == {"write": 1}, "the failed close")
    del faulty.__dict__["fsync"]
    writer.append(batch(records(2, 1)))
    writer.close(PATIENCE_S)
    assert [path.suffix for path in segments(tmp_path)] == [".zst", ".open", ".zst"]
    assert seqs(*segments(tmp_path)) == [0, 1, 2]


def test_close_ends_in_time_and_tells_what_is_lost(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter, faulty: FaultyOs
) -> None:
    writer = start_writer(tmp_path)
    writer.append(batch(records(0, 4)))
    writer.flush()
    heard.wait_durable(4)
    faulty.errors["fdatasync"] = errno.EIO
    writer.append(batch(records(4, 2)))
    writer.flush()
    wait_failing(heard, "write")
    writer.append(batch(records(6, 1, padding_bytes=1 << 20)))
    writer.append(batch(records(7, 3, format_="raw"), "udp"))
    tries = heard.events(WRITE_ERRORS)["write"]
    began_s = time.monotonic()
    writer.close(0.2)
    assert time.monotonic() - began_s >= 0.2, "it is tried until the time is up"
    assert heard.events(WRITE_ERRORS)["write"] > tries
    assert heard.durable() == 4
    assert heard.lost() == 6
    assert heard.durable() + heard.lost() == 10
    assert seqs(*segments(tmp_path)) == [0, 1, 2, 3]
    assert no_litter(tmp_path)


def test_close_wakes_a_writer_that_waits_for_its_disk(
    tmp_path: Path,
    heard: KeepingListener,
    start_writer: StartWriter,
    faulty: FaultyOs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer_module, "RETRY_S", 10 * PATIENCE_S)
    faulty.errors["pwrite"] = errno.EIO
    writer = start_writer(tmp_path)
    writer.append(batch(records(0, 1)))
    writer.flush()
    wait_for(lambda: heard.events(WRITE_ERRORS), "the failed write")
    writer.close(0.1)  # the time-out of the test would end it otherwise
    assert heard.lost() == 1


def test_a_disk_that_comes_back_during_close_loses_nothing(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter, faulty: FaultyOs
) -> None:
    faulty.errors["fdatasync"] = errno.EIO
    writer = start_writer(tmp_path)
    writer.append(batch(records(0, 5)))
    writer.flush()
    wait_failing(heard, "write")
    del faulty.errors["fdatasync"]
    writer.close(PATIENCE_S)
    assert heard.durable() == 5
    assert heard.lost() == 0
    assert seqs(*segments(tmp_path)) == list(range(5))


def test_a_missing_folder_is_waited_for(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    folder, away = tmp_path / "data", tmp_path / "away"
    folder.mkdir()
    (folder / OPEN).write_bytes(frames(1, instance="before")[0])
    writer = start_writer(folder, start=False)
    folder.rename(away)
    writer.start()
    writer.append(batch(records(2, 1)))
    wait_failing(heard, "open")
    assert heard.of(Recovery) == [], "what dead writers left there is not known"
    away.rename(folder)
    writer.flush()
    heard.wait_durable(1)
    writer.close(PATIENCE_S)
    assert seqs(*segments(folder)) == [1, 2]


def test_a_folder_taken_away_under_the_writer(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    folder, away = tmp_path / "data", tmp_path / "away"
    folder.mkdir()
    writer = start_writer(folder)
    writer.append(batch(records(0, 1)))
    writer.flush()
    heard.wait_durable(1)
    folder.rename(away)
    writer.append(batch(records(1, 1)))
    writer.flush()
    wait_failing(heard, "open")
    folder.mkdir()  # as the mount point of a file system that is gone
    wait_failing(heard, "open")
    assert heard.of(Failing) == [Failing("missing")]
    assert heard.durable() == 1
    assert list(folder.iterdir()) == []
    folder.rmdir()
    away.rename(folder)
    heard.wait_durable(2)
    wait_for(lambda: heard.of(Failing) == [Failing("missing"), Failing("")], "the fault to be taken back")
    writer.close(PATIENCE_S)
    assert seqs(*segments(folder)) == [0, 1]


def test_a_segment_deleted_under_the_writer_is_noticed_before_it_is_told(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path)
    writer.append(batch(records(0, 1)))
    writer.flush()
    heard.wait_durable(1)
    segments(tmp_path)[0].unlink()
    writer.append(batch(records(1, 1)))
    writer.flush()
    heard.wait_durable(2)
    writer.close(PATIENCE_S)
    assert seqs(*segments(tmp_path)) == [1]
