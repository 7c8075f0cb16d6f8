"""What a crash left: finish every `.open` file of dead writers, lose nothing complete, destroy nothing unreadable.

A file is walked from description to description (see segment.py). The writer syncs at least every
`writer.SYNC_BYTES`, so only the tail can be torn: frames within `VERIFY_BYTES` of the end are decompressed and
their checksums compared, the ones before them only need their boundaries to fit. What follows the last good frame is
copied to `<name>.bad`, the file is cut there, synced and renamed to its closed name. Neither overwrites anything.

Where only a worker died and the daemon lives, its successor also finds out which of the frames on disk nobody lived
to count (`take_over`).
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec
import zstandard

from ingestd.store.batch import Recovery
from ingestd.store.segment import (
    DESCRIPTION_MAGIC,
    HEADER,
    OPEN_SUFFIX,
    SUFFIX,
    ZSTD_MAGIC,
    Description,
    decode_description,
    free_bad,
    pieces,
    publish,
    sync_folder,
)

log = logging.getLogger("ingestd.store")

#: Some times what a writer may have written without a sync.
VERIFY_BYTES: Final = 32 << 20

#: A description is a few hundred bytes, with all the services it may list less than half of this.
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
    with path.open("r+b") as file:
        file.truncate(result.good_bytes)
        os.fsync(file.fileno())  # even if nothing was torn: its writer may have died before its sync
    return Recovered(publish(path), result)


def _set_aside(path: Path, good_bytes: int) -> None:
    """Copy what follows `good_bytes` to a new `.bad` file and make that durable."""
    bad = free_bad(path)
    try:
        with path.open("rb") as file, bad.open("xb") as aside:
            file.seek(good_bytes)
            while piece := file.read(1 << 20):
                aside.write(piece)
            aside.flush()
            os.fsync(aside.fileno())
    except OSError:
        bad.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def strays(folder: Path, workers: int) -> dict[str, int]:
    """The `.open` files of numbers that none of `workers` has, by name, and who is to close each.

    To be asked once, when the daemon starts: later, such a number may be that of a worker that lives.
    """
    return {
        path.name: number % workers
        for path in folder.glob("log_*" + OPEN_SUFFIX)
        if (number := _worker_of(path)) is not None and number >= workers
    }


def leftovers(folder: Path, worker: int, strays: Mapping[str, int]) -> list[Path]:
    """The `.open` files this worker must close: those of its number and its share of the strays."""
    return sorted(
        path
        for path in folder.glob("log_*" + OPEN_SUFFIX)
        if strays.get(path.name, _worker_of(path)) == worker
    )


def take_over(
    folder: Path, worker: int, strays: Mapping[str, int], instance: str, counted_frames: int
) -> tuple[Recovery, int]:
    """Close what dead writers left, and find the frames that a predecessor of this `instance` wrote and did not count.

    Those have numbers above `counted_frames`. Returns also how many files could not be closed or read: they are left
    as they are, for the next start.
    """
    closed: list[Path] = []
    seen: list[Description] = []
    torn_bytes = failures = 0
    for path in leftovers(folder, worker, strays):
        try:
            final, result = recover(path)
        except OSError as error:
            failures += 1
            log.error("cannot recover %s: %s; it is left as it is", path, error.strerror)
            seen += _frames(path, VERIFY_BYTES)
            continue
        log.warning(
            "recovered %s: %d frames kept, %d bytes set aside", path, len(result.frames), result.torn_bytes
        )
        if final is not None:
            closed.append(final)
        torn_bytes += result.torn_bytes
        seen += result.frames
    uncounted = _uncounted(seen, worker, instance, counted_frames)
    for path in newest_closed(folder, worker):
        if path in closed or not (frames := _frames(path, verify_bytes=0)):
            continue
        if not (more := _uncounted(frames, worker, instance, counted_frames)):
            break
        uncounted |= more
    sources: Counter[str] = Counter()
    for frame in uncounted.values():
        sources.update(frame.sources)
    recovery = Recovery(
        segments=len(closed),
        torn_bytes=torn_bytes,
        frames=max(uncounted, default=counted_frames) - counted_frames,
        sources=sources,
        lines_bytes=sum(frame.lines_bytes for frame in uncounted.values()),
        written_bytes=sum(frame.frame_bytes for frame in uncounted.values()),
        clients=last_sequences(seen),
    )
    return recovery, failures


def last_sequences(frames: list[Description]) -> dict[str, int]:
    """The last sequence of each client in frames of a file, or of several."""
    last: dict[str, int] = {}
    for frame in frames:
        for client, sequence in frame.clients.items():
            last[client] = max(sequence, last.get(client, 0))
    return last


def _frames(path: Path, verify_bytes: int) -> list[Description]:
    """The frames of a file that is only looked at; none of one that cannot be read, or that retention took."""
    try:
        return walk(path, verify_bytes).frames
    except OSError as error:
        log.error("cannot read %s: %s", path, error.strerror)
        return []


def _uncounted(
    frames: list[Description], worker: int, instance: str, counted_frames: int
) -> dict[int, Description]:
    """Those of this instance that nobody counted, by number: a frame whose first try failed may be there twice."""
    return {
        frame.frame: frame
        for frame in frames
        if (frame.worker, frame.instance) == (worker, instance) and frame.frame > counted_frames
    }


def newest_closed(folder: Path, worker: int) -> Iterator[Path]:
    """This worker's closed segments, the newest first by time of last write, then by number."""
    found = []
    for path in folder.glob(f"log_{worker}_*{SUFFIX}"):
        try:
            found.append((path.stat().st_mtime_ns, len(path.name), path.name, path))
        except FileNotFoundError:
            continue  # retention took it meanwhile
    return (path for *_, path in sorted(found, reverse=True))


def _worker_of(path: Path) -> int | None:
    number = path.name.split("_")[1]
    return int(number) if number.isdecimal() else None
