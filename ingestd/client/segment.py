"""A file of the spool: batches one behind the other, in the order of their sequences.

    segment  = "ingestd spool 1\n" | { batch }
    batch    = u32 0x49425431 "IBT1" | u32 length | u64 sequence | u32 records | u32 crc | payload       big-endian

`crc` is the CRC-32 of the head up to it and of the payload. A payload is what travels, compressed where the connection
is: a batch sent again is the same to the byte. The name is the sequence of the first batch, in 20 digits, so that a
file without any still says which sequence comes next.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

SUFFIX: Final = ".batches"
BAD_SUFFIX: Final = ".bad"
MAGIC: Final = b"ingestd spool 1\n"

_BATCH_MAGIC: Final = 0x49425431
_HEAD: Final = struct.Struct(">IIQII")
_CRC: Final = struct.Struct(">I")
HEAD_BYTES: Final = _HEAD.size


class Entry(NamedTuple):
    """A batch in a segment: where its payload begins and how long it is."""

    sequence: int
    records: int
    offset: int
    length: int


def file_name(sequence: int) -> str:
    """The name of a segment that begins with this sequence."""
    return f"{sequence:020}{SUFFIX}"


def pack(sequence: int, records: int, payload: bytes) -> bytes:
    """A batch as it stands in the file."""
    head = _HEAD.pack(_BATCH_MAGIC, len(payload), sequence, records, 0)[: -_CRC.size]
    return head + _CRC.pack(zlib.crc32(payload, zlib.crc32(head))) + payload


class Found(NamedTuple):
    """What is in a segment that a process left: whole batches, and how many bytes after them do not read."""

    path: Path
    first: int
    entries: list[Entry]
    good_bytes: int
    torn_bytes: int

    @property
    def end(self) -> int:
        """The sequence behind the last batch."""
        return self.first + len(self.entries)

    def before(self, sequence: int) -> Found:
        """Only what is numbered lower."""
        return self._replace(entries=self.entries[: sequence - self.first])


def scan(path: Path) -> Found:
    """Read a segment up to the first thing that is not a whole batch with the sequence that is due. Raises OSError."""
    first = int(path.name.removesuffix(SUFFIX))
    entries: list[Entry] = []
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(len(MAGIC)) != MAGIC:
            return Found(path, first, entries, 0, size)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
            end = len(MAGIC)
            while entry := _entry_at(view, end, size, first + len(entries)):
                entries.append(entry)
                end = entry.offset + entry.length
    return Found(path, first, entries, end, size - end)


def _entry_at(view: memoryview, start: int, size: int, sequence: int) -> Entry | None:
    if size - start < HEAD_BYTES:
        return None
    magic, length, found, records, crc = _HEAD.unpack_from(view, start)
    offset = start + HEAD_BYTES
    if magic != _BATCH_MAGIC or found != sequence or offset + length > size:
        return None
    with view[start : offset - _CRC.size] as head, view[offset : offset + length] as payload:
        if zlib.crc32(payload, zlib.crc32(head)) != crc:
            return None
    return Entry(sequence, records, offset, length)


def set_aside(path: Path, start: int) -> Path:
    """Copy what follows `start` to a new `.bad` file beside it, cut it off, and make both durable. Raises OSError."""
    bad = _free_bad(path)
    with path.open("r+b") as file, bad.open("xb") as aside:
        file.seek(start)
        while piece := file.read(1 << 20):
            aside.write(piece)
        aside.flush()
        os.fsync(aside.fileno())
        sync_folder(path.parent)
        file.truncate(start)
        os.fsync(file.fileno())
    return bad


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _free_bad(path: Path) -> Path:
    number = 0
    while (
        bad := path.with_name(f"{path.name}.{number}{BAD_SUFFIX}" if number else path.name + BAD_SUFFIX)
    ).exists():
        number += 1
    return bad
