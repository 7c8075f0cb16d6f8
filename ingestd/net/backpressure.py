"""Backpressure: one gate per worker between the sockets and the writer's queue.

`add` and `free` move the bytes that wait for the writer. Past `high` the gate closes and everything registered is
paused; at `low` it opens and everything is resumed. In between nothing happens, so it does not flutter.

Who is paused and has nothing in the queue may take that for a request, so that a quiet client need not wait for what
others sent; who did is halted when all of them together came to `SPARED` of `high` more.
"""

from __future__ import annotations

from typing import Final, Protocol

from ingestd.stats import Slot, index

#: A share of `high_bytes`.
SPARED: Final = 0.25

_QUEUE_BYTES = index("ingestd_queue_bytes")
_PAUSES = index("ingestd_backpressure_pauses_total")


class Reader(Protocol):
    """Something that can stop reading for a while."""

    def pause(self) -> None: ...

    def halt(self) -> None: ...

    def resume(self) -> None: ...


class Gate:
    """Open while fewer than `high_bytes` wait. New readers register while open or closed and are told at once."""

    def __init__(self, high_bytes: int, low_bytes: int, slot: Slot) -> None:
        self._high = high_bytes
        self._low = low_bytes
        self._most = high_bytes * (1 + SPARED)
        self._slot = slot
        self._readers: set[Reader] = set()
        self._waiting = 0
        self.closed = False
        self._halted = False
        slot[_QUEUE_BYTES] = 0

    def register(self, reader: Reader) -> None:
        self._readers.add(reader)
        if self.closed:
            reader.pause()
        if self._halted:
            reader.halt()

    def forget(self, reader: Reader) -> None:
        self._readers.discard(reader)

    def add(self, nbytes: int) -> None:
        """More bytes wait."""
        self._waiting += nbytes
        self._slot[_QUEUE_BYTES] = self._waiting
        if self._waiting > self._high and not self.closed:
            self.closed = True
            self._slot.add(_PAUSES)
            for reader in tuple(self._readers):  # one may end, and be forgotten, upon being told
                reader.pause()
        if self._waiting > self._most and not self._halted:
            self._halted = True
            for reader in tuple(self._readers):
                reader.halt()

    def free(self, nbytes: int) -> None:
        """Fewer bytes wait."""
        self._waiting -= nbytes
        self._slot[_QUEUE_BYTES] = self._waiting
        if self.closed and self._waiting <= self._low:
            self.closed = self._halted = False
            for reader in tuple(self._readers):
                reader.resume()
