"""A segment: one file of complete zstd frames, each led by a skippable frame that says what is in it.

    segment     = { description | data }
    description = u32 0x184D2A5E | u32 length | JSON      a zstd skippable frame (RFC 8878, 3.1.2), little endian
    data        = one zstd frame with its content size and checksum; inside, LF-ended JSON lines

The JSON is a `Description`. It names the length of the data frame that follows, so that a reader can walk a segment
from description to description and decompress only what it wants; `zstdcat` skips the descriptions by itself.

A file's state is its name: `log_<worker>_<YYYYMMDD>_<HHMMSS>[_<n>].jsonl.zst.open` while it is written, the same
without `.open` once it is complete (finish, fsync, rename, fsync the folder), `….bad` for what recovery set aside.
Beside an `.open` file that a disk would not let cut, an empty `log_….<bytes>.cut` says how much of it counts.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import zstandard

from ingestd.store import disk
from ingestd.store.folder import Folder

SUFFIX: Final = ".jsonl.zst"
OPEN_SUFFIX: Final = ".jsonl.zst.open"
BAD_SUFFIX: Final = ".bad"
CUT_SUFFIX: Final = ".cut"

#: Written and not yet synced, at most, beside the last frame; also what is held in memory for a rewrite.
SYNC_BYTES: Final = 8 << 20

#: What a disk writes at a time: what was synced shares its last block with what is written behind it.
BLOCK_BYTES: Final = 4096

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
    """One open segment file. Every method may raise `OSError`; then the caller calls `cut`, and `close` after it, or
    where the file cannot be cut `condemn`."""

    def __init__(self, folder: Folder, stem: str) -> None:
        self._folder = folder
        self.path, self._fd = _create(folder, stem)
        self._status = os.fstat(self._fd)
        self.opened_s = time.monotonic()
        self.size_bytes = self._synced_bytes = 0
        self._edge = self._synced_edge = b""  # what is in the last block

    def append(self, data: bytes) -> None:
        """Write all of `data` behind what is there."""
        disk.write_at(self._fd, data, self.size_bytes)
        self.size_bytes += len(data)
        over = self.size_bytes % BLOCK_BYTES
        end = data if len(data) >= over else self._edge + data
        self._edge = end[len(end) - over :]

    def sync(self) -> None:
        """What was appended is on disk when this returns, and where it belongs."""
        disk.sync_data(self._fd)
        if not os.path.samestat(self.path.stat(), self._status):
            raise OSError(errno.ESTALE, "another file is in its place")
        self._synced_bytes, self._synced_edge = self.size_bytes, self._edge

    def cut(self) -> None:
        """After a failure: cut off what was never synced, for the caller writes it again elsewhere.

        The block in which the cut falls was part of what failed, so what stays of it is written again too.
        """
        disk.truncate(self._fd, self._synced_bytes)
        disk.write_at(self._fd, self._synced_edge, self._synced_bytes - len(self._synced_edge))
        disk.sync(self._fd)
        self.size_bytes = self._synced_bytes

    def condemn(self) -> bool:
        """Where it cannot be cut: give the file up, and leave a mark beside it upon which recovery cuts it. One of
        which nothing counts is removed instead. Returns whether it is there. After an error it can be tried again."""
        mark = self.path.with_name(f"{_stem_of(self.path)}.{self._synced_bytes}{CUT_SUFFIX}")
        with self._folder.opened() as folder_fd:
            with contextlib.suppress(FileExistsError, FileNotFoundError):  # after a try whose sync failed
                if self._synced_bytes:
                    disk.close(disk.create(mark, folder_fd))
                else:
                    disk.remove(self.path)
            disk.sync(folder_fd)
        self._close_descriptor()
        return self._synced_bytes > 0

    def close(self) -> Path | None:
        """Finish the file under its closed name; returns that. An empty file is removed. The caller has synced or cut.

        The descriptor is given back whatever happens; after an error the file stays `.open`.
        """
        try:
            disk.sync(self._fd)
        finally:
            self._close_descriptor()
        if self.size_bytes:
            return publish(self.path)
        disk.remove(self.path)
        return None

    def _close_descriptor(self) -> None:
        with contextlib.suppress(
            OSError
        ):  # close(2): it is given back all the same, and what counts was synced
            disk.close(self._fd)


def stem(prefix: str, worker: int) -> str:
    """`log_0_20261120_213000`: the name of a segment that begins now (UTC), without its suffix."""
    return f"{prefix}_{worker}_{time.strftime('%Y%m%d_%H%M%S', time.gmtime())}"


def pieces(data: bytes, start: int, size: int) -> Iterator[memoryview]:
    """`data` from `start` on in pieces of `size` bytes, uncopied."""
    view = memoryview(data)
    return (view[at : at + size] for at in range(start, len(view), size))


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
    disk.rename(path, final)
    disk.sync_folder(path.parent)
    return final


def cut_marks(path: Path) -> list[Path]:
    """The marks of an `.open` file that it is to be cut; one at most, where nobody made others."""
    return sorted(path.parent.glob(f"{_stem_of(path)}.*{CUT_SUFFIX}"))


def marked_bytes(mark: Path) -> int:
    """How much counts of the file that `mark` is of. Raises `ValueError` for a name that we did not make."""
    return int(mark.name.split(".")[1])


def free_bad(path: Path) -> Path:
    """Where the torn part of `path` is set aside: the first free of `<name>.bad`, `<name>.1.bad`, …"""
    name = path.name.removesuffix(".open")
    bads = itertools.chain([BAD_SUFFIX], (f".{number}{BAD_SUFFIX}" for number in itertools.count(1)))
    return next(bad for bad in (path.with_name(name + suffix) for suffix in bads) if not bad.exists())


def _stem_of(path: Path) -> str:
    return path.name.partition(".")[0]


def _free_names(folder: Path, base: str) -> Iterator[str]:
    """`base`, `base_1`, `base_2`, …: those that no segment has, open, closed, or to be cut."""
    for number in itertools.count():
        name = f"{base}_{number}" if number else base
        taken = any((folder / (name + suffix)).exists() for suffix in (SUFFIX, OPEN_SUFFIX))
        if not taken and not cut_marks(folder / name):
            yield name


def _create(folder: Folder, base: str) -> tuple[Path, int]:
    """A new `.open` file whose closed name is free too."""
    path = folder.path / (next(_free_names(folder.path, base)) + OPEN_SUFFIX)
    with folder.opened() as folder_fd:
        fd = disk.create(path, folder_fd)
        try:
            disk.sync(folder_fd)
        except OSError:
            disk.close(fd)
            with contextlib.suppress(OSError):  # empty, so recovery removes it
                disk.remove(path)
            raise
    return path, fd
