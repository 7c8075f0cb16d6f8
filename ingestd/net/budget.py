"""A budget of memory that all connections of a worker share: what they hold in unfinished records, batches and answers.

Each connection tells how much more or less it holds, once a read. Over the budget those that hold most are ended, until
the rest fits: a thousand senders of long unfinished records cannot take what a thousand others need.

Limits. Known is what senders made us keep, not what Python adds; and the budget is looked at once per pass of the
loop, so it can be exceeded by what one pass reads. What waits for the disk has its own bound (`buffer.high_water`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from ingestd.stats import Slot, index

_HELD = index("ingestd_held_bytes")


class Holder(Protocol):
    """One that holds memory, as it last told."""

    held_bytes: int

    def evict(self) -> None:
        """Hold nothing any more."""
        ...


class Budget:
    """The budget of one worker; `holders` are all that may hold something."""

    def __init__(
        self, max_bytes: int, holders: Iterable[Holder], loop: asyncio.AbstractEventLoop, slot: Slot
    ) -> None:
        self._max = max_bytes
        self._holders = holders
        self._loop = loop
        self._slot = slot
        self._held = slot[_HELD] = 0
        self._called = False

    def move(self, nbytes: int) -> None:
        """So many bytes more, or fewer, are held. Ends nobody before the caller is done with what it does."""
        self._held += nbytes
        self._slot[_HELD] = self._held
        if self._held > self._max and not self._called:
            self._called = True
            self._loop.call_soon(self._relieve)

    def _relieve(self) -> None:
        self._called = False
        for holder in sorted(self._holders, key=lambda holder: holder.held_bytes, reverse=True):
            if self._held <= self._max:
                return
            holder.evict()
