"""An open segment of the spool: one writer, which keeps the positions, so that a failed write leaves no trace."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from ingestd.client import segment
from ingestd.client.segment import Entry, Found

log = logging.getLogger("ingestd.client")


class SegmentFile:
    """An open segment."""

    def __init__(self, path: Path, first: int) -> None:
        """Raises OSError."""
        self.path = path
        self.first = first
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self.entries: list[Entry] = []
        self.size_bytes = 0
        self.synced_bytes = 0
        self.synced_entries = 0

    @classmethod
    def reopen(cls, found: Found) -> SegmentFile:
        """One that a process left; what could not be read of it is set aside. Raises OSError."""
        if found.torn_bytes:
            bad = segment.set_aside(found.path, found.good_bytes)
            log.warning("%s: %d bytes that do not read are now in %s", found.path, found.torn_bytes, bad.name)
        file = cls(found.path, found.first)
        file.size_bytes = found.good_bytes
        if not found.good_bytes:
            file.append(segment.MAGIC)
        file.entries = found.entries
        file.sync()
        return file

    @property
    def end(self) -> int:
        """The sequence behind its last batch."""
        return self.first + len(self.entries)

    def append(self, data: bytes) -> None:
        """Write all of it. Raises OSError: it has not grown, and the next write goes where this one began."""
        view, at = memoryview(data), self.size_bytes
        while view:
            written = os.pwrite(self.fd, view, at)
            view, at = view[written:], at + written
        self.size_bytes = at

    def truncate(self, size_bytes: int) -> None:
        """Cut it. Raises OSError."""
        os.ftruncate(self.fd, size_bytes)
        self.size_bytes = size_bytes

    def sync(self) -> None:
        """Raises OSError."""
        os.fdatasync(self.fd)
        self.synced_bytes = self.size_bytes
        self.synced_entries = len(self.entries)
