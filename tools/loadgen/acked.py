"""A lane with acknowledgements: its own client of `ingestd.client`, and the account of what that says was acknowledged.

Rules of the account. A sequence is claimed before it is handed over, in the journal too. The client takes them in order
and says batch by batch how many are acknowledged, so those are always the next ones: they become confirmed, all others
that were handed over are uncertain. A batch of which the server refused some is uncertain as a whole, as it is not said
which. What an earlier run left in the spool is sent again too, and is that one's account.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ingestd.client import Acknowledgement, Client, ClientError, Rejection, SpoolFullError
from tools.loadgen.journal import Journal, journal_of
from tools.loadgen.pacing import Pace
from tools.loadgen.payloads import Renderer
from tools.loadgen.senders import Outcome, Work
from tools.loadgen.transports import SetupError, Target

if TYPE_CHECKING:
    from tools.loadgen.plan import Plan

CLOSE_TIMEOUT_S = 30.0
"""How long the server may take to acknowledge what is left, without acknowledging anything."""

_BATCH_BYTES = 8 << 20  # half of what a server takes by default
_MAX_BACKOFF_S = 2.0  # a test should not wait long for a server that comes back
_LOOK_S = 0.2  # how often a lane that waits looks whether it should stop


@dataclass(frozen=True, slots=True)
class Acked:
    """How a run is acknowledged: clients are `<client>-<lane>`, each with a folder of that name in `spool`."""

    client: str
    spool: Path
    journal: Journal | None = None

    def client_of(
        self, lane: int, target: Target, format_name: str, schema: str | None, batch: int, **more: Any
    ) -> Client:
        """The client of a lane, whose batches have so many records. Raises ClientError."""
        client_id = f"{self.client}-{lane}"
        return Client(
            f"[{target.address}]:{target.port}",
            client_id=client_id,
            spool_dir=self.spool / client_id,
            tls=target.tls,
            format=format_name,
            schema=schema,
            batch_records=batch,
            batch_bytes=_BATCH_BYTES,
            block_timeout_s=_LOOK_S,
            heartbeat_interval_s=0,
            max_backoff_s=_MAX_BACKOFF_S,
            **more,
        )


@contextmanager
def prepared(plan: Plan, client: str | None, spool: Path | None, report: Path | None) -> Iterator[Plan]:
    """The plan, acknowledged: with a spool that goes at the end unless it was given, and a journal until then.

    What leaves by an exception leaves the journal. SetupError: one of them cannot be written.
    """
    with ExitStack() as held:
        try:
            if spool is None:
                spool = Path(held.enter_context(TemporaryDirectory(prefix="loadgen-spool-")))
            kept = None
            if report is not None:
                report.unlink(missing_ok=True)
                kept = Journal(journal_of(report), plan.run, plan.format, plan.target.transport)
                held.callback(kept.close)
        except OSError as error:
            raise SetupError(f"cannot write {error.filename}: {error.strerror}") from error
        yield replace(plan, acked=Acked(client or plan.run, spool, kept))
        if report is not None:
            journal_of(report).unlink()


class AckedLane:
    """As `Lane`, but what it sends is acknowledged. `run` in a thread; `interrupt` from another."""

    def __init__(
        self,
        work: Work,
        pace: Pace,
        renderer: Renderer,
        client: Callable[..., Client],
        preamble: bytes,
        journal: Journal | None,
        stopped: Callable[[], bool],
        progress: Callable[[int, int], None],
    ) -> None:
        """`client` makes the client, given its callbacks; each block goes behind the `preamble`."""
        self._work = work
        self._pace = pace
        self._renderer = renderer
        self._make_client = client
        self._preamble = preamble
        self._journal = journal
        self._stopped = stopped
        self._progress = progress
        self._interrupted = threading.Event()
        self._seq = self._next_acknowledged = work.first_seq
        self._refused = False
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Do the work, wait for what is not acknowledged, and return the account. SetupError: there is no client."""
        outcome = self.outcome
        try:
            client = self._make_client(on_reject=self._rejected, on_acknowledge=self._acknowledged)
        except ClientError as error:
            raise SetupError(str(error)) from error
        try:
            self._send(client)
        except ClientError as error:
            outcome.note(str(error))
        finally:
            self._settle(client)
            client.close(0)
            outcome.latest_s = self._pace.latest_s
        if why := client.stats().last_error:
            outcome.note(why)
        if self._next_acknowledged < self._seq:
            outcome.uncertain.append((self._next_acknowledged, self._seq - 1))
        return outcome

    def interrupt(self) -> None:
        """Wait for no more acknowledgements; for another thread."""
        self._interrupted.set()

    def _send(self, client: Client) -> None:
        work = self._work
        left = work.end_seq - work.first_seq if work.count is None else work.count
        while left and self._pace.wait(self._stopped, work.end_s):
            burst = min(work.burst, left)
            left -= burst
            while burst and not self._stopped():
                batch = min(work.batch, burst, self._renderer.block_records)
                if work.end_seq - self._seq < batch:
                    self.outcome.note("the sequences of a connection are used up: use fewer --connections")
                    return
                burst -= batch
                if not self._hand_over(client, batch):
                    return
        if left:
            self.outcome.behind = min(left, self._pace.owed(work.end_s) * work.burst)

    def _hand_over(self, client: Client, records: int) -> bool:
        """Hand over a block. False: it was not taken, and the lane should end."""
        block = self._preamble + self._renderer.render(self._seq, records, time.time_ns() // 1000)
        span = self._seq, self._seq + records - 1
        self._note("sent", span)
        self._seq += records
        outcome = self.outcome
        outcome.sent += records
        outcome.bytes += len(block)
        try:
            while True:
                try:
                    client.send_many(block, records)
                    break
                except SpoolFullError:
                    if self._stopped():
                        raise
        except ClientError as error:  # it was not taken
            self._seq -= records
            outcome.sent -= records
            outcome.bytes -= len(block)
            outcome.failed += records
            outcome.note(str(error))
            return False
        self._progress(outcome.sent, outcome.bytes)
        return True

    def _settle(self, client: Client) -> None:
        """Wait for acknowledgements, as long as some come."""
        acknowledged, moved_s = -1, time.monotonic()
        while not self._interrupted.is_set() and time.monotonic() < moved_s + CLOSE_TIMEOUT_S:
            try:
                client.flush(_LOOK_S)
                return
            except TimeoutError:
                if client.stats().acknowledged != acknowledged:
                    acknowledged, moved_s = client.stats().acknowledged, time.monotonic()
            except ClientError as error:
                self.outcome.note(str(error))
                return

    def _rejected(self, rejection: Rejection) -> None:
        self.outcome.note(f"the server refused records: {rejection.reason}", rejection.records)
        self._refused = True

    def _acknowledged(self, acknowledgement: Acknowledgement) -> None:
        refused, self._refused = self._refused, False
        if acknowledgement.inherited:
            return
        first = self._next_acknowledged
        self._next_acknowledged += acknowledgement.records
        span = first, self._next_acknowledged - 1
        self._note("refused" if refused else "acknowledged", span)
        (self.outcome.uncertain if refused else self.outcome.confirmed).append(span)

    def _note(self, what: str, span: tuple[int, int]) -> None:
        if self._journal is not None:
            self._journal.add(what, span)
