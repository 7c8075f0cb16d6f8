"""Every call by which the store changes what is on disk, in one place: to be looked at, and made to fail in tests.

A file's content is durable once the file was synced, a name once its folder was; until then a power loss keeps any part
of it, in any order. Of what a sync that failed should have covered nothing is known, and a second one that returns
proves nothing, since Linux takes the pages for clean after the first (https://lwn.net/Articles/752063/): such data is
written again before it is synced again. All functions raise `OSError`.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def create(path: Path, folder_fd: int | None = None) -> int:
    """A new file, opened for writing; with `folder_fd`, in that folder, whatever stands at its path by now."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.open(path if folder_fd is None else path.name, flags, 0o640, dir_fd=folder_fd)


def reopen(path: Path) -> int:
    """A file that is there, opened for writing."""
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)


def close(fd: int) -> None:
    os.close(fd)


def write_at(fd: int, data: bytes, position: int) -> None:
    """Write all of `data`."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, position)
        view, position = view[written:], position + written


def truncate(fd: int, size_bytes: int) -> None:
    os.ftruncate(fd, size_bytes)


def sync_data(fd: int) -> None:
    """The content is on disk when this returns."""
    os.fdatasync(fd)


def sync(fd: int) -> None:
    """Content and size are on disk when this returns."""
    os.fsync(fd)


def sync_folder(folder: Path) -> None:
    """The names in `folder` are on disk when this returns."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def rename(source: Path, target: Path) -> None:
    """Durable once the folder is synced. `target` is replaced."""
    os.rename(source, target)  # noqa: PTH104 - this module's `os` is what tests replace


def remove(path: Path) -> None:
    """Durable once the folder is synced."""
    os.unlink(path)  # noqa: PTH108


def replace(path: Path, content: bytes) -> None:
    """Put a file in the place of `path`, whole or not at all; durable when this returns."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        fd = create(beside)
        try:
            write_at(fd, content, 0)
            sync(fd)
        finally:
            close(fd)
        rename(beside, path)
    except OSError:
        with contextlib.suppress(OSError):  # the next start removes it
            remove(beside)
        raise
    sync_folder(path.parent)
