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

import os
import struct
import time
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

#: More services than this in one frame are not listed, and the frame says so by an empty list.
MAX_SERVICES: Final = 256


class Description(msgspec.Struct, frozen=True):
    """What one data frame holds. Version 1 of the layout; docs/formats.md documents it.

    `sources` counts records by `<format>/<transport>`; `services` is empty where there were more than 256;
    `first` and `last` are the smallest and largest `timestamp`. `instance` and `frame` identify the frame: the daemon's
    run and the worker's running number in it.
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
    """One open segment file. Every method may raise `OSError`; then the caller calls `abandon`."""

    def __init__(self, folder: Path, stem: str) -> None:
        self._folder = folder
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

    def close(self) -> Path:
        """Finish the file under its final name; returns that. The caller has synced."""
        os.fsync(self._fd)
        os.close(self._fd)
        final = self.path.with_name(self.path.name.removesuffix(".open"))
        self.path.rename(final)
        sync_folder(self._folder)
        return final

    def abandon(self) -> None:
        """After a failure: cut off what was never synced (the caller writes it again elsewhere) and finish the rest."""
        os.ftruncate(self._fd, self._synced_bytes)
        self.close()


def stem(prefix: str, worker: int) -> str:
    """`log_0_20261120_213000`: the name of a segment that begins now (UTC), without its suffix."""
    return f"{prefix}_{worker}_{time.strftime('%Y%m%d_%H%M%S', time.gmtime())}"


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable: a rename is not until its folder is synced."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _create(folder: Path, base: str) -> tuple[Path, int]:
    """A new `.open` file whose closed name is free too: `base`, then `base_1`, `base_2`, …"""
    number = 0
    while True:
        name = base + (f"_{number}" if number else "")
        path = folder / (name + OPEN_SUFFIX)
        number += 1
        if (folder / (name + SUFFIX)).exists():
            continue
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        except FileExistsError:
            continue
        sync_folder(folder)
        return path, fd
