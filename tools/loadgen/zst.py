"""Reading a segment file: many zstd frames with skippable frames between them, perhaps a torn one at the end.

Strategy: walk the headers first (RFC 8878, section 3.1), which touches a few bytes of each 128 KB block and tells
exactly where the last whole frame ends; then decompress up to there in large chunks. Decompressing alone would
not do: a stream reader ends without a word on a truncated frame.

    frame      = u32 0xFD2FB528 | descriptor, window, dictionary id, content size | blocks | u32 checksum (if flagged)
    block      = u24: last 1 bit, type 2 bits, size 21 bits | content (one byte where type is RLE)
    skippable  = u32 0x184D2A50 to 5F | u32 size | content                                      all little endian
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

CHUNK_BYTES = 1 << 20
"""A chunk of decompressed lines: large enough for numpy, small enough for a core's cache."""

_FRAME_MAGIC = 0xFD2FB528
_SKIPPABLE_MAGIC = 0x184D2A50
_RLE, _RESERVED = 1, 3


@dataclass(slots=True)
class Reading:
    """What a file turned out to be, known once `lines` has ended."""

    torn_bytes: int = 0
    """Bytes after the last whole frame, where the frame they begin is cut off."""
    damage: str = ""
    """Why the file could not be read to its end, if it could not."""


def whole_frames(data: bytes | mmap.mmap) -> tuple[int, str]:
    """Where the last whole frame ends, and why the walk ended before the end of the data ("" if it was merely cut)."""
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            break
        magic = int.from_bytes(data[at : at + 4], "little")
        if magic & 0xFFFFFFF0 == _SKIPPABLE_MAGIC:
            end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        elif magic == _FRAME_MAGIC:
            end, problem = _frame_end(data, at)
            if problem:
                return at, problem
        else:
            return at, f"no zstd frame at byte {at:,}"
        if end > len(data):
            break
        at = end
    return at, ""


def _frame_end(data: bytes | mmap.mmap, at: int) -> tuple[int, str]:
    """Where the frame that begins at `at` ends; beyond the data if it is cut."""
    descriptor = data[at + 4]
    single, checksum = descriptor >> 5 & 1, descriptor >> 2 & 1
    content_size = (single, 2, 4, 8)[descriptor >> 6]
    cursor = at + 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3] + content_size
    last = 0
    while not last:
        if cursor + 3 > len(data):
            return len(data) + 1, ""
        header = int.from_bytes(data[cursor : cursor + 3], "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind == _RESERVED:
            return at, f"a damaged zstd frame at byte {at:,}"
        cursor += 3 + (1 if kind == _RLE else size)
    return cursor + 4 * checksum, ""


def lines(path: Path, reading: Reading) -> Iterator[tuple[bytearray, int]]:
    """The file's lines, some thousand at a time: a buffer, and how many of its bytes are whole lines.

    The buffer is the caller's until the next step. A last line without its LF is given one. OSError: the file
    cannot be opened; a file that cannot be read to its end says so in `reading`.
    """
    with path.open("rb") as file:
        if not file.seek(0, io.SEEK_END):
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            end, reading.damage = whole_frames(data)
            reading.torn_bytes = 0 if reading.damage else len(data) - end
            with memoryview(data)[:end] as whole:
                yield from _decompressed(whole, reading)


def _decompressed(whole: memoryview, reading: Reading) -> Iterator[tuple[bytearray, int]]:
    reader = zstandard.ZstdDecompressor().stream_reader(whole, read_size=CHUNK_BYTES, read_across_frames=True)
    buffer = bytearray(CHUNK_BYTES)
    kept = 0
    while True:
        try:
            got = reader.readinto(memoryview(buffer)[kept:])
        except zstandard.ZstdError as error:
            reading.damage = reading.damage or f"a damaged zstd frame ({error})"
            got = 0
        filled = kept + got
        if not got:
            break
        cut = buffer.rfind(b"\n", kept, filled) + 1
        if cut:
            yield buffer, cut
            buffer[: filled - cut] = buffer[cut:filled]
        elif filled == len(buffer):  # a line longer than the buffer
            buffer = buffer + bytearray(len(buffer))
        kept = filled - cut
    if kept:
        buffer[kept : kept + 1] = b"\n"
        yield buffer, kept + 1
