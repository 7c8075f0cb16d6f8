"""The records that are there already: the last of them, or all, in the order of their receipt.

Within a worker the order is that of its files; lines of several workers are merged by `received_at`. The last lines are
looked for from the end: of a file the descriptions are read, which takes some milliseconds, and frames are decompressed
from the last one back until there are enough.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Self

from ingestd.terminal.folder import Entry, segments
from ingestd.terminal.frames import DamagedError, Frame
from ingestd.terminal.selection import Line, Selection, received
from ingestd.terminal.source import Report, Source, tell_failure


class History:
    """The segments of a folder as they are now, up to the last complete frame of each. A context manager.

    `ahead_s` is how far a timestamp may lie ahead of the receipt: what was last written so long before a selection's
    `since` is not looked at. Raises `FolderError`.
    """

    def __init__(self, folder: Path, report: Report, ahead_s: float) -> None:
        self._report = report
        self._ahead_s = ahead_s
        self._held: dict[Entry, tuple[Source, list[Frame]]] = {}
        self._missed: set[int] = set()
        while not self._hold(folder):
            self.close()

    def _hold(self, folder: Path) -> bool:
        """List the folder and open what is being written. False: some of that was renamed meanwhile."""
        self.entries = segments(folder)
        for entry in (entry for entry in self.entries if entry.is_open):
            source = None
            try:
                source = Source(entry, self._report)
                self._held[entry] = source, list(source.read(final=False))
            except FileNotFoundError as error:
                if entry.inode not in self._missed:
                    self._missed.add(entry.inode)
                    return False
                tell_failure(entry.path, error, self._report)
            except OSError as error:
                if source:
                    source.close()
                tell_failure(entry.path, error, self._report)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for source, _ in self.take_open():
            source.close()

    def take_open(self) -> list[tuple[Source, list[Frame]]]:
        """The files that are being written, read up to where this history ends, with their frames; the caller
        closes them."""
        held, self._held = self._held, {}
        return list(held.values())

    def last(self, selection: Selection, count: int) -> list[Line]:
        """The last `count` wanted lines."""
        found: list[Line] = []
        for entries in self._by_worker():
            found += self._last_of(entries, selection, count)
        found.sort(key=received)  # stable: lines of one worker and moment keep their order
        return found[-count:] if count else []

    def all(self, selection: Selection) -> Iterator[Line]:
        """All wanted lines."""
        return heapq.merge(*(self._all_of(entries, selection) for entries in self._by_worker()), key=received)

    def _by_worker(self) -> Iterator[list[Entry]]:
        return (list(entries) for _, entries in groupby(self.entries, key=lambda entry: entry.worker))

    def _last_of(self, entries: list[Entry], selection: Selection, count: int) -> list[Line]:
        """The last wanted lines of one worker."""
        found: deque[Line] = deque()
        for entry in reversed(entries):
            with closing(self._blocks(entry, selection, backwards=True)) as blocks:
                for lines in blocks:
                    found.extendleft(reversed(lines))
                    if len(found) >= count:
                        return list(found)[len(found) - count :]
        return list(found)

    def _all_of(self, entries: Iterable[Entry], selection: Selection) -> Iterator[Line]:
        """All wanted lines of one worker, a frame of them in memory."""
        for entry in entries:
            for lines in self._blocks(entry, selection):
                yield from lines

    def _blocks(self, entry: Entry, selection: Selection, backwards: bool = False) -> Generator[list[Line]]:
        """The wanted lines of a file by frame; none of a file that is too old or, by now, deleted."""
        held = self._held.get(entry)
        source = held[0] if held else None
        try:
            if self._too_old(entry, selection):
                return
            source = source or Source(entry, self._report)
            frames = held[1] if held else list(source.read(final=True))
            for frame in reversed(frames) if backwards else frames:
                try:
                    if lines := source.lines(frame, selection):
                        yield lines
                except DamagedError as error:
                    source.skip(frame, error)
        except FileNotFoundError:
            return
        except OSError as error:
            tell_failure(entry.path, error, self._report)
        finally:
            if source and not held:
                source.close()

    def _too_old(self, entry: Entry, selection: Selection) -> bool:
        if not selection.since or entry.is_open:
            return False
        since_s = datetime.fromisoformat(selection.since).timestamp()
        return entry.path.stat().st_mtime < since_s - self._ahead_s
