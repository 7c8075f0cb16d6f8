"""Where records enter: from any thread, at the cost of a list's append, and leave as payloads for the spool.

    send --append--> pending --join, by whom it fills up, or each linger--> ready --engine--> compress, spool

Strategy. `pending` is one list for good: an append to it and the copy and deletion of its first n items are each one
step under the interpreter's lock, so records need no lock of ours; only who cuts a batch off takes one. What is rare is
behind one flag, `barred`: no room, closed, stopped by an error, forked.

Limits. Up to `memory_bytes` of payloads wait here, and beyond that at most a batch of each thread. A record of
`LARGE_BYTES` or more goes the slow way, so that `pending` is bounded in bytes though nobody adds them up.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Final, NamedTuple

from ingestd.client.errors import ClientError, ClosedError, RecordError, SpoolFullError
from ingestd.client.options import Options
from ingestd.client.payload import LF, shape_of
from ingestd.client.progress import Progress

LARGE_BYTES: Final = 16 << 10


class Payload(NamedTuple):
    """Records of one batch, joined and not compressed."""

    data: bytes
    records: int


class Intake:
    """The way in. `wake` is called when there is something for the engine, from any thread."""

    def __init__(self, options: Options, wake: Callable[[], None]) -> None:
        self.pending: list[bytes] = []
        self.barred = False
        self.batch_records = options.batch_records
        self._options = options
        self._shape = shape_of(options.format, options.schema)
        self.large_bytes = min(LARGE_BYTES, options.record_limit_bytes) if self._shape.join else 0
        self._wake = wake
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._ready: deque[Payload] = deque()
        self._ready_bytes = 0
        self._block_records = 0  # in pending, beyond one an item
        self._held_bytes = 0  # in pending, of blocks and large records
        self._awake = False
        self._error: ClientError | None = None
        self._spool_full = False
        self._room = Progress()  # counts how often there was room again, or reason to look
        self._cut_records = 0
        self.payloads = 0  # cut so far
        self.dropped = 0

    @property
    def taken(self) -> int:
        """Records taken so far."""
        return self._cut_records + len(self.pending) + self._block_records

    def add_slowly(self, record: bytes) -> Future[None] | None:
        """Take a record that is large, or while barred. A future: there is no room yet, wait for it and come again."""
        if self._shape.join is None:
            raise RecordError(f"{self._options.format} without a schema has no single records: use send_many")
        self._check_size(record)
        if self.barred and (waiting := self._admit(1)) is not None:
            return None if waiting is _DROPPED else waiting
        self.pending.append(record)
        with self._lock:
            self._held_bytes += len(record)
            if self._is_full():
                self._cut()
        return None

    def add_block(self, block: bytes, records: int) -> Future[None] | None:
        """Take a block of so many records; as `add_slowly`."""
        if records < 1 or not block:
            raise RecordError(f"a block of {records} records in {len(block)} bytes")
        if self.barred and (waiting := self._admit(records)) is not None:
            return None if waiting is _DROPPED else waiting
        tail = self._shape.block_tail
        if tail == LF and len(block) > self._options.batch_bytes:
            self._add_lines(block, records)
            return None
        self._check_size(block)
        with self._lock:
            if tail is None or records >= self.batch_records:
                self._cut()
                self._put(block if not tail or block.endswith(tail) else block + tail, records)
                return None
            piece = _Block(block.removesuffix(tail))
            piece.records = records
            self.pending.append(piece)
            self._block_records += records - 1
            self._held_bytes += len(block)
            if self._is_full():
                self._cut()
        return None

    def fill(self) -> None:
        """Called by who made `pending` full."""
        with self._lock:
            if self._is_full():
                self._cut()

    def cut(self) -> int:
        """Make payloads of all that is pending; returns how many there have been, the last of them included."""
        with self._lock:
            self._cut()
            return self.payloads

    def take(self, most_bytes: int) -> list[Payload]:
        """For the engine: the next payloads, about so many bytes of them and at least one if there is any."""
        with self._lock:
            self._awake = False
            taken: list[Payload] = []
            while self._ready and most_bytes > 0:
                taken.append(self._ready.popleft())
                most_bytes -= len(taken[-1].data)
            self._ready_bytes -= sum(len(payload.data) for payload in taken)
            self._look()
        return taken

    def abandon(self, records: int) -> int:
        """For the engine, at its end: count as dropped what it could not keep, of what it took and of what is left.

        Returns how many records that are in all.
        """
        with self._lock:
            lost = records + sum(payload.records for payload in self._ready)
            self._ready.clear()
            self._cut_records -= lost
            self.dropped += lost
            return lost

    def spool_full(self, is_full: bool) -> None:
        """For the engine: whether the spool has no room."""
        with self._lock:
            if is_full != self._spool_full:
                self._spool_full = is_full
                self._look()
                self._room.reach(self._room.value + 1)

    def stop(self, error: ClientError) -> None:
        """Take nothing more; whoever sends is told `error`."""
        with self._lock:
            self._error = self._error or error
            self.barred = True
            self._room.reach(self._room.value + 1)

    def forked(self) -> None:
        """This is a child of the process whose client it is. Takes no lock: its owner may not exist here."""
        self.barred = True

    def check(self) -> None:
        """Raises what `stop` was told, or ClosedError in a fork."""
        if os.getpid() != self._pid:
            raise ClosedError(
                "this process is a fork of the one that made the client: make one after the fork"
            )
        if self._error is not None:
            raise self._error

    def wait_room(self, waiting: Future[None], since_s: float) -> None:
        """Wait for a future of `add_slowly`. Raises SpoolFullError when `block_timeout_s` from `since_s` has passed."""
        limit_s = self._options.block_timeout_s
        try:
            waiting.result(None if limit_s is None else max(0.0, since_s + limit_s - time.monotonic()))
        except TimeoutError:
            waiting.cancel()
            raise self.full_error() from None

    def full_error(self) -> SpoolFullError:
        """What a sender is told whose patience is over."""
        return SpoolFullError(f"no room in {self._options.spool_dir} after {self._options.block_timeout_s} s")

    def _admit(self, records: int) -> Future[None] | None:
        """None: come in. `_DROPPED`: dropped and counted. Another future: wait for it and come again."""
        self.check()
        with self._lock:
            self._look()
            if not self.barred:
                return None
            if self._spool_full and self._options.when_full == "drop":
                self.dropped += records
                return _DROPPED
            return self._room.when(self._room.value + 1)

    def _look(self) -> None:
        """Bar the way, or open it and tell who waits. With hysteresis, so that waiting senders come in batches."""
        if self._error is not None:
            return
        limit_bytes = self._options.memory_bytes
        if self._ready_bytes >= limit_bytes:
            self.barred = True
        elif self.barred and self._ready_bytes <= limit_bytes // 2:
            self.barred = False
            self._room.reach(self._room.value + 1)

    def _add_lines(self, block: bytes, records: int) -> None:
        """Divide lines that are too many for one batch; the first of them carries what a wrong count is wrong by."""
        lines = list(_lines_of(block, self._options.batch_bytes))
        for piece in lines:
            self._check_size(piece)
        counts = [piece.count(LF) for piece in lines]
        counts[-1] += not block.endswith(LF)
        counts[0] += records - sum(counts)
        with self._lock:
            self._cut()
            for piece, count in zip(lines, counts, strict=True):
                self._put(piece, count)

    def _is_full(self) -> bool:
        records = len(self.pending) + self._block_records
        return records >= self.batch_records or self._held_bytes >= self._options.batch_bytes

    def _cut(self) -> None:
        pieces = self.pending[:]
        if not pieces:
            return
        del self.pending[: len(pieces)]
        records = len(pieces) + self._block_records
        self._block_records = self._held_bytes = 0
        join = self._shape.join
        assert join is not None, "nothing of such a format becomes pending"
        data = join(pieces)
        if len(data) <= self._options.batch_bytes:
            self._put(data, records)
            return
        for part in self._parts(pieces):
            self._put(join(part), sum(map(_records, part)))

    def _parts(self, pieces: list[bytes]) -> Iterator[list[bytes]]:
        """Divide what is too much for one batch."""
        first = size_bytes = 0
        for number, piece in enumerate(pieces):
            if number > first and size_bytes + len(piece) > self._options.batch_bytes:
                yield pieces[first:number]
                first, size_bytes = number, 0
            size_bytes += len(piece) + 1
        yield pieces[first:]

    def _put(self, data: bytes, records: int) -> None:
        self._ready.append(Payload(data, records))
        self._ready_bytes += len(data)
        self._cut_records += records
        self.payloads += 1
        self._look()
        if not self._awake:
            self._awake = True
            self._wake()

    def _check_size(self, data: bytes) -> None:
        limit_bytes = self._options.record_limit_bytes
        if len(data) >= limit_bytes:
            raise RecordError(
                f"{len(data)} bytes that cannot be divided: less than {limit_bytes} are possible"
            )


class _Block(bytes):
    """Several records that were handed over together."""

    records: int


def _records(piece: bytes) -> int:
    return piece.records if isinstance(piece, _Block) else 1


def _lines_of(block: bytes, most_bytes: int) -> Iterator[bytes]:
    """A block of lines in pieces of at most so many bytes, or of one line each where that is longer."""
    start = 0
    while len(block) - start > most_bytes:
        end = block.rfind(b"\n", start, start + most_bytes) + 1 or block.find(b"\n", start + most_bytes) + 1
        if not end:
            break
        yield block[start:end]
        start = end
    if start < len(block):
        yield block[start:]


#: Says that a record was dropped and need not wait.
_DROPPED: Final[Future[None]] = Future()
_DROPPED.set_result(None)
