"""The synchronous face: `Client`, for threads. One background thread does all the rest (engine.py)."""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from types import TracebackType
from typing import Self, Unpack

from ingestd.client.books import OnAcknowledge, OnReject, Stats
from ingestd.client.engine import Engine
from ingestd.client.errors import ClientError
from ingestd.client.options import Options, Settings, parse_addresses

CLOSE_TIMEOUT_S = 30.0


class Client:
    """Sends records, acknowledged by the server once they are on its disk, each exactly once (docs/client.md).

    Usable from several threads; not from a fork of the process that made it.
    """

    def __init__(
        self,
        addresses: str | Sequence[str],
        *,
        on_reject: OnReject | None = None,
        on_acknowledge: OnAcknowledge | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        """`addresses`: `host:port`, one or several servers; the settings are those of `Options`.

        Opens the spool, and reads it, which takes about a second per GB. Callbacks run on the background thread.
        Raises ConfigurationError and SpoolError.
        """
        self._engine = Engine(parse_addresses(addresses), Options(**settings), on_reject, on_acknowledge)
        self._intake = self._engine.intake
        # also where nobody closes it: what was handed over goes into the spool before the process ends
        self._all_acknowledged = False
        self._finish = weakref.finalize(self, self._engine.stop)

    @property
    def first_sequence(self) -> int:
        """The sequence of the first batch of this client; lower ones were left by an earlier process."""
        return self._engine.first_sequence

    def send(self, record: bytes) -> None:
        """Hand over one record: a line for json, raw and syslog (its LF may be left out), a journal entry with the
        empty line that ends it, a serialised LogEntry for protobuf, a binary record for avro with a schema.

        Returns at once, or waits while there is no room, as `when_full` says. It is in memory only:
        `flush(durable=True)` makes it survive. Raises RecordError, SpoolFullError, FencedError, ClosedError: it was
        not taken.
        """
        intake = self._intake
        if intake.barred or len(record) >= intake.large_bytes:
            self._send_slowly(record)
            return
        pending = intake.pending
        pending.append(record)
        if len(pending) >= intake.batch_records:
            intake.fill()

    def send_many(self, block: bytes, records: int) -> None:
        """Hand over a block of so many whole records, as they follow each other in a batch of the format.

        Protobuf (a LogBatch behind its length) and avro (an array by schema, or a container file) are sent as a batch
        of their own. Otherwise as `send`.
        """
        since_s = time.monotonic()
        while (waiting := self._intake.add_block(block, records)) is not None:
            self._intake.wait_room(waiting, since_s)

    def flush(self, timeout_s: float | None = None, *, durable: bool = False) -> None:
        """Wait until all that was handed over before is acknowledged; with `durable`, until it is in the spool.

        Raises TimeoutError; RefusedError where no server takes it (it stays in the spool); FencedError, ClosedError.
        """
        future = self._engine.settled(durable=durable)
        try:
            future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise self._engine.late(timeout_s) from None

    def stats(self) -> Stats:
        """What became of the records so far."""
        return self._engine.stats()

    def close(self, timeout_s: float | None = CLOSE_TIMEOUT_S) -> bool:
        """Wait until all is acknowledged, then close. False: some was not in time, and waits in the spool.

        `timeout_s` None waits as long as it takes. Closing again does nothing.
        """
        if self._finish.alive:
            try:
                self.flush(timeout_s)
                self._all_acknowledged = True
            except (TimeoutError, ClientError):
                self._all_acknowledged = False
            self._finish()
        return self._all_acknowledged

    def _send_slowly(self, record: bytes) -> None:
        since_s = time.monotonic()
        while (waiting := self._intake.add_slowly(record)) is not None:
            self._intake.wait_room(waiting, since_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
