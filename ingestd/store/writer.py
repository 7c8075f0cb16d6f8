"""The writer: one thread per worker that compresses, writes, syncs and rotates segments.

Strategy. Batches wait in a `SimpleQueue`; their chunks gather until they are `FRAME_BYTES` of lines or the oldest of
them is `flush_interval` old, then they become one description and one zstd frame, written at once. A sync follows when
the oldest unsynced record is `flush_interval` old or `SYNC_BYTES` wait for one; only then are records told back as on
disk. A client that numbers its batches waits for them: such a batch overtakes those that nobody waits for, and is
committed at once, or `COMMIT_GAP_S` after the last commit, so a sync is shared by what comes in while another is under
way.

A disk that fails. Frames are kept in memory until their sync returned. When a write or a sync fails, its segment is
given up: cut back to its last sync, or marked to be cut by recovery; those frames go to a new one. That is tried for as
long as it takes, and nothing else is done meanwhile: records are delayed (the queue fills, reading pauses) and none is
lost while the daemon runs. Files that cannot be recovered or closed are tried again between commits.

Limits. At most `SYNC_BYTES` + one frame of compressed data is held for that, and `REJECTS_BYTES` of refused records
wait. A record is durable at most `flush_interval` plus one commit after its receipt.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

from ingestd.store.batch import (
    Batch,
    Commit,
    Durable,
    Event,
    Freed,
    Listener,
    Lost,
    Mark,
    Pack,
    Recovery,
    Rejected,
)
from ingestd.store.faults import DiskFaults
from ingestd.store.folder import Folder
from ingestd.store.frame import Frame, FrameBuilder
from ingestd.store.rejects import RejectsFile, RejectsKeeper
from ingestd.store.segment import SYNC_BYTES, Segment, stem
from ingestd.store.takeover import Mine, TakeOver

#: The share of `flush_interval` after which a commit begins, so that it ends within it.
DUE: Final = 0.75

#: From one commit that clients wait for to the next, at least.
COMMIT_GAP_S: Final = 0.004

#: Between two tries on a disk that fails.
RETRY_S: Final = 0.5

#: Between two tries to recover or close files beside which the daemon goes on.
LEFT_RETRY_S: Final = 5.0

log = logging.getLogger("ingestd.store")


class WriterSettings(NamedTuple):
    """What the writer needs to know, by value."""

    folder: Folder
    mine: Mine
    level: int
    max_bytes: int
    max_age_s: float
    flush_interval_s: float
    rejects_max_bytes: int


class _Flush(NamedTuple):
    """A request to commit all that was queued before it; `stop` also ends the thread."""

    stop: bool


_Item = Batch | list[Rejected] | _Flush | None


class SegmentWriter:
    """`batch.Writer` over segment files. `start()` after the fork; the other methods from the event loop's thread."""

    def __init__(
        self,
        settings: WriterSettings,
        listener: Listener,
        durable: Callable[[list[Mark]], object] = lambda _: None,
    ) -> None:
        """`durable` is called on the writer's thread, after the sync and before anything else is told or done."""
        self._settings = settings
        self._tell = listener
        self._durable = durable
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._packs: SimpleQueue[Pack] = SimpleQueue()  # each with a None in `_queue`
        mine = settings.mine
        self._building = FrameBuilder(mine.instance, mine.worker, settings.level, mine.counted_frames)
        self._taking_over = TakeOver(settings.folder, mine)
        self._try_left_at_s = 0.0
        self._unsynced: list[Frame] = []
        self._unwritten = 0  # how many of `_unsynced`, at its end, are in no file
        self._segment: Segment | None = None
        self._rejects = RejectsKeeper(
            RejectsFile(settings.folder, mine.worker, settings.rejects_max_bytes), listener
        )
        self._due_s = settings.flush_interval_s * DUE
        self._oldest_ns: int | None = None
        self._awaited = False  # whether a client waits for the next commit
        self._committed_ns = 0
        self._broken: Segment | None = None
        self._faults = DiskFaults(settings.folder.path, listener)
        self._closing = threading.Event()
        self._give_up_at_s = float("inf")
        self._thread = threading.Thread(target=self._run, name="writer")

    def start(self) -> None:
        """Begin with recovery, then take batches; those queued meanwhile wait."""
        self._thread.start()

    def append(self, batch: Batch) -> None:
        self._queue.put(batch)

    def append_pack(self, pack: Pack) -> None:
        self._packs.put(pack)
        self._queue.put(None)

    def skips_rejects(self, records: int) -> bool:
        return self._rejects.skips(records)

    def reject(self, rejected: list[Rejected]) -> None:
        if self._rejects.admit(rejected):
            self._queue.put(rejected)

    def flush(self) -> None:
        self._queue.put(_Flush(stop=False))

    def close(self, timeout_s: float) -> None:
        self._give_up_at_s = time.monotonic() + timeout_s
        self._closing.set()
        self._queue.put(_Flush(stop=True))
        self._thread.join()

    def _run(self) -> None:
        if not self._insist(self._take_over):
            self._give_up()
            return
        while True:
            self._try_left()
            try:
                item = self._queue.get(timeout=self._patience_s())
            except Empty:
                self._commit()
                continue
            for _ in range(self._packs.qsize()):
                pack = self._packs.get()
                self._gather(pack.batches, pack.mark)
            if self._overdue():
                self._commit()
            match item:
                case Batch():
                    self._gather([item])
                case _Flush(stop=True):
                    self._finish()
                    return
                case _Flush():
                    self._commit()
                case list():
                    self._rejects.keep(item)
            if self._overdue():
                self._commit()

    def _patience_s(self) -> float | None:
        """How long to wait for the next item before something else is due; None: for ever."""
        due_s = float("inf")
        if self._oldest_ns is not None:
            due_s = self._oldest_ns / 1e9 + self._due_s
        if self._awaited:
            due_s = min(due_s, self._committed_ns / 1e9 + COMMIT_GAP_S)
        if self._segment is not None:
            due_s = min(due_s, self._segment.opened_s + self._settings.max_age_s)
        if self._taking_over.pending:
            due_s = min(due_s, self._try_left_at_s)
        return None if due_s == float("inf") else max(0.0, due_s - time.monotonic())

    def _overdue(self) -> bool:
        """Whether to commit although more is queued. Not too soon after the last time: a writer that is behind would
        commit after every batch and fall behind further."""
        if self._awaited and time.monotonic_ns() - self._committed_ns >= COMMIT_GAP_S * 1e9:
            return True
        if self._oldest_ns is None:
            return False
        return time.monotonic_ns() - max(self._oldest_ns, self._committed_ns) >= self._due_s * 1e9

    def _gather(self, batches: list[Batch], mark: Mark | None = None) -> None:
        for batch in batches:
            if self._oldest_ns is None:
                self._oldest_ns = batch.received_ns
            self._building.add(batch)
        if mark is not None:
            self._building.mark(mark)
            self._awaited = True
        if self._building.full:
            self._finish_frame()
            self._insist(self._write)
            if sum(len(frame.data) for frame in self._unsynced) >= SYNC_BYTES:
                self._commit()

    def _finish_frame(self) -> None:
        frame = self._building.finish()
        self._unsynced.append(frame)
        self._unwritten += 1
        self._tell(Freed(frame.lines_bytes))

    def _commit(self) -> bool:
        """Put all that was gathered on disk and tell it, then rotate by age. False: the time is up."""
        if self._building:
            self._finish_frame()
        if not self._insist(self._write_and_sync):
            return False
        segment = self._segment
        if segment is not None and time.monotonic() >= segment.opened_s + self._settings.max_age_s:
            self._rotate("age")
        return True

    def _insist(self, attempt: Callable[[], None]) -> bool:
        """Try until the disk does it; meanwhile the queue, not this thread's memory, fills. False: the time is up."""
        while True:
            try:
                attempt()
            except OSError as error:
                self._fail(error)
            else:
                return True
            left_s = self._give_up_at_s - time.monotonic()
            if left_s <= 0:
                return False
            if self._closing.is_set():
                time.sleep(min(RETRY_S, left_s))
            else:
                self._closing.wait(RETRY_S)  # so that `close` is not kept waiting

    def _write_and_sync(self) -> None:
        self._write()
        self._sync()

    def _write(self) -> None:
        """Write the frames that are in no file yet."""
        self._leave_broken()
        while self._unwritten:
            frame = self._unsynced[-self._unwritten]
            if self._segment is None:
                self._segment = Segment(self._settings.folder, stem("log", self._settings.mine.worker))
            self._segment.append(frame.data)
            self._unwritten -= 1
            if self._segment.size_bytes >= self._settings.max_bytes:
                self._sync()
                self._rotate("size")

    def _sync(self) -> None:
        """Sync what is written and tell it; frames that are in no file yet stay."""
        count = len(self._unsynced) - self._unwritten
        if count and self._segment is not None:
            begun_ns = time.monotonic_ns()
            self._segment.sync()
            sync_ns = time.monotonic_ns() - begun_ns
            self._faults.passed()
            done, self._unsynced = self._unsynced[:count], self._unsynced[count:]
            marks = {mark.client: mark for frame in done for mark in frame.marks}
            self._durable(list(marks.values()))
            self._committed_ns = time.monotonic_ns()
            self._tell(
                Commit(
                    [entry for frame in done for entry in frame.durable],
                    len(done),
                    sum(frame.lines_bytes for frame in done),
                    sum(len(frame.data) for frame in done),
                    sync_ns,
                    self._committed_ns,
                    list(marks.values()),
                )
            )
        waiting = [entry.received_ns for frame in self._unsynced for entry in frame.durable]
        waiting.extend(self._building.received_ns())
        self._oldest_ns = min(waiting, default=None)
        self._awaited = self._building.awaited or any(frame.marks for frame in self._unsynced)

    def _fail(self, error: OSError) -> None:
        """Leave the segment at its last sync; its later frames are written again to the next one."""
        self._faults.failed("write" if self._segment or self._broken else "open", error)
        self._unwritten = len(self._unsynced)
        if self._segment is not None:
            self._broken, self._segment = self._segment, None
            with contextlib.suppress(OSError):  # it comes again, and is told, before the next write
                self._leave_broken()

    def _leave_broken(self) -> None:
        """Cut a failed segment back to its last sync and close it; where that fails, leave a mark that recovery is to
        cut it. Raises `OSError` where that fails too: nothing may be written elsewhere before, or it would count twice.
        """
        if self._broken is None:
            return
        try:
            self._broken.cut()
        except OSError as error:
            if self._broken.condemn():
                log.error("cannot cut %s: %s; it is tried again", self._broken.path, error.strerror)
                self._taking_over.leave(self._broken.path)
            self._broken = None
            return
        segment, self._broken = self._broken, None
        self._finish_segment(segment, "error")

    def _rotate(self, reason: str) -> None:
        """Close the synced segment under its final name."""
        segment, self._segment = self._segment, None
        if segment is not None:
            self._finish_segment(segment, reason)

    def _finish_segment(self, segment: Segment, reason: str) -> None:
        try:
            if segment.close() is not None:
                self._tell(Event("ingestd_segment_rotations_total", reason))
        except OSError as error:
            # All that counts of it is synced, and stays readable as .open.
            self._tell(Event("ingestd_write_errors_total", "write"))
            log.error("cannot close %s: %s; it is tried again", segment.path, error.strerror)
            self._taking_over.leave(segment.path)

    def _finish(self) -> None:
        """Shutdown: commit, rename; with a disk that refuses, try until the time is up, then say what is lost."""
        if not self._commit():
            self._give_up()
        self._rotate("shutdown")
        self._rejects.close()

    def _give_up(self) -> None:
        """The time is up: all that is not on disk is lost."""
        lost = [entry for frame in self._unsynced for entry in frame.durable]
        batches: list[Batch] = []
        with contextlib.suppress(Empty):
            while True:
                if isinstance(item := self._queue.get_nowait(), Batch):
                    batches.append(item)
        while not self._packs.empty():
            batches += self._packs.get().batches
        lost += [
            Durable(one.encoded.format, one.transport, one.encoded.records, one.received_ns)
            for one in batches
        ]
        log.error("gave up on %d records that could not be written", sum(entry.records for entry in lost))
        self._tell(Lost(lost))

    def _take_over(self) -> None:
        recovery, failures = self._taking_over.begin()
        self._faults.passed()
        self._building.frame = self._settings.mine.counted_frames + recovery.frames
        self._hear_take_over(recovery, failures)

    def _try_left(self) -> None:
        """Try again what could not be recovered or closed, where that is due."""
        if not self._taking_over.pending or time.monotonic() < self._try_left_at_s:
            return
        try:
            recovery, failures = self._taking_over.again()
        except OSError:
            recovery, failures = None, 1  # of the folder: to be told by who writes to it
        self._hear_take_over(recovery, failures)

    def _hear_take_over(self, recovery: Recovery | None, failures: int) -> None:
        self._try_left_at_s = time.monotonic() + LEFT_RETRY_S
        if failures:
            self._tell(Event("ingestd_write_errors_total", "recovery", failures))
        if recovery is not None:
            self._tell(recovery)
