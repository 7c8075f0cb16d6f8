"""The writer: one thread per worker that compresses, writes, syncs and rotates segments.

Strategy. Batches wait in a `SimpleQueue`; their chunks gather until they are `FRAME_BYTES` of lines or the oldest of
them is `flush_interval` old, then they become one description and one zstd frame, written at once. A sync follows when
the oldest unsynced record is `flush_interval` old or `SYNC_BYTES` wait for one; only then are records told back as on
disk. Frames are kept in memory until their sync returned: when a write or a sync fails, the segment is cut back to
its last sync and closed, and those frames go to a new segment, for as long as it takes, so a failing disk delays
records (the queue fills, reading pauses) and loses none while the daemon runs.

Limits. At most `SYNC_BYTES` + one frame of compressed data is held for that. A record is durable at most
`flush_interval` plus one commit after its receipt.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

from ingestd.store.batch import Batch, Commit, Event, Freed, Listener, Lost, Recovery, Rejected
from ingestd.store.frame import Frame, FrameBuilder
from ingestd.store.recovery import leftovers, newest_closed, recover, walk
from ingestd.store.rejects import RejectsFile
from ingestd.store.segment import Segment, stem

#: Written and not yet synced, at most; also what is held in memory for a rewrite.
SYNC_BYTES: Final = 8 << 20

#: The share of `flush_interval` after which a commit begins, so that it ends within it.
DUE: Final = 0.75

#: Between two tries on a disk that fails.
RETRY_S: Final = 0.5

log = logging.getLogger("ingestd.store")


class WriterSettings(NamedTuple):
    """What the writer needs to know, by value."""

    folder: Path
    instance: str
    worker: int
    workers: int
    level: int
    max_bytes: int
    max_age_s: float
    flush_interval_s: float
    rejects_max_bytes: int
    counted_frames: int  # frames of this instance and worker that the slot has counted as written


class _Flush(NamedTuple):
    """A request to commit all that was queued before it; `stop` also ends the thread."""

    stop: bool


_Item = Batch | list[Rejected] | _Flush


class SegmentWriter:
    """`batch.Writer` over segment files. `start()` after the fork; the other methods from the event loop's thread."""

    def __init__(self, settings: WriterSettings, listener: Listener) -> None:
        self._settings = settings
        self._tell = listener
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._building = FrameBuilder(
            settings.instance, settings.worker, settings.level, settings.counted_frames
        )
        self._unsynced: list[Frame] = []
        self._unwritten = 0  # how many of `_unsynced`, at its end, are in no file
        self._segment: Segment | None = None
        self._rejects = RejectsFile(settings.folder, settings.worker, settings.rejects_max_bytes)
        self._due_s = settings.flush_interval_s * DUE
        self._oldest_ns: int | None = None
        self._failed_at_s: float | None = None
        self._give_up_at_s = float("inf")
        self._thread = threading.Thread(target=self._run, name="writer")

    def start(self) -> None:
        """Begin with recovery, then take batches; those queued meanwhile wait."""
        self._thread.start()

    def append(self, batch: Batch) -> None:
        self._queue.put(batch)

    def reject(self, rejected: list[Rejected]) -> None:
        self._queue.put(rejected)

    def flush(self) -> None:
        self._queue.put(_Flush(stop=False))

    def close(self, timeout_s: float) -> None:
        self._give_up_at_s = time.monotonic() + timeout_s
        self._queue.put(_Flush(stop=True))
        self._thread.join()

    def _run(self) -> None:
        self._recover()
        while True:
            try:
                item = self._queue.get(timeout=self._patience_s())
            except Empty:
                self._commit()
                continue
            match item:
                case Batch():
                    self._gather(item)
                case _Flush(stop=True):
                    self._finish()
                    return
                case _Flush():
                    self._commit()
                case list():
                    self._keep_rejects(item)

    def _patience_s(self) -> float | None:
        """How long to wait for the next item before something else is due; None: for ever."""
        now = time.monotonic()
        due = float("inf")
        if self._oldest_ns is not None:
            due = self._oldest_ns / 1e9 + self._due_s
        if self._failed_at_s is not None:
            due = max(due, self._failed_at_s + RETRY_S)
        if self._segment is not None:
            due = min(due, self._segment.opened_s + self._settings.max_age_s)
        return None if due == float("inf") else max(0.0, due - now)

    def _gather(self, batch: Batch) -> None:
        if self._oldest_ns is None:
            self._oldest_ns = batch.received_ns
        self._building.add(batch)
        if self._building.full:
            self._write_frame()
        if self._oldest_ns is not None and batch.received_ns - self._oldest_ns >= self._due_s * 1e9:
            self._commit()

    def _write_frame(self) -> None:
        """Compress what was gathered and write it; sync when enough waits for one."""
        if not self._building.records:
            return
        self._finish_frame()
        while not self._write_pending() and self._wait_for_disk():
            pass
        if sum(len(frame.data) for frame in self._unsynced) >= SYNC_BYTES:
            self._commit()

    def _finish_frame(self) -> None:
        frame = self._building.finish()
        self._unsynced.append(frame)
        self._unwritten += 1
        self._tell(Freed(frame.lines_bytes))

    def _wait_for_disk(self) -> bool:
        """Until the next try; meanwhile the queue, not this thread's memory, fills. False: the time is up."""
        left_s = self._give_up_at_s - time.monotonic()
        time.sleep(max(0.0, min(RETRY_S, left_s)))
        return left_s > RETRY_S

    def _write_pending(self) -> bool:
        """Write the frames that are in no file yet; False where the disk refused."""
        try:
            while self._unwritten:
                frame = self._unsynced[-self._unwritten]
                segment = self._segment or self._open()
                segment.append(frame.data)
                self._unwritten -= 1
                if segment.size_bytes >= self._settings.max_bytes:
                    self._sync()
                    self._rotate("size")
        except OSError as error:
            self._fail("write" if self._segment else "open", error)
            return False
        return True

    def _open(self) -> Segment:
        self._segment = Segment(self._settings.folder, stem("log", self._settings.worker))
        return self._segment

    def _commit(self) -> bool:
        """Put all that was gathered on disk and tell it; False where the disk refused."""
        if self._building.records:
            self._finish_frame()
        if not self._write_pending():
            return False
        try:
            self._sync()
        except OSError as error:
            self._fail("write", error)
            return False
        if (
            self._segment is not None
            and time.monotonic() >= self._segment.opened_s + self._settings.max_age_s
        ):
            self._rotate("age")
        return True

    def _sync(self) -> None:
        """Sync what is written and tell it; frames that are in no file yet stay."""
        count = len(self._unsynced) - self._unwritten
        if count and self._segment is not None:
            self._segment.sync()
            done, self._unsynced = self._unsynced[:count], self._unsynced[count:]
            self._failed_at_s = None
            self._tell(
                Commit(
                    [entry for frame in done for entry in frame.durable],
                    len(done),
                    sum(frame.lines_bytes for frame in done),
                    sum(len(frame.data) for frame in done),
                    time.monotonic_ns(),
                )
            )
        waiting = [entry.received_ns for frame in self._unsynced for entry in frame.durable]
        waiting.extend(self._building.received_ns())
        self._oldest_ns = min(waiting, default=None)

    def _fail(self, operation: str, error: OSError) -> None:
        """Leave the segment at its last sync; its later frames are written again to the next one."""
        self._tell(Event("ingestd_write_errors_total", operation))
        if self._failed_at_s is None:
            hint = (
                "free some space"
                if error.errno == errno.ENOSPC
                else "check the disk and the folder's permissions"
            )
            log.error(
                "cannot %s a segment in %s: %s; nothing is lost, reading pauses when the buffer is full: %s",
                operation,
                self._settings.folder,
                error.strerror,
                hint,
            )
        self._failed_at_s = time.monotonic()
        self._unwritten = len(self._unsynced)
        segment, self._segment = self._segment, None
        if segment is not None:
            try:
                segment.abandon()
                self._tell(Event("ingestd_segment_rotations_total", "error"))
            except OSError as second:
                log.error(
                    "cannot close %s either: %s; the next start recovers it", segment.path, second.strerror
                )

    def _rotate(self, reason: str) -> None:
        """Close the synced segment under its final name."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        try:
            segment.close()
            self._tell(Event("ingestd_segment_rotations_total", reason))
        except OSError as error:
            # All of it is synced and stays readable as .open; the next start renames it.
            self._tell(Event("ingestd_write_errors_total", "write"))
            log.error("cannot rename %s: %s", segment.path, error.strerror)

    def _keep_rejects(self, rejected: list[Rejected]) -> None:
        try:
            skipped = self._rejects.keep(rejected)
        except OSError as error:
            self._tell(Event("ingestd_write_errors_total", "rejects"))
            skipped = len(rejected)
            log.error(
                "cannot keep %d rejected records in %s: %s", skipped, self._rejects.path, error.strerror
            )
        if skipped:
            self._tell(Event("ingestd_rejects_skipped_total", "", skipped))

    def _finish(self) -> None:
        """Shutdown: commit, rename; with a disk that refuses, try until the time is up, then say what is lost."""
        while not (committed := self._commit()) and self._wait_for_disk():
            pass
        if not committed:
            lost = [entry for frame in self._unsynced for entry in frame.durable]
            log.error("gave up on %d records that could not be written", sum(entry.records for entry in lost))
            self._tell(Lost(lost))
        self._rotate("shutdown")
        self._rejects.close()

    def _recover(self) -> None:
        """Close what dead writers left; count what a predecessor of this instance wrote and did not live to count."""
        settings = self._settings
        segments = torn = 0
        uncounted = []
        for path in leftovers(settings.folder, settings.worker, settings.workers):
            try:
                closed, result = recover(path)
            except OSError as error:
                self._tell(Event("ingestd_write_errors_total", "recovery"))
                log.error("cannot recover %s: %s; it is left as it is", path, error.strerror)
                continue
            segments += closed is not None
            torn += result.torn_bytes
            log.warning(
                "recovered %s: %d frames kept, %d bytes set aside",
                path,
                len(result.frames),
                result.torn_bytes,
            )
        for path in newest_closed(settings.folder, settings.worker):
            try:
                mine = [
                    frame
                    for frame in walk(path, verify_bytes=0).frames
                    if frame.instance == settings.instance and frame.frame > settings.counted_frames
                ]
            except OSError as error:
                log.error("cannot read %s: %s", path, error.strerror)
                continue
            if not mine:
                break
            uncounted.extend(mine)
        sources: dict[str, int] = {}
        for frame in uncounted:
            for source, records in frame.sources.items():
                sources[source] = sources.get(source, 0) + records
        self._building.frame = max([settings.counted_frames, *(frame.frame for frame in uncounted)])
        self._tell(
            Recovery(
                segments,
                torn,
                len(uncounted),
                sources,
                sum(frame.lines_bytes for frame in uncounted),
                sum(frame.frame_bytes for frame in uncounted),
            )
        )
