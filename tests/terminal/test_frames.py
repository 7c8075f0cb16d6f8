"""A segment walked: whole, torn at every byte, damaged in any place, and out of other hands."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard

from ingestd.terminal.frames import DamagedError, Frame, Gap, lines_of, walk
from tests.terminal.segments import frame, record

FRAMES = [frame([record(number)], number) for number in range(1, 4)]
WHOLE = b"".join(FRAMES)
ENDS = [sum(map(len, FRAMES[:count])) for count in range(4)]


@contextmanager
def opened(tmp_path: Path, content: bytes) -> Iterator[int]:
    path = tmp_path / "segment"
    path.write_bytes(content)
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def walked(tmp_path: Path, content: bytes, final: bool = True) -> list[Frame | Gap]:
    with opened(tmp_path, content) as fd:
        return list(walk(fd, 0, len(content), final=final))


def test_whole(tmp_path: Path) -> None:
    with opened(tmp_path, WHOLE) as fd:
        frames = list(walk(fd, 0, len(WHOLE), final=True))
        assert [(found.start, found.end) for found in frames] == list(pairwise(ENDS))
        assert [lines_of(fd, each).count(b"\n") for each in frames if isinstance(each, Frame)] == [1, 1, 1]


def test_cut_at_every_byte(tmp_path: Path) -> None:
    for length in range(len(WHOLE)):
        complete = [end for end in ENDS[1:] if end <= length]
        being_written = walked(tmp_path, WHOLE[:length], final=False)
        assert [found.end for found in being_written] == complete
        closed = walked(tmp_path, WHOLE[:length])
        rest = length - (complete[-1] if complete else 0)
        gaps = [found for found in closed if isinstance(found, Gap)]
        assert [(gap.end - gap.start, gap.why) for gap in gaps] == [(rest, "a frame is cut short")] * bool(
            rest
        )


def test_every_byte_of_a_header_damaged(tmp_path: Path) -> None:
    """Where the second frame should begin; the third is found whatever is broken there."""
    for at in range(ENDS[1], ENDS[1] + 9):
        damaged = bytearray(WHOLE)
        damaged[at] ^= 0xFF
        found = walked(tmp_path, bytes(damaged))
        assert [type(each) for each in found] == [Frame, Gap, Frame], at
        assert found[1][:2] == (ENDS[1], ENDS[2])


@pytest.mark.parametrize("final", [True, False])
def test_rubbish_between_frames(tmp_path: Path, final: bool) -> None:
    magic = WHOLE[:4]
    for rubbish in (
        b"x",
        b"\0" * 5000,
        magic,
        magic * 3,
        magic + struct.pack("<I", 40),
        os.urandom(3 << 20),
    ):
        found = walked(tmp_path, FRAMES[0] + rubbish + FRAMES[1], final)
        assert [type(each) for each in found] == [Frame, Gap, Frame]
        assert found[1].end - found[1].start == len(rubbish)


def test_rubbish_at_the_end_may_become_something(tmp_path: Path) -> None:
    assert [type(found) for found in walked(tmp_path, FRAMES[0] + b"rubbish!!", final=False)] == [Frame]
    assert [type(found) for found in walked(tmp_path, FRAMES[0] + b"rubbish!!", final=True)] == [Frame, Gap]


def test_a_length_that_would_swallow_the_rest(tmp_path: Path) -> None:
    content = FRAMES[0] + WHOLE[:4] + struct.pack("<I", 1 << 19) + FRAMES[1]
    assert [type(found) for found in walked(tmp_path, content)] == [Frame, Gap, Frame]


def test_another_layout_is_told(tmp_path: Path) -> None:
    (gap,) = walked(tmp_path, frame([record(1)], v=2))
    assert isinstance(gap, Gap)
    assert gap.why == "it is of layout 2, and this ingestd reads layout 1"


def test_data_that_is_not_what_the_description_says(tmp_path: Path) -> None:
    for at in range(ENDS[1] - 30, ENDS[1]):  # the end of the data, checksum included
        damaged = bytearray(FRAMES[0])
        damaged[at] ^= 0x01
        with opened(tmp_path, bytes(damaged)) as fd:
            (found,) = walk(fd, 0, len(damaged), final=True)
            assert isinstance(found, Frame)
            with pytest.raises(DamagedError):
                lines_of(fd, found)


def test_a_frame_that_unpacks_to_more_than_it_says(tmp_path: Path) -> None:
    bomb = zstandard.ZstdCompressor().compress(b"\0" * (64 << 20))
    whole = frame([record(1)])
    with opened(tmp_path, whole) as fd:
        (found,) = walk(fd, 0, len(whole), final=True)
    assert isinstance(found, Frame)
    text = whole[8 : found.data_start].replace(
        b'"frame_bytes":%d' % found.description.frame_bytes, b'"frame_bytes":%d' % len(bomb)
    )
    content = whole[:4] + struct.pack("<I", len(text)) + text + bomb
    with opened(tmp_path, content) as fd:
        (found,) = walk(fd, 0, len(content), final=True)
        assert isinstance(found, Frame)
        with pytest.raises(DamagedError, match="its length"):
            lines_of(fd, found)
