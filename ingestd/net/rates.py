"""Rate limits: a token bucket of bytes for each connection, and one for each source (IP address) in this worker.

A bucket may be overdrawn: what was read is taken, and the reader then waits until the debt is paid. So nothing is
lost over TCP, the mean rate is exact whatever the size of a read, and a read costs one subtraction.

Limits. Buckets of sources are this worker's alone: a source with connections to several has the rate in each. The
last `SOURCES` sources are remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

#: What is forgotten of a source is at most that it has to wait.
SOURCES: Final = 4096


class RateLimits(NamedTuple):
    """Bytes per second, 0 where there is no limit; `burst_s` is how many seconds' worth may come at once."""

    connection: int = 0
    source: int = 0
    burst_s: float = 1.0


class Bucket:
    """Fills at `rate` bytes per second up to `burst_s` seconds' worth, with which it begins."""

    __slots__ = ("_at_s", "_full", "_level", "_rate")

    def __init__(self, rate: int, burst_s: float, now_s: float) -> None:
        self._rate = rate
        self._full = self._level = rate * burst_s
        self._at_s = now_s

    def take(self, nbytes: int, now_s: float) -> float:
        """Take so many bytes out; how many seconds it is until the bucket is no longer overdrawn."""
        self._level = min(self._full, self._level + (now_s - self._at_s) * self._rate) - nbytes
        self._at_s = now_s
        return max(0.0, -self._level / self._rate)


class Rates:
    """The buckets of one worker."""

    def __init__(self, limits: RateLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._source = lru_cache(SOURCES)(lambda source: Bucket(limits.source, limits.burst_s, clock()))

    def buckets(self, source: str) -> list[Bucket]:
        """Those of a new connection; none where there is no limit."""
        limits = self._limits
        own = [Bucket(limits.connection, limits.burst_s, self._clock())] if limits.connection else []
        return [*own, self._source(source)] if limits.source else own

    def allows(self, source: str, nbytes: int) -> bool:
        """Take a datagram's bytes from the bucket of its source, unless that is overdrawn already."""
        if not self._limits.source:
            return True
        bucket, now_s = self._source(source), self._clock()
        if bucket.take(0, now_s):
            return False
        bucket.take(nbytes, now_s)
        return True
