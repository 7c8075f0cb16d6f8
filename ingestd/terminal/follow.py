"""New records as they reach the disk, over rotations, restarts and the death of workers, each once.

The folder is listed when it changes. A file is opened as soon as it is seen and kept open until it has its closed name
(or is deleted) and was read to its end, so it is one file whatever it is called meanwhile. When a disk fails, a writer
writes frames again that it could not sync; a copy is told by its description and left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ingestd.store.segment import Description
from ingestd.terminal.folder import Entry, FolderError, segments
from ingestd.terminal.frames import DamagedError, Frame
from ingestd.terminal.order import Order
from ingestd.terminal.selection import Line, Selection
from ingestd.terminal.source import Report, Source, tell_failure

#: Frames of a worker whose copies are known: more than are ever waiting for a sync.
_REMEMBERED: Final = 4096

#: Lines read of one file before the others have their turn.
_TURN_BYTES: Final = 8 << 20

#: After a listing comes a pause of so many times its length: of a folder of very many segments it takes a while.
_REST: Final = 10

#: A folder that changed so recently may change again within one tick of the file system's clock.
_TICK_S: Final = 1.0

_Identity = tuple[object, ...]


class Follower:
    """Follows the segments of `folder`. `poll` often; `close` at the end.

    `seen` are the segments of which nothing more is wanted, but for those that are `held` open, with what was read of
    them: as `History` leaves them.
    """

    def __init__(
        self,
        folder: Path,
        selection: Selection,
        report: Report,
        seen: Iterable[Entry],
        held: Iterable[tuple[Source, list[Frame]]],
    ) -> None:
        self._folder = folder
        self._selection = selection
        self._report = report
        self._sources: dict[int, Source] = {}
        self._known: dict[int, dict[_Identity, None]] = {}
        self._done = {entry.closed_name for entry in seen}
        self._listed = {entry.inode: entry for entry in seen}
        for source, frames in held:
            self._sources[source.inode] = source
            self._done.discard(source.entry.closed_name)
            for frame in frames[-_REMEMBERED:]:
                self._is_copy(frame.description)
        self._folder_changed_ns = 0
        self._look_again_s = 0.0
        self._missing = False
        self._order = Order()

    def poll(self) -> tuple[list[Line], bool]:
        """The lines whose turn it is, and whether there is more to read at once."""
        self._look()
        more = False
        for inode, source in list(self._sources.items()):
            try:
                more |= self._read(inode, source)
            except OSError as error:
                tell_failure(source.entry.path, error, self._report)
                self._drop(inode)
        return self._order.take(time.monotonic()), more

    def finish(self) -> list[Line]:
        """The lines that were held back."""
        return self._order.take_all()

    def close(self) -> None:
        for inode in list(self._sources):
            self._drop(inode)

    def _look(self) -> None:
        """List the folder if it may have changed; open what is new."""
        began_s = time.monotonic()
        if began_s < self._look_again_s:
            return
        try:
            changed_ns = self._folder.stat().st_mtime_ns
            if changed_ns == self._folder_changed_ns:
                return
            entries = segments(self._folder)
            self._look_again_s = time.monotonic() + _REST * (time.monotonic() - began_s)
        except (OSError, FolderError) as error:
            if not self._missing:
                self._missing = True
                why = error if isinstance(error, FolderError) else f"{self._folder}: {error.strerror}"
                self._report(f"{why}; waiting for it")
            return
        self._missing = False
        self._folder_changed_ns = 0 if time.time_ns() - changed_ns < _TICK_S * 1e9 else changed_ns
        self._listed = {entry.inode: entry for entry in entries}
        names = {entry.closed_name for entry in entries}
        self._done &= names
        for entry in entries:
            if entry.inode in self._sources:
                self._sources[entry.inode].entry = entry
            elif entry.closed_name not in self._done:
                self._adopt(entry)

    def _adopt(self, entry: Entry) -> None:
        try:
            source = Source(entry, self._report)
        except FileNotFoundError:
            self._folder_changed_ns = 0  # renamed just now: listed again by the next poll
            return
        except OSError as error:
            tell_failure(entry.path, error, self._report)
            self._done.add(entry.closed_name)
            return
        if source.inode != entry.inode:  # another file by now
            source.close()
            self._folder_changed_ns = 0
            return
        self._sources[entry.inode] = source

    def _read(self, inode: int, source: Source) -> bool:
        """Read on in one file; whether there is more of it."""
        listed = self._listed.get(inode)
        final = listed is None or not listed.is_open  # known before the read: what comes after it is nothing
        turn_bytes = 0
        for frame in source.read(final=final):
            if not self._is_copy(frame.description):
                try:
                    self._order.add(
                        source.entry.worker, source.lines(frame, self._selection), time.monotonic()
                    )
                except DamagedError as error:
                    source.skip(frame, error)
            turn_bytes += frame.description.lines_bytes
            if turn_bytes > _TURN_BYTES:
                return True
        if final:
            self._drop(inode)
        return False

    def _drop(self, inode: int) -> None:
        source = self._sources.pop(inode)
        self._done.add(source.entry.closed_name)
        source.close()

    def _is_copy(self, frame: Description) -> bool:
        """Whether this frame was met before; it has been from now on."""
        known = self._known.setdefault(frame.worker, {})
        key = _identity(frame)
        if key in known:
            return True
        known[key] = None
        if len(known) > _REMEMBERED:
            del known[next(iter(known))]
        return False


def _identity(frame: Description) -> _Identity:
    """What copies of a frame have in common, and no two frames."""
    return frame.instance, frame.frame, frame.frame_bytes, frame.lines_bytes, frame.first, frame.last
