"""What a worker does first: close what dead writers left, and find what of it nobody lived to count.

A file that cannot be read, synced or closed at once is tried again later (`TakeOver.again`), while new batches are
written beside it. Until all are decided it is open what the dead writers' clients have on disk, and what of the records
that were in flight was written; `Recovery.complete` says when both are known.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ingestd.store import disk
from ingestd.store.batch import Recovery
from ingestd.store.folder import Folder
from ingestd.store.recovery import finish, secure, walk
from ingestd.store.segment import CUT_SUFFIX, OPEN_SUFFIX, SUFFIX, Description

log = logging.getLogger("ingestd.store")


class Mine(NamedTuple):
    """Which files and frames are those of a worker: by its number, by the daemon's run, by what of it was counted.

    `strays` are the `.open` files of numbers that nobody has today, by name, and who is to close each (see `strays`).
    """

    worker: int
    strays: Mapping[str, int]
    instance: str
    counted_frames: int


class TakeOver:
    """What one worker finds in the data folder, and how far it got with it."""

    def __init__(self, folder: Folder, mine: Mine) -> None:
        self._folder = folder
        self._mine = mine
        self._undecided: list[Path] = []
        self._unclosed: list[Path] = []
        self._clients: dict[str, int] = {}
        self._told: set[Path] = set()

    @property
    def pending(self) -> bool:
        """Whether files are left that must be tried again."""
        return bool(self._undecided or self._unclosed)

    def begin(self) -> tuple[Recovery, int]:
        """Take all there is; returns also how many files failed. Raises `OSError` where the folder itself fails."""
        self._folder.check()
        self._undecided = leftovers(self._folder.path, self._mine.worker, self._mine.strays)
        self._remove_stale_marks()
        return self._go_on(first=True)

    def again(self) -> tuple[Recovery | None, int]:
        """Try what failed before; None where that came to nothing. Raises `OSError` as `begin` does."""
        self._folder.check()
        before = len(self._undecided), len(self._unclosed)
        recovery, failures = self._go_on(first=False)
        return None if (len(self._undecided), len(self._unclosed)) == before else recovery, failures

    def leave(self, path: Path) -> None:
        """The writer could not close this file of its own; all that counts of it was counted."""
        self._unclosed.append(path)

    def _go_on(self, first: bool) -> tuple[Recovery, int]:
        undecided, self._undecided = self._undecided, []
        unclosed, self._unclosed = self._unclosed, []
        seen: list[Description] = []
        closed: list[Path] = []
        torn_bytes = 0
        for path in (*undecided, *unclosed):
            decided = path in unclosed
            try:
                result = secure(path)
                if not decided:
                    seen += result.frames
                decided = True
                final = finish(path, result)
            except OSError as error:
                if isinstance(error, FileNotFoundError) and self._folder.is_there():
                    log.error("%s is gone; the daemon goes on without it", path)
                    continue
                (self._unclosed if decided else self._undecided).append(path)
                self._tell(path, error)
            else:
                self._told.discard(path)
                torn_bytes += result.torn_bytes
                closed += [final] if final is not None else []
                log.warning(
                    "recovered %s: %d frames kept, %d bytes set aside",
                    path,
                    len(result.frames),
                    result.torn_bytes,
                )
        found = self._uncounted(seen)
        if first:
            found |= self._uncounted_in_closed(closed)
        for client, sequence in last_sequences(seen).items():
            self._clients[client] = max(sequence, self._clients.get(client, 0))
        failures = len(self._undecided) + len(self._unclosed)
        counted = self._mine.counted_frames
        frames = (
            max(found, default=counted) - counted if first else 0
        )  # later, the numbers are those of our own
        return self._recovery(closed, torn_bytes, found, frames), failures

    def _recovery(
        self, closed: list[Path], torn_bytes: int, found: Mapping[int, Description], frames: int
    ) -> Recovery:
        sources: Counter[str] = Counter()
        for frame in found.values():
            sources.update(frame.sources)
        return Recovery(
            segments=len(closed),
            torn_bytes=torn_bytes,
            frames=frames,
            sources=sources,
            lines_bytes=sum(frame.lines_bytes for frame in found.values()),
            written_bytes=sum(frame.frame_bytes for frame in found.values()),
            clients=dict(self._clients),
            complete=not self._undecided,
        )

    def _tell(self, path: Path, error: OSError) -> None:
        """Once a file: it is tried again every few seconds."""
        if path not in self._told:
            self._told.add(path)
            log.error("cannot recover %s: %s; it is left as it is and tried again", path, error.strerror)

    def _uncounted_in_closed(self, closed: list[Path]) -> dict[int, Description]:
        """Frames that the dead predecessor closed itself, but did not live to count: in its newest segments."""
        found: dict[int, Description] = {}
        for path in newest_closed(self._folder.path, self._mine.worker):
            if path in closed or not (frames := _frames(path)):
                continue
            if not (more := self._uncounted(frames)):
                break
            found |= more
        return found

    def _uncounted(self, frames: list[Description]) -> dict[int, Description]:
        """Those of this instance that nobody counted, by number: one whose first try failed may be there twice."""
        worker, _, instance, counted_frames = self._mine
        return {
            frame.frame: frame
            for frame in frames
            if (frame.worker, frame.instance) == (worker, instance) and frame.frame > counted_frames
        }

    def _remove_stale_marks(self) -> None:
        """Marks whose file was closed, in the instant before a crash."""
        for mark in self._folder.path.glob(f"log_{self._mine.worker}_*{CUT_SUFFIX}"):
            if not mark.with_name(mark.name.partition(".")[0] + OPEN_SUFFIX).exists():
                disk.remove(mark)


def strays(folder: Path, workers: int) -> dict[str, int]:
    """The `.open` files of numbers that none of `workers` has, by name, and who is to close each.

    To be asked once, when the daemon starts: later, such a number may be that of a worker that lives.
    """
    return {
        path.name: number % workers
        for path in folder.glob("log_*" + OPEN_SUFFIX)
        if (number := _worker_of(path)) is not None and number >= workers
    }


def leftovers(folder: Path, worker: int, strays: Mapping[str, int]) -> list[Path]:
    """The `.open` files this worker must close: those of its number and its share of the strays."""
    return sorted(
        path
        for path in folder.glob("log_*" + OPEN_SUFFIX)
        if strays.get(path.name, _worker_of(path)) == worker
    )


def last_sequences(frames: list[Description]) -> dict[str, int]:
    """The last sequence of each client in frames of a file, or of several."""
    last: dict[str, int] = {}
    for frame in frames:
        for client, sequence in frame.clients.items():
            last[client] = max(sequence, last.get(client, 0))
    return last


def newest_closed(folder: Path, worker: int) -> Iterator[Path]:
    """This worker's closed segments, the newest first by time of last write, then by number."""
    found = []
    for path in folder.glob(f"log_{worker}_*{SUFFIX}"):
        try:
            found.append((path.stat().st_mtime_ns, len(path.name), path.name, path))
        except FileNotFoundError:
            continue  # retention took it meanwhile
    return (path for *_, path in sorted(found, reverse=True))


def _frames(path: Path) -> list[Description]:
    """The frames of a closed segment; none of one that cannot be read, or that retention took."""
    try:
        return walk(path, verify_bytes=0).frames
    except OSError as error:
        log.error("cannot read %s: %s", path, error.strerror)
        return []


def _worker_of(path: Path) -> int | None:
    number = path.name.split("_")[1]
    return int(number) if number.isdecimal() else None
