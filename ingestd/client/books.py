"""The account of a client: what became of its batches, told to the user's callbacks and kept as figures."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ingestd.client.progress import Progress
from ingestd.client.protocol import Rejected
from ingestd.client.spool import Spool

log = logging.getLogger("ingestd.client")


@dataclass(frozen=True, slots=True)
class Rejection:
    """So many records of a batch were refused by the server, for this reason; it keeps them in its rejects."""

    sequence: int
    records: int
    reason: str


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A batch is durable on the server: how many records it has, those refused included.

    `inherited`: an earlier process left it in the spool.
    """

    sequence: int
    records: int
    inherited: bool


@dataclass(frozen=True, slots=True)
class Stats:
    """What became of records since the client was made.

    `taken` and `dropped`, where the spool had no room, are together what was handed over. `acknowledged` counts also
    what an earlier process left in the spool, and those `rejected` (by reason).
    `connections` that a server served: one more than the reconnects.
    """

    taken: int
    acknowledged: int
    dropped: int
    rejected: dict[str, int]
    spooled_batches: int
    spooled_bytes: int
    connections: int
    last_error: str


OnReject = Callable[[Rejection], None]
OnAcknowledge = Callable[[Acknowledgement], None]
_Told = TypeVar("_Told")


class Books:
    """Written on the engine's thread; figures are read from any. A `link.Ledger`."""

    def __init__(
        self,
        spool: Spool,
        on_progress: Callable[[], None],
        on_reject: OnReject | None,
        on_acknowledge: OnAcknowledge | None,
    ) -> None:
        """`on_progress` is called when batches were acknowledged, after the user's callbacks."""
        self._spool = spool
        self._first_sequence = spool.next_sequence
        self._on_progress = on_progress
        self._on_reject = on_reject or _ignore
        self._on_acknowledge = on_acknowledge or _ignore
        self._rejections: dict[int, dict[str, Rejected]] = {}  # by sequence and reason
        self.acknowledged_to = Progress(spool.acknowledged)
        self.records = 0  # acknowledged
        self.rejected_records: Counter[str] = Counter()
        self.connections = 0
        self.last_error = ""

    def served(self) -> None:
        """See link.Ledger."""
        self.connections += 1
        self.mended()

    def acknowledged(self, sequence: int) -> None:
        """See link.Ledger."""
        for entry in self._spool.acknowledge(sequence):
            self.records += entry.records
            for rejected in self._rejections.pop(entry.sequence, {}).values():
                self.rejected_records[rejected.reason] += rejected.records
                _tell(self._on_reject, Rejection(rejected.sequence, rejected.records, rejected.reason))
            inherited = entry.sequence < self._first_sequence
            _tell(self._on_acknowledge, Acknowledgement(entry.sequence, entry.records, inherited))
        if sequence > self.acknowledged_to.value:
            self.acknowledged_to.reach(sequence)
            self._on_progress()

    def rejected(self, rejected: Rejected) -> None:
        """See link.Ledger. It counts once the batch is acknowledged: until then that may have to be sent again."""
        self._rejections.setdefault(rejected.sequence, {})[rejected.reason] = rejected

    def problem(self, what: str) -> None:
        """Log what is new, and keep it for who asks."""
        if what != self.last_error:
            log.warning("%s", what)
            self.last_error = what

    def mended(self) -> None:
        """What was wrong is so no more."""
        if self.last_error:
            log.info("all is well again")
            self.last_error = ""


def _ignore(_: object) -> None:
    """Nobody wants to know."""


def _tell(callback: Callable[[_Told], None], what: _Told) -> None:
    """What a user's callback does wrong is logged, and costs nothing else."""
    try:
        callback(what)
    except Exception:
        log.exception("a callback of the client failed")
