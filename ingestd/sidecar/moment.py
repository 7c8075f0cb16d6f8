"""One reading of the board, and the memory of past ones that rates and percentiles need.

A `Moment` is what every answer is made from: one snapshot per slot, so that the accounting law holds in it, per
worker and in sum. The `History` keeps only the sums of past moments (2 KiB each), one a second, and answers
"how did it stand about so long ago". Counters live in shared memory, so history starts afresh with a new sidecar,
and rates are unknown for its first half second.
"""

from __future__ import annotations  # array[int] is a type only for the checker before Python 3.12

from array import array
from collections import deque
from collections.abc import Iterable
from time import monotonic_ns
from typing import Final, NamedTuple

from ingestd.stats import FIRST_SERIES, LATENCY_BUCKETS, POSITION, Board, index

#: Below this, one late block would look like a burst.
_SHORTEST_SPAN_S: Final = 0.5

#: The buckets of the latency histogram, that of +Inf included, the sum not.
_LATENCY: Final = index("ingestd_write_latency_seconds")
_LATENCIES: Final = slice(_LATENCY, _LATENCY + len(LATENCY_BUCKETS) + 1)


class Sums(NamedTuple):
    """Each series summed over all slots at one time, at its place in a slot. The sum of the heads is left 0."""

    at_ns: int
    values: array[int]

    def total(self, places: Iterable[int]) -> int:
        """The sum over several series."""
        return sum(self.values[place] for place in places)


class Moment(NamedTuple):
    """One reading of the whole board at CLOCK_MONOTONIC `at_ns`; the supervisor's slot is apart from the workers'.

    `workers` are the slots that a worker has, `numbers` which these are; `sums` are over all, also those free now.
    """

    at_ns: int
    numbers: list[int]
    workers: list[list[int]]
    supervisor: list[int]
    sums: Sums


def read(board: Board) -> Moment:
    """Read every slot now. The clock is read last, so no heartbeat lies in the future."""
    slots = board.snapshots()
    at_ns = monotonic_ns()
    series = (sum(column) for column in zip(*(slot[FIRST_SERIES:] for slot in slots), strict=True))
    sums = Sums(at_ns, array("q", [*[0] * FIRST_SERIES, *series]))
    numbers = [number for number, slot in enumerate(slots[:-1]) if slot[POSITION]]
    return Moment(at_ns, numbers, [slots[number] for number in numbers], slots[-1], sums)


class History:
    """The sums of the last `span_s` seconds, oldest first, to be added once a second."""

    def __init__(self, span_s: float) -> None:
        self._span_ns = int(span_s * 1e9)
        self._sums: deque[Sums] = deque()

    def add(self, sums: Sums) -> None:
        """Remember `sums` and forget what is older than the span (one older is kept, to span it whole)."""
        self._sums.append(sums)
        while len(self._sums) > 1 and sums.at_ns - self._sums[1].at_ns >= self._span_ns:
            self._sums.popleft()

    def ago(self, now: Sums, window_s: float) -> Sums | None:
        """The newest sums at least `window_s` older than `now`, else the oldest; `None` when too new to compare."""
        latest_ns = now.at_ns - int(window_s * 1e9)
        found = None
        for past in self._sums:
            if found is not None and past.at_ns > latest_ns:
                break
            found = past
        if found is None or now.at_ns - found.at_ns < _SHORTEST_SPAN_S * 1e9:
            return None
        return found


def rate(now: Sums, past: Sums | None, places: Iterable[int]) -> float | None:
    """How fast the sum of these counters moved, per second; `None` when there is nothing to compare with."""
    if past is None:
        return None
    places = tuple(places)
    return (now.total(places) - past.total(places)) / ((now.at_ns - past.at_ns) / 1e9)


def quantile(q: float, bounds: tuple[float, ...], counts: list[int]) -> float | None:
    """The q-quantile of a histogram: `counts` per bucket (not cumulative), one more than `bounds` for +Inf.

    Linear between the bounds of its bucket, from 0 for the first, as PromQL's histogram_quantile does; in the +Inf
    bucket it is the highest bound. `None` when nothing was observed.
    """
    total = sum(counts)
    if not total:
        return None
    rank = q * total
    below, lower = 0, 0.0
    for upper, count in zip(bounds, counts, strict=False):
        if count and below + count >= rank:
            return lower + (upper - lower) * (rank - below) / count
        below += count
        lower = upper
    return bounds[-1]


def latencies(now: Sums, past: Sums) -> tuple[float | None, float | None]:
    """p50 and p99 from receipt to disk, seconds, of what was written between; `None` when nothing was."""
    counts = [
        later - earlier
        for later, earlier in zip(now.values[_LATENCIES], past.values[_LATENCIES], strict=True)
    ]
    return quantile(0.5, LATENCY_BUCKETS, counts), quantile(0.99, LATENCY_BUCKETS, counts)
