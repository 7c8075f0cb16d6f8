"""When and where to try next: full jitter over several addresses.

The delay before attempt n is uniform between 0 and min(limit, 0.1 s * 2^n), so that a thousand clients that lost one
server do not come back as one (AWS Architecture Blog, "Exponential Backoff And Jitter"). Each failure moves on to the
next address; one that served is stayed with. The delay grows once per round over all addresses, not per address. Where
every address refused for a reason that waiting does not mend, the full limit is waited, scattered by half.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from ingestd.client.options import Address

FIRST_S: Final = 0.1
_MOST_DOUBLINGS: Final = 30


class Backoff:
    """The addresses and how often in a row they have failed."""

    def __init__(self, addresses: Sequence[Address], limit_s: float, random: Random | None = None) -> None:
        self._addresses = tuple(addresses)
        self._limit_s = limit_s
        self._random = random or Random()
        self._turn = 0
        self._failures = 0
        self._refusals = 0

    @property
    def address(self) -> Address:
        """Where to connect now."""
        return self._addresses[self._turn]

    @property
    def refused_everywhere(self) -> bool:
        """Whether every address refused, one after the other."""
        return self._refusals >= len(self._addresses)

    def succeeded(self) -> None:
        """The server at `address` serves us."""
        self._failures = self._refusals = 0

    def failed(self, refused: bool) -> float:
        """Move on; returns the seconds to wait before the next attempt."""
        self._turn = (self._turn + 1) % len(self._addresses)
        rounds = self._failures // len(self._addresses)
        self._failures += 1
        self._refusals = self._refusals + 1 if refused else 0
        if self.refused_everywhere:
            return self._limit_s * self._random.uniform(0.5, 1.0)
        return self._random.uniform(0, min(self._limit_s, FIRST_S * 2 ** min(rounds, _MOST_DOUBLINGS)))
