"""The spool: every batch is here before it travels and until it is acknowledged, so that a kill -9 costs nothing.

    <spool_dir>/    lock    state.json    acknowledged    00000000000000000001.batches    ….batches.bad

A batch and its sequence become durable together, by one write to the newest segment (segment.py); only then is it sent.
Segments go once all of their batches are acknowledged, but for the newest, whose name keeps the next sequence.

Numbers are never used twice. A torn tail was never sent whole, yet bytes that do not read may also be a batch that was,
spoiled since; and after a power cut a spool that syncs now and then may have forgotten what it sent. Wherever that is
possible, a new run begins (state.py), under an id that no server knows; so does one where a server knows less of us
than it should, as one does that we come back to. What came before is finished under the old id first.

Limits. One process a folder, one thread. `spool_bytes` bounds the segments; `.bad` files are the operator's.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise, zip_longest
from typing import Final

from ingestd.client import segment, state
from ingestd.client.errors import FencedError, SpoolError
from ingestd.client.options import Options
from ingestd.client.segment import Entry, Found
from ingestd.client.segment_file import SegmentFile
from ingestd.client.state import Run, State

LOCK: Final = "lock"

_SEGMENT_BYTES: Final = 64 << 20
_SEGMENTS: Final = 8  # at least so many, or a full spool would become free in lumps

log = logging.getLogger("ingestd.client")


class Spool:
    """An open spool folder. Methods raise OSError where the disk fails; what was there before still is."""

    def __init__(self, options: Options) -> None:
        """Open or make the folder and read what is in it. Raises SpoolError."""
        self.folder = options.spool_path
        self._options = options
        self._segment_bytes = min(_SEGMENT_BYTES, options.spool_bytes // _SEGMENTS)
        self._files: deque[SegmentFile] = deque()
        self._retired = False  # the newest segment takes no more
        self._released = False
        self._descriptors = ExitStack()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock()
            self._mark = state.AcknowledgedMark(self.folder)
            self._descriptors.callback(self._mark.close)
            self._open()
        except BaseException as error:
            self.release()
            if isinstance(error, OSError):
                raise SpoolError(f"cannot use the spool {self.folder}: {error.strerror}") from error
            raise

    def _lock(self) -> None:
        fd = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._descriptors.callback(os.close, fd)
        self._lock_fd = fd
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpoolError(
                f"the spool {self.folder} is in use by another client: each needs a folder and a client_id of its own"
            ) from None

    def _open(self) -> None:
        """Look, decide what is to be sent by whom, write that down, and only then put in order what a crash left."""
        known = state.load(self.folder)
        if known is not None and known.client != self._options.client_id:
            raise SpoolError(
                f"the spool {self.folder} is of the client {known.client!r}, not {self._options.client_id!r}"
            )
        found = [segment.scan(path) for path in sorted(self.folder.glob("*" + segment.SUFFIX))]
        if known is None and found:
            raise SpoolError(f"{self.folder} has batches and no {state.STATE}: what they are is not known")
        self.acknowledged = self._mark.read()
        found = self._needed(found)
        end = found[-1].end if found else 1
        self.next_sequence = max(end, self.acknowledged + 1)
        boot = state.boot_id()
        runs = known.runs if known is not None else (Run.of(self._options, self.next_sequence),)
        self._state = State(self._options.client_id, self._options.spool_sync, boot, runs)
        for sequence in self._doubtful(found):
            self._rename(sequence)
        torn = bool(found) and found[-1].torn_bytes > 0
        lost = known is not None and known.sync == "interval" and known.boot != boot
        if known is not None and (
            lost or (not found and any(run.used for run in runs)) or end < self.next_sequence or torn
        ):
            self._rename(self.next_sequence)
        wanted = Run.of(self._options, self.next_sequence)
        if not wanted.travels_like(last := self._state.runs[-1]):
            self._add_run(replace(wanted, client=last.client, used=last.used))
        if self._state != known:
            self._save()
        self._files.extend(map(SegmentFile.reopen, found))
        if end < self.next_sequence or not found:
            self._add_file()

    def _needed(self, found: list[Found]) -> list[Found]:
        """Without the segments of which all is acknowledged, and without what failed to reach a disk and went on to
        the next segment."""
        needed = []
        for this, after in zip_longest(found, found[1:]):
            if after is not None and after.first <= self.acknowledged + 1:
                this.path.unlink()
                continue
            needed.append(this if after is None else this.before(after.first))
        return needed

    def _doubtful(self, found: list[Found]) -> Iterator[int]:
        """Where sequences are missing, and no run begins yet."""
        begun = {run.first for run in self._state.runs}
        for this, after in pairwise(found):
            if this.end < after.first not in begun:
                yield after.first

    @property
    def size_bytes(self) -> int:
        """What the segments take on disk."""
        return sum(file.size_bytes for file in self._files)

    @property
    def batches(self) -> int:
        """How many wait for their acknowledgement."""
        return self.next_sequence - self.acknowledged - 1

    @property
    def sendable(self) -> int:
        """The last sequence that may travel: in `batch` mode those that are synced, else all."""
        if self._options.spool_sync == "interval":
            return self.next_sequence - 1
        newest = self._files[-1]
        return newest.first + newest.synced_entries - 1

    def has_room(self, payload_bytes: int) -> bool:
        """Whether `append` may take so much. There is always room for one batch."""
        if not self.batches:
            return True
        return self.size_bytes + payload_bytes + segment.HEAD_BYTES <= self._options.spool_bytes

    def append(self, payload: bytes, records: int) -> int:
        """Add a batch, which is durable after the next `sync`; its sequence. Raises OSError: it was not added."""
        data = segment.pack(self.next_sequence, records, payload)
        newest = self._files[-1]
        if self._retired or (newest.entries and newest.size_bytes + len(data) > self._segment_bytes):
            self._rotate()
            newest = self._files[-1]
        offset = newest.size_bytes + segment.HEAD_BYTES
        newest.append(data)
        newest.entries.append(Entry(self.next_sequence, records, offset, len(payload)))
        self.next_sequence += 1
        return self.next_sequence - 1

    def sync(self) -> None:
        """Make all that was appended durable. Raises OSError: in `batch` mode what was not durable is taken out again.

        A segment that failed to sync is never written to again.
        """
        newest = self._files[-1]
        if newest.synced_entries == len(newest.entries):
            return
        try:
            newest.sync()
        except OSError:
            self._retired = True
            if self._options.spool_sync == "batch":
                del newest.entries[newest.synced_entries :]
                self.next_sequence = newest.end
                newest.truncate(newest.synced_bytes)
            raise

    def acknowledge(self, sequence: int) -> list[Entry]:
        """All up to `sequence` is acknowledged; returns the batches of which that was not known. Raises OSError."""
        entries = [self.entry(number) for number in range(self.acknowledged + 1, sequence + 1)]
        if entries:
            self._mark.write(sequence)
            self.acknowledged = sequence
            self._forget()
        return entries

    def entry(self, sequence: int) -> Entry:
        """A batch that is not acknowledged yet."""
        file = self._file_of(sequence)
        return file.entries[sequence - file.first]

    def read(self, entry: Entry) -> bytes:
        """The payload of a batch. Raises OSError."""
        data = os.pread(self._file_of(entry.sequence).fd, entry.length, entry.offset)
        if len(data) != entry.length:
            raise OSError(f"batch {entry.sequence} of {self.folder} ends early: somebody cut its segment")
        return data

    def run_of(self, sequence: int) -> Run:
        """The run that a sequence belongs to."""
        return next(run for run in reversed(self._state.runs) if run.first <= sequence)

    def last_of(self, run: Run) -> int:
        """The last sequence of a run, so far."""
        following = [other.first for other in self._state.runs if other.first > run.first]
        return min(following, default=self.next_sequence) - 1

    def resume(self, run: Run, last: int) -> bool:
        """A server says that it has all up to `last` of `run.client`. True: go on with what is not acknowledged.

        False: its numbers are not ours; what is left of the run has a new id now, connect again. Raises FencedError
        where the server has batches under this id that were never here, and OSError.
        """
        lowest = self.acknowledged + 1
        if not run.used:
            if last:
                log.warning("the server knows another client %s; sending under a new id", run.client)
                self._rename(lowest)
            else:
                self._state = replace(
                    self._state, runs=tuple(replace(r, used=r.used or r == run) for r in self._state.runs)
                )
            self._save()
            return not last
        if last and last + 1 < lowest:
            log.warning("the server has missed batches of %s; sending under a new id", run.client)
            self._rename(lowest)
            self._save()
            return False
        if last > self.last_of(run) and run == self._state.runs[-1]:
            raise FencedError(
                f"the server has batch {last} of {run.client}, and this spool ends at {self.next_sequence - 1}: "
                "a copy of this folder, or another process, sends under the same client_id"
            )
        return True

    def close(self) -> None:
        """Sync and let go of the folder. Raises OSError; it is let go of all the same."""
        try:
            self.sync()
            self._mark.sync()
        finally:
            # not only closed: a fork of this moment has the same lock until it comes to let go of it
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)
            self.release()

    def release(self) -> None:
        """Let go of the folder as it is, as a fork must that inherited it. Only the first call does anything."""
        self._descriptors.close()
        if not self._released:
            self._released = True
            for file in self._files:
                os.close(file.fd)

    def _file_of(self, sequence: int) -> SegmentFile:
        return next(file for file in reversed(self._files) if file.first <= sequence)

    def _rotate(self) -> None:
        """Begin a new segment; what is in the old one is durable, or the best that can be had."""
        if not self._retired:
            self.sync()
        elif not self._files[-1].entries:
            self._drop(self._files.pop())  # its name is that of the next
        self._add_file()
        self._retired = False
        self._forget()

    def _add_file(self) -> None:
        file = SegmentFile(self.folder / segment.file_name(self.next_sequence), self.next_sequence)
        try:
            file.truncate(0)
            file.append(segment.MAGIC)
            file.sync()
            segment.sync_folder(self.folder)
        except OSError:
            os.close(file.fd)
            raise
        self._files.append(file)

    def _forget(self) -> None:
        """Remove the segments of which all is acknowledged."""
        while len(self._files) > 1 and self._files[1].first <= self.acknowledged + 1:
            self._drop(self._files.popleft())

    def _drop(self, file: SegmentFile) -> None:
        os.close(file.fd)
        file.path.unlink(missing_ok=True)

    def _rename(self, sequence: int) -> None:
        """What is numbered from `sequence` on, up to the next run, goes under an id that no server knows."""
        if sequence >= self.next_sequence:
            self._add_run(self._state.runs[-1].renamed(self._options.client_id, sequence))
            return
        old = self.run_of(sequence)
        runs = [run for run in self._state.runs if run != old]
        if old.first < sequence:
            runs.append(old)
        runs.append(old.renamed(self._options.client_id, sequence))
        self._state = replace(self._state, runs=tuple(sorted(runs, key=lambda run: run.first)))

    def _add_run(self, run: Run) -> None:
        """What comes next belongs to `run`; a run that has nothing is forgotten."""
        runs = tuple(other for other in self._state.runs if other.first < run.first)
        self._state = replace(self._state, runs=(*runs, run))

    def _save(self) -> None:
        """Write the state, without the runs of which all is acknowledged."""
        runs = self._state.runs
        lowest = self.acknowledged + 1
        kept = [run for run, after in pairwise(runs) if after.first > lowest]
        self._state = replace(self._state, runs=(*kept, runs[-1]))
        state.save(self.folder, self._state)
