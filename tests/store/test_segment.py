"""Segment files: names, what a failing disk leaves, and that nothing is ever overwritten."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from ingestd.store import disk
from ingestd.store.folder import Folder
from ingestd.store.segment import Segment, free_bad, pieces, publish, stem
from tests.fakes import FaultyOs

STEM = "log_0_20261120_120000"


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> FaultyOs:
    """The module's `os`, to be made to fail."""
    faulty = FaultyOs()
    monkeypatch.setattr(disk, "os", faulty)
    return faulty


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_stem_is_prefix_worker_and_utc_time() -> None:
    assert re.fullmatch(r"log_7_20\d{6}_\d{6}", stem("log", 7))


def test_a_segment_is_open_until_it_is_closed(tmp_path: Path) -> None:
    segment = Segment(Folder.at(tmp_path), STEM)
    segment.append(b"one")
    segment.append(b"two")
    assert names(tmp_path) == [f"{STEM}.jsonl.zst.open"]
    assert segment.path.read_bytes() == b"onetwo"
    segment.sync()
    closed = segment.close()
    assert closed == tmp_path / f"{STEM}.jsonl.zst"
    assert names(tmp_path) == [f"{STEM}.jsonl.zst"]
    assert closed.read_bytes() == b"onetwo"


def test_segments_of_one_second_are_numbered(tmp_path: Path) -> None:
    for data in (b"first", b"second"):
        segment = Segment(Folder.at(tmp_path), STEM)
        segment.append(data)
        segment.close()
    still_open = Segment(Folder.at(tmp_path), STEM)
    another = Segment(Folder.at(tmp_path), STEM)
    assert names(tmp_path) == [
        f"{STEM}.jsonl.zst",
        f"{STEM}_1.jsonl.zst",
        f"{STEM}_2.jsonl.zst.open",
        f"{STEM}_3.jsonl.zst.open",
    ]
    still_open.close()
    another.close()


def test_an_empty_segment_is_not_left(tmp_path: Path) -> None:
    assert Segment(Folder.at(tmp_path), STEM).close() is None
    assert names(tmp_path) == []


def test_a_closed_segment_is_never_overwritten(tmp_path: Path) -> None:
    segment = Segment(Folder.at(tmp_path), STEM)
    segment.append(b"mine")
    stranger = tmp_path / f"{STEM}.jsonl.zst"
    stranger.write_bytes(b"restored from a backup meanwhile")
    assert segment.close() == tmp_path / f"{STEM}_1.jsonl.zst"
    assert stranger.read_bytes() == b"restored from a backup meanwhile"


@pytest.mark.parametrize("name", [STEM, f"{STEM}_1", f"{STEM}_12"])
def test_a_taken_name_gets_the_next_number(tmp_path: Path, name: str) -> None:
    taken = [f"{STEM}.jsonl.zst", f"{STEM}_1.jsonl.zst", f"{STEM}_2.jsonl.zst.open", f"{STEM}_12.jsonl.zst"]
    for each in taken:
        (tmp_path / each).write_bytes(each.encode())
    path = tmp_path / f"{name}.jsonl.zst.open"
    path.write_bytes(b"mine")
    assert publish(path).name == f"{STEM}_3.jsonl.zst"
    assert all((tmp_path / each).read_bytes() == each.encode() for each in taken)


def test_what_was_set_aside_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / f"{STEM}.jsonl.zst.open"
    for expected in (f"{STEM}.jsonl.zst.bad", f"{STEM}.jsonl.zst.1.bad", f"{STEM}.jsonl.zst.2.bad"):
        bad = free_bad(path)
        assert bad.name == expected
        bad.touch()


def test_short_writes_are_continued(tmp_path: Path, faulty: FaultyOs) -> None:
    faulty.write_limit = 7
    segment = Segment(Folder.at(tmp_path), STEM)
    segment.append(bytes(range(256)))
    assert segment.size_bytes == 256
    assert segment.path.read_bytes() == bytes(range(256))
    assert faulty.calls["pwrite"] == 37
    segment.close()


def test_a_cut_goes_back_to_the_last_sync(tmp_path: Path, faulty: FaultyOs) -> None:
    segment = Segment(Folder.at(tmp_path), STEM)
    segment.append(b"synced")
    segment.sync()
    segment.append(b" not synced")
    faulty.errors["fdatasync"] = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        segment.sync()
    segment.cut()
    closed = segment.close()
    assert closed is not None
    assert closed.read_bytes() == b"synced"


def test_a_cut_without_a_sync_leaves_no_file(tmp_path: Path, faulty: FaultyOs) -> None:
    segment = Segment(Folder.at(tmp_path), STEM)
    segment.append(b"never synced")
    segment.cut()
    assert segment.close() is None
    assert names(tmp_path) == []


def test_a_failed_close_gives_the_descriptor_back(tmp_path: Path, faulty: FaultyOs) -> None:
    before = open_files()
    segment = Segment(Folder.at(tmp_path), STEM)
    segment.append(b"data")
    faulty.errors["fsync"] = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        segment.close()
    assert open_files() == before
    assert names(tmp_path) == [f"{STEM}.jsonl.zst.open"]


def test_a_failed_creation_leaves_neither_file_nor_descriptor(tmp_path: Path, faulty: FaultyOs) -> None:
    before = open_files()
    faulty.errors["fsync"] = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        Segment(Folder.at(tmp_path), STEM)
    assert open_files() == before
    assert names(tmp_path) == []


@pytest.mark.parametrize("start", [0, 3, 9, 10, 11])
def test_pieces_are_the_data_from_start(start: int) -> None:
    data = b"0123456789"
    made = list(pieces(data, start, 4))
    assert b"".join(made) == data[start:]
    assert all(len(piece) <= 4 for piece in made)
