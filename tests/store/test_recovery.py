"""Recovery: of whatever an `.open` file holds, complete frames stay, the rest is set aside, nothing is destroyed.

The one rule behind most tests: closed file + set aside = the file as it was, byte for byte.
"""

from __future__ import annotations

import errno
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.record import Encoded
from ingestd.store import disk
from ingestd.store.frame import FrameBuilder
from ingestd.store.recovery import recover, walk
from ingestd.store.segment import DESCRIPTION_MAGIC, HEADER, decode_description
from tests.fakes import FaultyOs, batch
from tests.store.made import BAD, CLOSED, OPEN, STEM, contents, frames


def recovered(folder: Path, data: bytes) -> tuple[bytes, bytes]:
    """What recovery makes of an open file with `data`: the closed file and what it set aside; the folder is emptied."""
    path = folder / OPEN
    path.write_bytes(data)
    recover(path)
    left = contents(folder)
    assert left.keys() <= {CLOSED, BAD}
    closed, bad = left.get(CLOSED, b""), left.get(BAD, b"")
    assert closed + bad == data
    for name in left:
        (folder / name).unlink()
    return closed, bad


def test_a_whole_file_is_closed_as_it_is(tmp_path: Path) -> None:
    data = b"".join(frames(3))
    assert recovered(tmp_path, data) == (data, b"")


def test_a_file_cut_at_any_byte_keeps_every_complete_frame(tmp_path: Path) -> None:
    made = frames(4)
    data = b"".join(made)
    ends = [len(b"".join(made[:count])) for count in range(5)]
    for cut in range(ends[2], len(data) + 1):
        closed, bad = recovered(tmp_path, data[:cut])
        complete = max(end for end in ends if end <= cut)
        assert len(closed) == complete, f"cut at {cut}"
        assert len(bad) == cut - complete


def test_a_file_cut_within_its_first_frame_leaves_no_segment(tmp_path: Path) -> None:
    (first,) = frames(1)
    for cut in range(len(first)):
        assert recovered(tmp_path, first[:cut]) == (b"", first[:cut])


@pytest.mark.parametrize("flip", [0xFF, 0x01, 0x80])
def test_a_flipped_byte_in_the_data_of_the_last_frame(tmp_path: Path, flip: int) -> None:
    made = frames(3)
    data = b"".join(made)
    _, length = HEADER.unpack_from(made[-1])
    for position in range(len(data) - len(made[-1]) + HEADER.size + length, len(data)):
        broken = bytearray(data)
        broken[position] ^= flip
        closed, bad = recovered(tmp_path, bytes(broken))
        assert closed == b"".join(made[:2]), f"flipped at {position}"
        assert bad == broken[len(closed) :]


@pytest.mark.parametrize("flip", [1 << bit for bit in range(8)] + [0xFF])
def test_a_flipped_byte_in_the_last_description_is_no_exception(tmp_path: Path, flip: int) -> None:
    made = frames(2)
    data = b"".join(made)
    _, length = HEADER.unpack_from(made[-1])
    for position in range(len(made[0]), len(made[0]) + HEADER.size + length):
        broken = bytearray(data)
        broken[position] ^= flip
        closed, _ = recovered(tmp_path, bytes(broken))
        assert closed in (made[0], bytes(broken)), "a description that still reads may stay with its frame"


def described(description: bytes, data: bytes = b"") -> bytes:
    return HEADER.pack(DESCRIPTION_MAGIC, len(description)) + description + data


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 100_000,
        b"{}\n" * 100,
        b"\x28\xb5\x2f\xfd",
        HEADER.pack(DESCRIPTION_MAGIC, 0xFFFFFFFF),
        described(b""),
        described(b"{}"),
        described(b"\xff\xfe"),
        described(b'{"instance":"\xc3\x28"}'),
        described(b'{"x":' + b"[" * 500_000),
        described(b"1" * 10_000),
    ],
    ids=repr,
)
def test_garbage_is_set_aside(tmp_path: Path, garbage: bytes) -> None:
    assert recovered(tmp_path, garbage) == (b"", garbage)
    (good,) = frames(1)
    assert recovered(tmp_path, good + garbage) == (good, garbage)


@pytest.mark.parametrize("frame_bytes", [-1, 0, 3, 1 << 62])
def test_a_description_with_an_impossible_length_is_set_aside(tmp_path: Path, frame_bytes: int) -> None:
    (good,) = frames(1)
    _, length = HEADER.unpack_from(good)
    description = decode_description(good[HEADER.size : HEADER.size + length])
    lying = msgspec.json.encode(msgspec.structs.replace(description, frame_bytes=frame_bytes))
    bad = described(lying, good[HEADER.size + length :])
    assert recovered(tmp_path, good + bad) == (good, bad)


def test_a_frame_of_another_size_than_described_is_set_aside(tmp_path: Path) -> None:
    (good,) = frames(1)
    _, length = HEADER.unpack_from(good)
    description = decode_description(good[HEADER.size : HEADER.size + length])
    lying = msgspec.json.encode(msgspec.structs.replace(description, lines_bytes=1))
    bad = described(lying, good[HEADER.size + length :])
    assert recovered(tmp_path, good + bad) == (good, bad)


@given(st.binary(max_size=300), st.integers(0, 3))
def test_any_tail_is_set_aside(tmp_path_factory: pytest.TempPathFactory, tail: bytes, count: int) -> None:
    good = b"".join(frames(count))
    assert recovered(tmp_path_factory.mktemp("any"), good + tail) == (good, tail)


def test_a_frame_before_the_verified_end_needs_only_its_boundaries(tmp_path: Path) -> None:
    made = frames(3)
    broken = bytearray(b"".join(made))
    broken[len(made[0]) - 1] ^= 0xFF  # in the checksum of the first
    path = tmp_path / OPEN
    path.write_bytes(broken)
    assert walk(path, verify_bytes=len(made[2])).good_bytes == len(broken)
    assert walk(path, verify_bytes=len(broken)).good_bytes == 0


def test_an_empty_file_goes(tmp_path: Path) -> None:
    (tmp_path / OPEN).touch()
    assert recover(tmp_path / OPEN).path is None
    assert contents(tmp_path) == {}


def test_recovery_never_overwrites(tmp_path: Path) -> None:
    good, torn = frames(2)
    (tmp_path / CLOSED).write_bytes(b"a closed segment of that name")
    (tmp_path / BAD).write_bytes(b"what an earlier crash left")
    (tmp_path / OPEN).write_bytes(good + torn[:-1])
    final, _ = recover(tmp_path / OPEN)
    assert final == tmp_path / f"{STEM}_1.jsonl.zst"
    assert contents(tmp_path) == {
        CLOSED: b"a closed segment of that name",
        BAD: b"what an earlier crash left",
        f"{STEM}_1.jsonl.zst": good,
        f"{STEM}.jsonl.zst.1.bad": torn[:-1],
    }


@pytest.mark.parametrize("call", ["fsync"])
def test_a_recovery_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    good, torn = frames(2)
    (tmp_path / OPEN).write_bytes(good + torn[:-1])
    faulty = FaultyOs()
    faulty.errors[call] = errno.ENOSPC
    with monkeypatch.context() as patched:
        patched.setattr(disk, "os", faulty)
        with pytest.raises(OSError, match="No space left"):
            recover(tmp_path / OPEN)
    assert contents(tmp_path) == {OPEN: good + torn[:-1]}
    recover(tmp_path / OPEN)
    assert contents(tmp_path) == {CLOSED: good, BAD: torn[:-1]}


def test_recovery_syncs_a_whole_file_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = FaultyOs()
    monkeypatch.setattr(disk, "os", faulty)
    (tmp_path / OPEN).write_bytes(frames(1)[0])
    recover(tmp_path / OPEN)
    assert faulty.calls["pwrite"] == 1, "a sync that failed for the writer left the pages clean"
    assert faulty.calls["fsync"] == 3, "what was written, its size, and the folder after the rename"


def test_services_of_any_size_are_recovered(tmp_path: Path) -> None:
    builder = FrameBuilder("run-1", 0, 1, 0)
    line = b"{}\n"
    long_names = {letter * 900_000 for letter in "abc"}
    builder.add(batch(Encoded("json", [line], len(line), 1, {"INFO": 1}, long_names, "a", "b")))
    data = builder.finish().data
    assert recovered(tmp_path, data) == (data, b"")
