"""A segment: one file of complete zstd frames, each led by a skippable frame that says what is in it.

    segment     = { description | data }
    description = u32 0x184D2A5E | u32 length | JSON      a zstd skippable frame (RFC 8878, 3.1.2), little endian
    data        = one zstd frame with its content size and checksum; inside, LF-ended JSON lines

The JSON is a `Description`. It names the length of the data frame that follows, so that a reader can walk a segment
from description to description and decompress only what it wants; `zstdcat` skips the descriptions by itself.

A file's state is its name: `log_<worker>_<YYYYMMDD>_<HHMMSS>[_<n>].jsonl.zst.open` while it is written, the same
without `.open` once it is complete (finish, fsync, rename, fsync the folder), `….bad` for what recovery set aside.
"""

from __future__ import annotations

import itertools
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import zstandard

SUFFIX: Final = ".jsonl.zst"
OPEN_SUFFIX: Final = ".jsonl.zst.open"
BAD_SUFFIX: Final = ".bad"

#: One of the 16 skippable magics, 0x184D2A50 to 0x184D2A5F.
DESCRIPTION_MAGIC: Final = 0x184D2A5E
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
HEADER: Final = struct.Struct("<II")

#: More services than this in one frame, or longer names together, are not listed: the frame says so by an empty list.
#: A character takes at most six bytes of JSON, so a description stays far below `recovery.MAX_DESCRIPTION_BYTES`.
MAX_SERVICES: Final = 256
MAX_SERVICES_CHARACTERS: Final = 1 << 16


class Description(msgspec.Struct, frozen=True):
    """What one data frame holds. Version 1 of the layout; docs/formats.md documents it.

    `sources` counts records by `<format>/<transport>`; `services` is empty where there were more than 256 or their
    names longer than 64 Ki characters; `first` and `last` are the smallest and largest `timestamp`. `instance` and
    `frame` identify the frame: the daemon's run and the worker's running number in it. `clients` has the sequence of
    the last batch of each client in the frame; a frame of batches of which nothing was stored has no records.
    """

    v: int
    instance: str
    worker: int
    frame: int
    frame_bytes: int
    lines_bytes: int
    records: int
    first: str
    last: str
    levels: dict[str, int]
    services: list[str]
    sources: dict[str, int]
    clients: dict[str, int] = {}


_encode = msgspec.json.Encoder().encode
decode_description: Final = msgspec.json.Decoder(Description).decode


def pack_description(description: Description) -> bytes:
    """The skippable frame that leads a data frame."""
    payload = _encode(description)
    return HEADER.pack(DESCRIPTION_MAGIC, len(payload)) + payload


class Compressor:
    """Turns the chunks of a frame into one zstd frame. Not thread-safe: one per writer."""

    def __init__(self, level: int) -> None:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            level,
            # Records resemble their neighbours: a window that stays in the L2 cache costs a fifth less than the level's
            # own and finds as much (benchmarks/micro_store.py).
            window_log=17,
            write_checksum=True,
            write_content_size=True,
        )
        self._compressor = zstandard.ZstdCompressor(compression_params=parameters)

    def compress(self, chunks: list[bytes], total_bytes: int) -> bytes:
        """One complete frame. The GIL is released while zstd works."""
        stream = self._compressor.compressobj(size=total_bytes)
        parts = [stream.compress(chunk) for chunk in chunks]
        parts.append(stream.flush())
        return b"".join(parts)


class Segment:
    """One open segment file. Every method may raise `OSError`; then the caller calls `cut`, and `close` after it."""

    def __init__(self, folder: Path, stem: str) -> None:
        self.path, self._fd = _create(folder, stem)
        self.opened_s = time.monotonic()
        self.size_bytes = 0
        self._synced_bytes = 0

    def append(self, data: bytes) -> None:
        """Write all of `data` behind what is there."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self.size_bytes += len(data)

    def sync(self) -> None:
        """What was appended is on disk when this returns."""
        os.fdatasync(self._fd)
        self._synced_bytes = self.size_bytes

    def cut(self) -> None:
        """After a failure: cut off what was never synced, for the caller writes it again elsewhere."""
        os.ftruncate(self._fd, self._synced_bytes)
        self.size_bytes = self._synced_bytes

    def close(self) -> Path | None:
        """Finish the file under its closed name; returns that. An empty file is removed. The caller has synced or cut.

        The descriptor is given back whatever happens; after an error the file stays `.open`.
        """
        try:
            os.fsync(self._fd)
        finally:
            os.close(self._fd)
        if self.size_bytes:
            return publish(self.path)
        self.path.unlink()
        return None


def stem(prefix: str, worker: int) -> str:
    """`log_0_20261120_213000`: the name of a segment that begins now (UTC), without its suffix."""
    return f"{prefix}_{worker}_{time.strftime('%Y%m%d_%H%M%S', time.gmtime())}"


def pieces(data: bytes, start: int, size: int) -> Iterator[memoryview]:
    """`data` from `start` on in pieces of `size` bytes, uncopied."""
    view = memoryview(data)
    return (view[at : at + size] for at in range(start, len(view), size))


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable: a rename is not until its folder is synced."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def publish(path: Path) -> Path:
    """Rename a synced `.open` file to its closed name and make that durable; returns the name it has now.

    A closed segment is never overwritten: where the name is taken, the next free `_<n>` is used. (The data folder
    belongs to one daemon and a worker's names to one worker, so nobody takes it between the look and the rename.)
    """
    name = path.name.removesuffix(OPEN_SUFFIX)
    final = path.with_name(name + SUFFIX)
    if final.exists():
        base = "_".join(name.split("_")[:4])  # log, worker, date, time
        final = path.with_name(next(_free_names(path.parent, base)) + SUFFIX)
    path.rename(final)
    sync_folder(path.parent)
    return final


def free_bad(path: Path) -> Path:
    """Where the torn part of `path` is set aside: the first free of `<name>.bad`, `<name>.1.bad`, …"""
    name = path.name.removesuffix(".open")
    bads = itertools.chain([BAD_SUFFIX], (f".{number}{BAD_SUFFIX}" for number in itertools.count(1)))
    return next(bad for bad in (path.with_name(name + suffix) for suffix in bads) if not bad.exists())


def _free_names(folder: Path, base: str) -> Iterator[str]:
    """`base`, `base_1`, `base_2`, …: those that no segment has, open or closed."""
    for number in itertools.count():
        name = f"{base}_{number}" if number else base
        if not any((folder / (name + suffix)).exists() for suffix in (SUFFIX, OPEN_SUFFIX)):
            yield name


def _create(folder: Path, base: str) -> tuple[Path, int]:
    """A new `.open` file whose closed name is free too."""
    path = folder / (next(_free_names(folder, base)) + OPEN_SUFFIX)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        sync_folder(folder)
    except OSError:
        os.close(fd)
        path.unlink()
        raise
    return path, fd
