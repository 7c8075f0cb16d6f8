"""The data folder as it was when the daemon locked it: its path may lead elsewhere later.

A file system is unmounted and its empty mount point is there instead, a folder is renamed, deleted, made anew: what is
written there then is not found where it belongs. So a folder is known by its device and inode, and files are made in it
by its descriptor.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self


class Folder(NamedTuple):
    """A folder that must stay the same. `device` and `inode` are those of stat(2)."""

    path: Path
    device: int
    inode: int

    @classmethod
    def at(cls, path: Path) -> Self:
        """The folder that is at `path` now. Raises `OSError`."""
        status = path.stat()
        return cls(path, status.st_dev, status.st_ino)

    def check(self) -> None:
        """Raises `OSError` where another folder, or none, is at the path."""
        self._compare(self.path.stat())

    def is_there(self) -> bool:
        """Whether it is at its path, and nothing keeps us from seeing that."""
        try:
            self.check()
        except OSError:
            return False
        return True

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor of it. Raises `OSError` as `check` does."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._compare(os.fstat(fd))
            yield fd
        finally:
            os.close(fd)

    def _compare(self, status: os.stat_result) -> None:
        if (status.st_dev, status.st_ino) != (self.device, self.inode):
            raise OSError(errno.ESTALE, "another folder is there than at the start")
