"""The writer on a disk that works: what goes in comes out once, in order, described, told, rotated, renamed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from ingestd.store import disk
from ingestd.store import writer as writer_module
from ingestd.store.batch import Commit, Event, Freed, Lost, Recovery, Rejected
from ingestd.store.recovery import walk
from ingestd.store.rejects import WAITING_BYTES
from tests.daemon import wait_for
from tests.fakes import KeepingListener, batch, content, records, segments, seqs
from tests.store.conftest import StartWriter

NAME = re.compile(r"log_0_\d{8}_\d{6}(_\d+)?\.jsonl\.zst")
REFUSED = Rejected("invalid_json", "", b"garbage", "json", "tcp", "127.0.0.1", "2026-11-20T12:00:00.000000Z")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_batches_come_out_as_lines_in_order(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path)
    sent = [records(first, 7) for first in range(0, 70, 7)]
    for encoded in sent:
        writer.append(batch(encoded))
    writer.close(10)
    (path,) = segments(tmp_path)
    assert NAME.fullmatch(path.name)
    assert content(path) == b"".join(chunk for encoded in sent for chunk in encoded.chunks)
    assert heard.durable() == 70
    assert heard.lost() == 0


def test_a_commit_tells_how_long_its_sync_took(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync_data, least_ns = disk.sync_data, 20_000_000

    def stall(fd: int) -> None:
        begun_ns = time.monotonic_ns()
        sync_data(fd)
        while time.monotonic_ns() < begun_ns + least_ns:
            time.sleep(0.001)

    monkeypatch.setattr(disk, "sync_data", stall)
    begun_ns = time.monotonic_ns()
    writer = start_writer(tmp_path)
    writer.append(batch(records(0, 3)))
    writer.close(10)
    (commit,) = heard.of(Commit)
    assert least_ns <= commit.sync_ns <= commit.done_ns - begun_ns


@pytest.mark.skipif(shutil.which("zstdcat") is None, reason="zstdcat is not installed")
def test_zstdcat_reads_the_open_and_the_closed_file(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    def zstdcat() -> bytes:
        (path,) = segments(tmp_path)
        return subprocess.run(["zstdcat", str(path)], check=True, capture_output=True).stdout

    writer = start_writer(tmp_path)
    first, second = records(0, 3), records(3, 2)
    writer.append(batch(first))
    writer.flush()
    heard.wait_durable(3)
    assert names(tmp_path)[0].endswith(".jsonl.zst.open")
    assert zstdcat() == b"".join(first.chunks)
    writer.append(batch(second))
    writer.close(10)
    assert names(tmp_path)[0].endswith(".jsonl.zst")
    assert zstdcat() == b"".join(first.chunks + second.chunks)


def test_every_commit_adds_up(tmp_path: Path, heard: KeepingListener, start_writer: StartWriter) -> None:
    writer = start_writer(tmp_path)
    appended: Counter[tuple[str, str]] = Counter()
    lines_bytes = 0
    for number in range(20):
        encoded = records(number * 10, number % 4 + 1, format_="json" if number % 3 else "raw")
        block = batch(encoded, "udp" if number % 2 else "tcp")
        appended[encoded.format, block.transport] += encoded.records
        lines_bytes += encoded.nbytes
        writer.append(block)
        if number % 5 == 0:
            writer.flush()
    writer.close(10)
    commits = heard.of(Commit)
    written: Counter[tuple[str, str]] = Counter()
    for commit in commits:
        for entry in commit.durable:
            written[entry.format, entry.transport] += entry.records
            assert entry.received_ns <= commit.done_ns
    assert written == appended
    (path,) = segments(tmp_path)
    frames = walk(path).frames
    assert sum(commit.frames for commit in commits) == len(frames) == len(commits) == 5
    assert [frame.frame for frame in frames] == [1, 2, 3, 4, 5]
    assert sum(commit.lines_bytes for commit in commits) == lines_bytes
    assert sum(freed.nbytes for freed in heard.of(Freed)) == lines_bytes
    assert sum(commit.written_bytes for commit in commits) == path.stat().st_size


def test_recovery_is_told_first_and_found_nothing(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    start_writer(tmp_path).close(10)
    assert heard.messages == [Recovery(0, 0, 0, {}, 0, 0)]
    assert names(tmp_path) == []


def test_an_empty_flush_does_nothing(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path)
    writer.flush()
    writer.close(10)
    assert heard.of(Commit) == []
    assert names(tmp_path) == []


def test_a_commit_comes_by_itself_within_the_flush_interval(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path, flush_interval_s=0.05)
    for first in (0, 1):
        writer.append(batch(records(first, 1)))
        heard.wait_durable(first + 1)
    assert len(heard.of(Commit)) == 2
    assert all(
        commit.done_ns - entry.received_ns >= writer_module.DUE * 0.05e9
        for commit in heard.of(Commit)
        for entry in commit.durable
    ), "a commit came before it was due"


def test_queued_rejects_do_not_hold_up_a_commit(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path, start=False, flush_interval_s=1.0, rejects_max_bytes=0)
    writer.append(batch(records(0, 1), age_s=10))
    for _ in range(100):
        writer.reject([REFUSED])
    writer.start()
    writer.close(10)
    kinds = [type(message) for message in heard.messages if isinstance(message, Commit | Event)]
    assert kinds.index(Commit) == 0


def test_a_writer_that_is_behind_gathers_frames(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path, start=False, flush_interval_s=60.0)
    for first in range(100):
        writer.append(batch(records(first, 1), age_s=100))
    writer.start()
    writer.close(10)
    assert heard.durable() == 100
    assert len(heard.of(Commit)) == 2, "one that was overdue at once, one at the end"


def test_a_full_frame_is_written_at_once(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path)
    big = records(0, 1, padding_bytes=1 << 20)
    writer.append(batch(big))
    wait_for(lambda: heard.of(Freed), "the frame to be compressed")
    assert heard.of(Freed) == [Freed(big.nbytes)]
    wait_for(lambda: segments(tmp_path) and seqs(*segments(tmp_path)) == [0], "the frame to be in the file")
    assert heard.of(Commit) == [], "written is not on disk: nothing was synced"


def test_a_sync_comes_when_much_is_unsynced(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path)
    for seq in range(20):  # at least half a MiB each, compressed
        writer.append(batch(records(seq, 1, padding_bytes=1 << 20)))
    wait_for(lambda: heard.of(Commit), "a sync of what is unsynced")
    assert heard.of(Commit)[0].written_bytes < writer_module.SYNC_BYTES + (1 << 20)


def test_rotation_by_size(tmp_path: Path, heard: KeepingListener, start_writer: StartWriter) -> None:
    writer = start_writer(tmp_path, max_bytes=20_000)
    for seq in range(50):
        writer.append(batch(records(seq, 1, padding_bytes=6_000)))
        writer.flush()
    writer.close(10)
    paths = segments(tmp_path)
    assert len(paths) > 5
    assert all(NAME.fullmatch(path.name) for path in paths)
    assert all(path.stat().st_size >= 20_000 for path in paths[:-1])
    assert all(path.stat().st_size < 30_000 for path in paths)
    assert seqs(*paths) == list(range(50))
    rotations = heard.events("ingestd_segment_rotations_total")
    assert rotations["size"] + rotations["shutdown"] == len(paths)
    assert rotations["size"] >= len(paths) - 1


def test_rotation_at_the_last_frame_leaves_no_empty_segment(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path, max_bytes=1)
    for seq in range(5):
        writer.append(batch(records(seq, 1)))
        writer.flush()
    writer.close(10)
    assert seqs(*segments(tmp_path)) == list(range(5))
    assert all(path.stat().st_size for path in tmp_path.iterdir())
    assert heard.events("ingestd_segment_rotations_total") == {"size": 5}


def test_rotation_by_age_without_further_records(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path, max_age_s=0.05)
    writer.append(batch(records(0, 2)))
    writer.flush()
    wait_for(lambda: heard.events("ingestd_segment_rotations_total") == {"age": 1}, "the rotation by age")
    (path,) = segments(tmp_path)
    assert NAME.fullmatch(path.name)
    assert seqs(path) == [0, 1]
    writer.close(10)
    assert segments(tmp_path) == [path], "an idle writer opens no new segment"


def test_age_commits_what_was_gathered(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path, max_age_s=0.2)
    writer.append(batch(records(0, 1)))
    writer.flush()
    writer.append(batch(records(1, 1)))  # not due for an hour
    wait_for(lambda: heard.events("ingestd_segment_rotations_total"), "the rotation by age")
    assert heard.durable() == 2
    assert seqs(*segments(tmp_path)) == [0, 1]


def test_rejects_go_to_their_own_file(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path)
    writer.reject([REFUSED, REFUSED])
    writer.close(10)
    assert names(tmp_path) == ["rejects_0.jsonl.zst"]
    assert content(tmp_path / "rejects_0.jsonl.zst").count(b"\n") == 2
    assert heard.of(Event) == []


def test_rejects_that_wait_are_bounded(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path, start=False)
    large = REFUSED._replace(data=os.urandom(WAITING_BYTES))
    for _ in range(3):
        writer.reject([large])
    assert heard.events("ingestd_rejects_skipped_total") == {"": 2}
    writer.start()
    kept = tmp_path / "rejects_0.1.jsonl.zst"
    wait_for(kept.exists, "the first to be taken")
    assert content(kept).count(b"\n") == 1
    writer.reject([large])
    writer.close(10)
    skipped = heard.events("ingestd_rejects_skipped_total")[""]
    assert skipped in (2, 3), "there is room again; the file's own bound on the rate may skip it"


def test_what_was_queued_before_the_start_is_written(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path, start=False)
    writer.append(batch(records(0, 3)))
    writer.start()
    writer.close(10)
    assert seqs(*segments(tmp_path)) == [0, 1, 2]
    assert heard.of(Lost) == []
