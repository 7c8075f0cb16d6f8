"""What a crash left: finish every `.open` file of dead writers, lose nothing complete, destroy nothing unreadable.

A file is walked from description to description (see segment.py). The writer syncs at least every
`writer.SYNC_BYTES`, so only the tail can be torn: frames within `VERIFY_BYTES` of the end are decompressed and
their checksums compared, the ones before them only need their boundaries to fit. What follows the last good frame is
copied to `<name>.bad`, the file is cut there, synced and renamed to its closed name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec
import zstandard

from ingestd.store.segment import (
    BAD_SUFFIX,
    DESCRIPTION_MAGIC,
    HEADER,
    OPEN_SUFFIX,
    SUFFIX,
    ZSTD_MAGIC,
    Description,
    decode_description,
    sync_folder,
)

#: Twice what a writer may have written without a sync.
VERIFY_BYTES: Final = 32 << 20

#: A description is a few hundred bytes, with 256 long service names some tens of KiB.
MAX_DESCRIPTION_BYTES: Final = 1 << 20


class Walk(NamedTuple):
    """The complete frames of a file and where the last of them ends."""

    frames: list[Description]
    good_bytes: int
    torn_bytes: int


class Recovered(NamedTuple):
    """One file that recovery closed. `path` is None where nothing complete was in it."""

    path: Path | None
    walk: Walk


def walk(path: Path, verify_bytes: int = VERIFY_BYTES) -> Walk:
    """Read the descriptions of `path` up to the first thing that is not a complete frame. Raises `OSError`."""
    frames: list[Description] = []
    good = 0
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        while description := _frame_at(file, good, size, verify=good >= size - verify_bytes):
            frames.append(description)
            good = file.tell()
    return Walk(frames, good, size - good)


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
    except msgspec.MsgspecError:
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
        lines_bytes = sum(len(decompressor.decompress(piece)) for piece in _pieces(frame))
    except zstandard.ZstdError:
        return False
    return decompressor.eof and not decompressor.unused_data and lines_bytes == description.lines_bytes


def _pieces(data: bytes, size: int = 1 << 16) -> Iterator[memoryview]:
    view = memoryview(data)
    return (view[start : start + size] for start in range(0, len(view), size))


def recover(path: Path) -> Recovered:
    """Close one `.open` file that has no writer any more. Raises `OSError`; then the file is as it was, or both it
    and its `.bad` are there, and the next start tries again."""
    result = walk(path)
    if result.torn_bytes:
        _set_aside(path, result.good_bytes)
    if not result.frames:
        path.unlink()
        sync_folder(path.parent)
        return Recovered(None, result)
    final = path.with_name(path.name.removesuffix(".open"))
    path.rename(final)
    sync_folder(path.parent)
    return Recovered(final, result)


def _set_aside(path: Path, good_bytes: int) -> None:
    """Copy what follows `good_bytes` to `<name>.bad`, make the copy durable, then cut it off."""
    bad = path.with_name(path.name.removesuffix(".open") + BAD_SUFFIX)
    with path.open("r+b") as file, bad.open("wb") as aside:
        file.seek(good_bytes)
        while piece := file.read(1 << 20):
            aside.write(piece)
        aside.flush()
        os.fsync(aside.fileno())
        sync_folder(path.parent)
        file.truncate(good_bytes)
        os.fsync(file.fileno())


def leftovers(folder: Path, worker: int, workers: int) -> list[Path]:
    """The `.open` files this worker must close: its own, and its share of those of numbers beyond today's workers."""
    return sorted(
        path
        for path in folder.glob("log_*" + OPEN_SUFFIX)
        if (number := _worker_of(path)) is not None and number % workers == worker
    )


def newest_closed(folder: Path, worker: int) -> Iterator[Path]:
    """This worker's closed segments, the newest first by time of last write."""
    paths = folder.glob(f"log_{worker}_*{SUFFIX}")
    return iter(sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True))


def _worker_of(path: Path) -> int | None:
    number = path.name.split("_")[1]
    return int(number) if number.isdecimal() else None
