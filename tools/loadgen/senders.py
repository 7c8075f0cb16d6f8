"""A lane: one connection, its schedule, its sequences, and the account of what became of them.

Rules of the account. A sequence is claimed before its block is handed to the kernel and is never used again.
When a connection was closed in order, what was claimed on it becomes confirmed; when it broke, uncertain: it may
have arrived. A batch that broke is tried again, up to RETRIES times with jittered exponential backoff, under new
sequences; after that its records count as failed. A lane that cannot even connect after the retries gives up.

The server may say `ERR <reason>` at any time: the lane then closes in order. After `shutting down` the server
still reads what was sent, so that a clean close confirms; after any other reason it may have thrown it away.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tools.loadgen.pacing import MAX_NAP_S, Pace
from tools.loadgen.payloads import Renderer
from tools.loadgen.transports import SetupError, Transport

RETRIES = 3
BACKOFF_S = 0.2
"""Before the first retry; doubled each time, and scattered by half of it to both sides."""

_STILL_READ = "shutting down"

Span = tuple[int, int]
"""First and last sequence, both included."""


@dataclass(slots=True)
class Outcome:
    """What became of the records of one lane, or of several once merged.

    `sent` counts the records that left, in whole or in part: the sum of both kinds of spans. `bytes` are theirs.
    `behind` are records that were due and not begun when the time was up.
    """

    sent: int = 0
    bytes: int = 0
    failed: int = 0
    behind: int = 0
    latest_s: float = 0.0
    confirmed: list[Span] = field(default_factory=list)
    uncertain: list[Span] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    """What went wrong, in words, and how often."""
    formats: dict[str, int] = field(default_factory=dict)
    """Of `sent`, how many were of each format. A lane knows nothing of formats: whoever merges lanes fills it in."""

    def note(self, what: str, times: int = 1) -> None:
        """Count something that went wrong."""
        self.notes[what] = self.notes.get(what, 0) + times

    def merge(self, other: Outcome) -> None:
        """Add another lane's account to this."""
        self.sent += other.sent
        self.bytes += other.bytes
        self.failed += other.failed
        self.behind += other.behind
        self.latest_s = max(self.latest_s, other.latest_s)
        self.confirmed += other.confirmed
        self.uncertain += other.uncertain
        for what, times in other.notes.items():
            self.note(what, times)
        for name, sent in other.formats.items():
            self.formats[name] = self.formats.get(name, 0) + sent


@dataclass(frozen=True, slots=True)
class Work:
    """What one lane is to do: bursts of `burst` records in batches of `batch`, at most `count`, until `end_s`."""

    batch: int
    burst: int
    count: int | None
    end_s: float
    first_seq: int
    end_seq: int


class Lane:
    """Sends until its work is done or it is told to stop. `run` in a thread; `interrupt` from another."""

    def __init__(
        self,
        work: Work,
        pace: Pace,
        renderer: Renderer,
        connect: Callable[[], Transport],
        stopped: Callable[[], bool],
        progress: Callable[[int, int], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`progress` is called after each batch with the records and bytes sent so far."""
        self._work = work
        self._pace = pace
        self._renderer = renderer
        self._connect = connect
        self._stopped = stopped
        self._progress = progress
        self._sleep = sleep
        self._jitter = Random()
        self._transport: Transport | None = None
        self._opened_seq = self._seq = work.first_seq
        self._pause_s = 0.0
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Do the work, close, and return the account. SetupError: trying on makes no sense."""
        work, outcome = self._work, self.outcome
        left = work.end_seq - work.first_seq if work.count is None else work.count
        try:
            while left and self._pace.wait(self._stopped, work.end_s):
                burst = min(work.burst, left)
                left -= burst
                while burst and not self._stopped():
                    batch = min(work.batch, burst)
                    if not self._send_batch(batch):
                        left = burst = 0
                    else:
                        burst -= batch
            if left:
                outcome.behind = min(left, self._pace.owed(work.end_s) * work.burst)
        finally:
            self._close()
            outcome.latest_s = self._pace.latest_s
        return outcome

    def interrupt(self) -> None:
        """Break the connection, so that a lane stuck in it comes to its end; for another thread."""
        transport = self._transport
        if transport is not None:
            transport.interrupt()

    def _send_batch(self, records: int) -> bool:
        """Send so many records, with retries. False: there is no connecting any more, and the lane should end."""
        connected = False
        for attempt in range(RETRIES + 1):
            if attempt:
                self._wait(BACKOFF_S * 2 ** (attempt - 1))
            if self._stopped():
                return True
            if self._work.end_seq - self._seq < records:
                self.outcome.note("the sequences of a connection are used up: use fewer --connections")
                return False
            try:
                transport = self._open()
                connected = True
                self._send(transport, records)
            except OSError as error:
                self._broken(error)
            except SetupError:
                self.outcome.failed += records
                raise
            else:
                return True
        self.outcome.failed += records
        return connected

    def _send(self, transport: Transport, records: int) -> None:
        while records:
            size = min(records, self._renderer.block_records)
            block = self._renderer.render(self._seq, size, time.time_ns() // 1000)
            self._seq += size
            self.outcome.sent += size
            self.outcome.bytes += len(block)
            transport.send(block)
            records -= size
        self._progress(self.outcome.sent, self.outcome.bytes)
        if transport.notice():
            self._close()
            self._pause_s = BACKOFF_S

    def _open(self) -> Transport:
        if self._transport is None:
            if self._pause_s:
                self._wait(self._pause_s)
                self._pause_s = 0.0
            self._transport = self._connect()
        return self._transport

    def _close(self) -> None:
        """Close in order and book what was sent on this connection."""
        transport = self._transport
        if transport is None:
            return
        try:
            said = transport.close()
        except OSError as error:
            self._broken(error)
            return
        self._transport = None
        if said:
            self.outcome.note(f"the server said: {said}")
        self._book(confirmed=not said or _STILL_READ in said)

    def _broken(self, error: OSError) -> None:
        transport, self._transport = self._transport, None
        said = ""
        if transport is not None:
            try:
                said = transport.notice()
            except OSError as other:
                error = error if str(error) else other
            transport.abort()
        if said:
            self.outcome.note(f"the server said: {said}")
        self.outcome.note(error.strerror or str(error) or type(error).__name__)
        self._book(confirmed=False)

    def _book(self, *, confirmed: bool) -> None:
        if self._seq > self._opened_seq:
            spans = self.outcome.confirmed if confirmed else self.outcome.uncertain
            spans.append((self._opened_seq, self._seq - 1))
        self._opened_seq = self._seq

    def _wait(self, mean_s: float) -> None:
        left_s = mean_s * self._jitter.uniform(0.5, 1.5)
        while left_s > 0 and not self._stopped():
            self._sleep(min(left_s, MAX_NAP_S))
            left_s -= MAX_NAP_S
