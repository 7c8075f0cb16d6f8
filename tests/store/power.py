"""A disk whose power can be cut at any call: what the store asks of it is recorded, and made into what may be left.

`RecordingOs` stands in the place of `disk.os`. The files it works on are real; nothing is synced, for what a sync is
worth is decided by `left_over`, which makes a folder as a power loss at some moment may leave it:

- what a sync that returned had covered is there; of anything else, block by block, all, some sectors, or nothing;
- what a sync that failed had covered stays uncertain, however many syncs return after it;
- names are there as the last sync of their folder left them; of later changes any may be, in any order.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

BLOCK_BYTES = 4096
SECTOR_BYTES = 512


class Create(NamedTuple):
    path: Path
    file: int


class Write(NamedTuple):
    file: int
    position: int
    data: bytes


class Truncate(NamedTuple):
    file: int
    size_bytes: int


class Sync(NamedTuple):
    file: int
    returned: bool


class Rename(NamedTuple):
    source: Path
    target: Path


class Remove(NamedTuple):
    path: Path


class SyncFolder(NamedTuple):
    path: Path


class Told(NamedTuple):
    """Not of the disk: from here on `client` knows that all up to `sequence` is durable."""

    client: str
    sequence: int


Event = Create | Write | Truncate | Sync | Rename | Remove | SyncFolder | Told

#: Which calls may fail, and of what.
FAULTS = {
    "open": errno.ENOSPC,
    "pwrite": errno.ENOSPC,
    "fsync": errno.EIO,
    "fdatasync": errno.EIO,
    "ftruncate": errno.EIO,
    "rename": errno.EIO,
    "unlink": errno.EIO,
}


class RecordingOs:
    """The `os` module, as far as `ingestd.store.disk` uses it. While `fault_rate` is not 0, any call may fail."""

    def __init__(self, random: Random) -> None:
        self.events: list[Event] = []
        self.fault_rate = 0.0
        #: Threads other than the main one end at their next call, as in a process that is killed.
        self.killed = False
        #: A call that always fails, and is the last one before the end.
        self.deadly = ""
        self.failed: Counter[str] = Counter()
        self._random = random
        self._files: dict[Path, int] = {}
        self._open: dict[int, int] = {}
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def load(self, folder: Path) -> None:
        """Begin with what is in `folder`, all of it durable."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file = self._made(path)
                self.events += [Write(file, 0, path.read_bytes()), Sync(file, True), SyncFolder(path.parent)]

    def tell(self, client: str, sequence: int) -> None:
        with self._lock:
            self.events.append(Told(client, sequence))

    def _made(self, path: Path) -> int:
        file = sum(isinstance(event, Create) for event in self.events)
        self._files[path] = file
        self.events.append(Create(path, file))
        return file

    def _fails(self, call: str) -> bool:
        if self.killed and threading.current_thread() is not threading.main_thread():
            raise SystemExit
        self.killed |= call == self.deadly
        fails = call == self.deadly or (self.fault_rate > 0 and self._random.random() < self.fault_rate)
        self.failed[call] += fails
        return fails

    def _may_fail(self, call: str) -> None:
        if self._fails(call):
            raise OSError(FAULTS[call], os.strerror(FAULTS[call]))

    def open(self, path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        full = Path(path) if dir_fd is None else Path(f"/proc/self/fd/{dir_fd}").readlink() / path
        with self._lock:
            if flags & os.O_CREAT:
                self._may_fail("open")
            fd = os.open(path, flags, mode, dir_fd=dir_fd)
            if flags & os.O_CREAT:
                self._made(full)
            if full in self._files:
                self._open[fd] = self._files[full]
            return fd

    def close(self, fd: int) -> None:
        with self._lock:
            self._open.pop(fd, None)
            os.close(fd)

    def pwrite(self, fd: int, data: memoryview, position: int) -> int:
        with self._lock:
            if short := self._fails("pwrite"):
                data = data[: self._random.randrange(len(data) + 1)]
            self.events.append(Write(self._open[fd], position, bytes(data)))
            os.pwrite(fd, data, position)
            if short and self._random.random() < 0.5:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return len(data)

    def ftruncate(self, fd: int, size_bytes: int) -> None:
        with self._lock:
            self._may_fail("ftruncate")
            self.events.append(Truncate(self._open[fd], size_bytes))
            os.ftruncate(fd, size_bytes)

    def fdatasync(self, fd: int) -> None:
        self.fsync(fd, "fdatasync")

    def fsync(self, fd: int, call: str = "fsync") -> None:
        with self._lock:
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                self._may_fail(call)
                self.events.append(SyncFolder(Path(f"/proc/self/fd/{fd}").readlink()))
                return
            fails = self._fails(call)
            self.events.append(Sync(self._open[fd], not fails))
            if fails:
                raise OSError(FAULTS[call], os.strerror(FAULTS[call]))

    def rename(self, source: Path, target: Path) -> None:
        with self._lock:
            self._may_fail("rename")
            os.rename(source, target)  # noqa: PTH104 - what stands for `os` calls `os`
            self._files[target] = self._files.pop(source)
            self.events.append(Rename(source, target))

    def unlink(self, path: Path) -> None:
        with self._lock:
            self._may_fail("unlink")
            os.unlink(path)  # noqa: PTH108
            self._files.pop(path, None)
            self.events.append(Remove(path))


def told(events: list[Event]) -> dict[str, int]:
    """What each client knows to be durable."""
    return {event.client: event.sequence for event in events if isinstance(event, Told)}


def left_over(events: list[Event], root: Path, target: Path, random: Random) -> None:
    """Make `target` what a power loss behind `events` may leave of `root`."""
    changes: dict[int, list[tuple[Write | Truncate, bool]]] = {}
    pending: dict[int, list[Write | Truncate]] = {}
    names: dict[Path, int] = {}
    unsettled: list[Create | Rename | Remove] = []
    for event in events:
        match event:
            case Create():
                changes[event.file], pending[event.file] = [], []
                unsettled.append(event)
            case Rename() | Remove():
                unsettled.append(event)
            case Write() | Truncate():
                pending[event.file].append(event)
            case Sync(file, returned):
                changes[file] += [(change, returned) for change in pending[file]]
                pending[file] = []
            case SyncFolder(path):
                for each in unsettled:
                    if _folder(each) == path:
                        _rename(names, each)
                unsettled = [each for each in unsettled if _folder(each) != path]
    for each in unsettled:
        if random.random() < 0.5:
            _rename(names, each)
    for path, file in names.items():
        copy = target / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        all_changes = changes[file] + [(change, False) for change in pending[file]]
        copy.write_bytes(_content(all_changes, random))


def _folder(event: Create | Rename | Remove) -> Path:
    return event.target.parent if isinstance(event, Rename) else event.path.parent


def _rename(names: dict[Path, int], event: Create | Rename | Remove) -> None:
    match event:
        case Create(path, file):
            names[path] = file
        case Rename(source, target) if source in names:
            names[target] = names.pop(source)
        case Remove(path):
            names.pop(path, None)


def _content(changes: list[tuple[Write | Truncate, bool]], random: Random) -> bytes:
    content = bytearray()
    for change, certain in changes:
        match change:
            case Truncate(_, size_bytes) if certain or random.random() < 0.5:
                content[size_bytes:] = bytes(max(0, size_bytes - len(content)))
            case Write(_, position, data) if certain:
                _put(content, position, data)
            case Write(_, position, data):
                for start, block in _blocks(position, data):
                    kept = random.choice([0, len(block), random.randrange(BLOCK_BYTES)])
                    end = (start + kept) // SECTOR_BYTES * SECTOR_BYTES if kept < len(block) else start + kept
                    _put(content, start, block[: max(0, end - start)])
    return bytes(content)


def _blocks(position: int, data: bytes) -> list[tuple[int, bytes]]:
    """The pieces of a write that fall into one block each."""
    pieces, end = [], position + len(data)
    while position < end:
        until = min(end, (position // BLOCK_BYTES + 1) * BLOCK_BYTES)
        pieces.append((position, data[len(data) - (end - position) : len(data) - (end - until)]))
        position = until
    return pieces


def _put(content: bytearray, position: int, data: bytes) -> None:
    if data:
        content.extend(bytes(max(0, position - len(content))))
        content[position : position + len(data)] = data
