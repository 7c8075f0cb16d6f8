"""One segment file as a reader holds it: opened once, so that its renaming or deletion loses nothing of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ingestd.terminal.folder import Entry
from ingestd.terminal.frames import DamagedError, Frame, Gap, lines_of, walk
from ingestd.terminal.selection import Line, Selection
from ingestd.visible import visible

#: Told of what could not be read, in one line.
Report = Callable[[str], object]

#: A frame is written in one go: one that is not complete after so long is no longer in the making.
STALE_S: Final = 2.0


class Source:
    """An open segment file. `close()` when done with it. Raises `OSError`: `FileNotFoundError` where it was renamed or
    deleted since it was listed."""

    def __init__(self, entry: Entry, report: Report) -> None:
        self.entry = entry
        self.position = 0
        """Up to here it was read."""
        self._report = report
        self._told_torn = False
        self._fd = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self._fd)

    def read(self, *, final: bool) -> Iterator[Frame]:
        """The complete frames behind `position`, which moves with them. `final`: nothing more will be written.

        What cannot be read is told.
        """
        status = os.fstat(self._fd)
        size = status.st_size
        if self.entry.is_open and self.entry.limit_bytes is not None:
            size = min(size, self.entry.limit_bytes)
        # After a failure of the disk a file is cut; what is cut off comes again in another segment.
        self.position = min(self.position, size)
        for found in walk(self._fd, self.position, size, final=final):
            self.position = found.end
            if isinstance(found, Gap):
                self.tell(found)
            else:
                yield found
        stale = time.time() - status.st_mtime > STALE_S
        if self.position < size and stale and not self._told_torn:
            self._told_torn = True
            self.tell(Gap(self.position, size, "a frame is cut short; the daemon's next start sets it aside"))

    @property
    def inode(self) -> int:
        return os.fstat(self._fd).st_ino

    def lines(self, frame: Frame, selection: Selection) -> list[Line]:
        """The wanted lines of a frame. Raises `DamagedError`."""
        return selection.pick(lines_of(self._fd, frame)) if selection.may_hold(frame.description) else []

    def skip(self, frame: Frame, error: DamagedError) -> None:
        """Tell of a frame whose lines cannot be had."""
        self.tell(Gap(frame.start, frame.end, str(error)))

    def tell(self, gap: Gap) -> None:
        path = visible(str(self.entry.path))
        self._report(f"{path}: skipped {gap.end - gap.start} bytes at byte {gap.start}: {gap.why}")


def tell_failure(path: Path, error: OSError, report: Report) -> None:
    """A file that cannot be opened or read."""
    report(f"{visible(str(path))}: skipped: {error.strerror}")
