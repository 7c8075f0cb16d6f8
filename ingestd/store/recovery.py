"""What a crash left: finish every `.open` file of dead writers, lose nothing complete, destroy nothing unreadable.

A file is walked from description to description (see segment.py). The writer syncs at least every
`segment.SYNC_BYTES`, so only the tail can be torn: frames within `VERIFY_BYTES` of the end are decompressed and
their checksums compared, the ones before them only need their boundaries to fit. What of it may never have been
synced is written again in its place and synced (`secure`): from then on its frames, and the sequences of clients in
them, are decided. Then what follows the last good frame is copied to `<name>.bad`, the file is cut there and renamed to
its closed name (`finish`). Neither overwrites anything; both can be tried again for ever.

Where only a worker died and the daemon lives, its successor also finds out which of the frames on disk nobody lived
to count (see takeover.py).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec
import zstandard

from ingestd.store import disk
from ingestd.store.segment import (
    DESCRIPTION_MAGIC,
    HEADER,
    SYNC_BYTES,
    ZSTD_MAGIC,
    Description,
    cut_marks,
    decode_description,
    free_bad,
    marked_bytes,
    pieces,
    publish,
)

#: Some times what a writer may have written without a sync.
VERIFY_BYTES: Final = 32 << 20

#: A description is a few hundred bytes, with all the services it may list less than half of this.
MAX_DESCRIPTION_BYTES: Final = 1 << 20

_PIECE_BYTES: Final = 1 << 20


class Walk(NamedTuple):
    """The complete frames of a file, where the last of them begins and ends, and how much follows."""

    frames: list[Description]
    good_bytes: int
    torn_bytes: int
    last_bytes: int = 0


class Recovered(NamedTuple):
    """One file that recovery closed. `path` is None where nothing complete was in it."""

    path: Path | None
    walk: Walk


def walk(path: Path, verify_bytes: int = VERIFY_BYTES) -> Walk:
    """Read the descriptions of `path` up to the first thing that is not a complete frame, or to where a mark says that
    it is to be cut. Raises `OSError`."""
    frames: list[Description] = []
    good = last = 0
    limit = min(map(marked_bytes, cut_marks(path)), default=None)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        end = size if limit is None else min(size, limit)
        while description := _frame_at(file, good, end, verify=good >= end - verify_bytes):
            frames.append(description)
            good, last = file.tell(), good
    return Walk(frames, good, size - good, last)


def _frame_at(file: BinaryIO, start: int, size: int, verify: bool) -> Description | None:
    """The description at `start` if its data frame is complete too; the file then stands behind that frame."""
    file.seek(start)
    header = file.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    magic, length = HEADER.unpack(header)
    if magic != DESCRIPTION_MAGIC or length > MAX_DESCRIPTION_BYTES:
        return None
    try:
        description = decode_description(file.read(length))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    end = start + HEADER.size + length + description.frame_bytes
    if description.frame_bytes < len(ZSTD_MAGIC) or end > size:
        return None
    if verify:
        return description if _verified(file.read(description.frame_bytes), description) else None
    intact = file.read(len(ZSTD_MAGIC)) == ZSTD_MAGIC
    file.seek(end)
    return description if intact else None


def _verified(frame: bytes, description: Description) -> bool:
    """Whether `frame` decompresses to what its description says, checksum included."""
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    try:
        lines_bytes = sum(len(decompressor.decompress(piece)) for piece in pieces(frame, 0, 1 << 16))
    except zstandard.ZstdError:
        return False
    return decompressor.eof and not decompressor.unused_data and lines_bytes == description.lines_bytes


def secure(path: Path) -> Walk:
    """Walk an `.open` file that has no writer any more; its complete frames are on disk when this returns.

    Its writer may have died before its sync, or of it; so what that sync was for is written again. Raises `OSError`:
    nothing is known then.
    """
    result = walk(path)
    fd = disk.reopen(path)
    try:
        position = max(0, result.last_bytes - SYNC_BYTES)
        while piece := os.pread(fd, min(_PIECE_BYTES, result.good_bytes - position), position):
            disk.write_at(fd, piece, position)
            position += len(piece)
        disk.sync(fd)
    finally:
        disk.close(fd)
    return result


def finish(path: Path, result: Walk) -> Path | None:
    """Close a file that was secured; returns its closed name, None where nothing complete was in it. Raises `OSError`:
    then the file is as it was, or both it and its `.bad` are there, and all of it can be done again."""
    if result.torn_bytes:
        _set_aside(path, result.good_bytes)
    fd = disk.reopen(path)
    try:
        disk.truncate(
            fd, result.good_bytes
        )  # even if nothing is torn: its writer's own cut may not be on disk
        disk.sync(fd)
    finally:
        disk.close(fd)
    for mark in cut_marks(path):
        disk.remove(mark)
    if result.frames:
        return publish(path)
    disk.remove(path)
    disk.sync_folder(path.parent)
    return None


def recover(path: Path) -> Recovered:
    """Secure and close one `.open` file. Raises `OSError`."""
    result = secure(path)
    return Recovered(finish(path, result), result)


def _set_aside(path: Path, good_bytes: int) -> None:
    """Copy what follows `good_bytes` to a new `.bad` file and make that durable."""
    bad = free_bad(path)
    fd = disk.create(bad)
    try:
        try:
            with path.open("rb") as file:
                file.seek(good_bytes)
                while piece := file.read(_PIECE_BYTES):
                    disk.write_at(fd, piece, file.tell() - good_bytes - len(piece))
            disk.sync(fd)
        finally:
            disk.close(fd)
    except OSError:
        with contextlib.suppress(OSError):  # a copy of what is still there
            disk.remove(bad)
        raise
    disk.sync_folder(path.parent)
