"""What workers told of the records that passed, kept for a while: services, sources, examples of refused records.

Everything is bounded, whatever the senders do: the names told apart in a window, the sources of a worker, the examples
of a reason.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Container
from time import monotonic
from typing import Final

import msgspec

from ingestd.observe.messages import Observation, Rejected

#: Services are counted in slices of time; the rate is over all of them.
_SLICE_S: Final = 5.0
_SLICES: Final = 12
_MOST_NAMES: Final = 1000
#: A longer name is cut: it is there to be read.
_NAME_CHARS: Final = 200
_MOST_EXAMPLES: Final = 20
_MOST_REASONS: Final = 100

#: What is counted under no name of its own.
OTHERS: Final = ""


class Speed(msgspec.Struct, frozen=True):
    """Records of a service; the empty name stands for all that are not told apart."""

    service: str
    per_second: float


class Source(msgspec.Struct, frozen=True):
    """Open connections of one sender's address, over all workers."""

    source: str
    connections: int


class _Slice:
    def __init__(self, since_s: float) -> None:
        self.since_s = since_s
        self.counts: Counter[str] = Counter()
        self.estimated = False


class Facts:
    """Hears observations; answers what they come to. `now_s` is a monotonic clock's, in seconds."""

    def __init__(self) -> None:
        self._slices: deque[_Slice] = deque(maxlen=_SLICES)
        self._sources: dict[int, dict[str, int]] = {}
        self._examples: dict[str, deque[Rejected]] = {}

    @property
    def estimated(self) -> bool:
        """Whether the counts of services are inferred from a part of the records."""
        return any(one.estimated for one in self._slices)

    def hear(self, observation: Observation, now_s: float | None = None) -> None:
        """Take in what a worker noticed."""
        now_s = monotonic() if now_s is None else now_s
        self._count(observation, now_s)
        if observation.sources is not None:
            self._sources[observation.worker] = observation.sources
        for rejected in observation.rejects:
            self._keep(rejected)

    def _count(self, observation: Observation, now_s: float) -> None:
        if not self._slices or now_s - self._slices[-1].since_s >= _SLICE_S:
            self._slices.append(_Slice(now_s))
        self._slices[-1].estimated |= observation.estimated
        counts = self._slices[-1].counts
        for name, count in observation.services.items():
            service = name[:_NAME_CHARS]
            counts[service if service in counts or len(counts) < _MOST_NAMES else OTHERS] += count

    def _keep(self, rejected: Rejected) -> None:
        if rejected.reason not in self._examples and len(self._examples) >= _MOST_REASONS:
            return
        self._examples.setdefault(rejected.reason, deque(maxlen=_MOST_EXAMPLES)).appendleft(rejected)

    def services(self, most: int, now_s: float | None = None) -> list[Speed]:
        """The busiest services of the last minute, busiest first, at most so many."""
        now_s = monotonic() if now_s is None else now_s
        within = [one for one in self._slices if now_s - one.since_s <= _SLICE_S * _SLICES]
        if not within:
            return []
        span_s = max(1.0, now_s - within[0].since_s)
        total: Counter[str] = Counter()
        for one in within:
            total.update(one.counts)
        return [Speed(service, round(count / span_s, 3)) for service, count in total.most_common(most)]

    def sources(self, most: int, workers: Container[int]) -> list[Source]:
        """Who has the most connections to these workers, most first, at most so many."""
        self._sources = {worker: told for worker, told in self._sources.items() if worker in workers}
        total: Counter[str] = Counter()
        for told in self._sources.values():
            total.update(told)
        return [Source(source, count) for source, count in total.most_common(most)]

    def examples(self, reason: str) -> list[Rejected]:
        """Recent refused records of a reason, newest first."""
        return list(self._examples.get(reason, ()))

    def example_counts(self) -> dict[str, int]:
        """How many examples there are to look at, by reason."""
        return {reason: len(examples) for reason, examples in self._examples.items()}
