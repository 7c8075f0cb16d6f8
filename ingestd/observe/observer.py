"""What one worker notices, gathered over many blocks and told to the sidecar some ten times a second.

    look    a block, as soon as it is decoded: what it has of what is looked for. Changes nothing that is told
    see     what was looked at was received: it is told with the next observation
    flush   tells it; by a timer that runs while there is something to tell

Memory is bounded whatever the senders do. What there is no room for is told without telling it apart, or left out, and
counted by `ingestd_observations_cut_total`.

Services are counted in every block up to a rate of some 20,000 records a second, and above it in one block of
`_COUNT_EVERY`, whose numbers then stand for those of the blocks between.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, Protocol

from formats import heartbeats
from formats.cores import NO_COLUMNS
from formats.record import Encoded
from ingestd.observe.block import Block, tally
from ingestd.observe.condition import Condition
from ingestd.observe.gathered import MAX_SERVICES, LevelMatches, RuleMatches
from ingestd.observe.matcher import LevelCount, LevelMatcher, PatternMatcher
from ingestd.observe.messages import OTHERS, SAMPLE_BYTES, Heartbeat, Match, Observation, Rejected
from ingestd.stats import OBSERVED, Slot, index

FLUSH_S: Final = 0.1

#: Nodes and their services with a heartbeat, between two observations.
MAX_HEARTBEATS: Final = 10_000

#: Examples of rejected records, of each reason and second.
MAX_REJECTS: Final = 5

#: Sources that are told with their connections: those that have the most.
MAX_SOURCES: Final = 100

_COUNTED_RECORDS: Final = int(20_000 * FLUSH_S)
_COUNT_EVERY: Final = 32

_CUT: Final = {fact: index("ingestd_observations_cut_total", fact) for fact in OBSERVED}


class Teller(Protocol):
    """Takes observations, when it has sent those before."""

    def tell(self, observation: Observation) -> None: ...
    def push(self) -> bool: ...


#: A refused record: reason, data, detail.
Rejection = tuple[str, bytes, str]


class Sender(Protocol):
    """Whom records came from."""

    @property
    def transport(self) -> str: ...
    @property
    def source(self) -> str: ...


class Seen(NamedTuple):
    """What a block has."""

    now_ns: int
    """When it was looked at."""
    by_level: Sequence[LevelCount]
    """For rules without a pattern."""
    by_rule: Sequence[Match]
    """Of the other rules."""
    names: set[str]
    services: Mapping[str, int] | None
    """Records by service, if they were counted."""
    records: int


class Observer:
    """One worker's. `later` calls a function after so many seconds; `sources` has the open connections by source."""

    def __init__(
        self,
        worker: int,
        conditions: Sequence[Condition],
        teller: Teller,
        slot: Slot,
        later: Callable[[float, Callable[[], None]], object],
        sources: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._worker = worker
        self._levels = LevelMatcher(each for each in conditions if not each.pattern)
        self._patterns = PatternMatcher(each for each in conditions if each.pattern)
        self._looks = bool(self._levels or self._patterns)
        named = frozenset(each.service for each in conditions if each.service)
        self._by_level = LevelMatches(slot, named)
        self._by_rule = RuleMatches(slot, named)
        self._teller = teller
        self._slot = slot
        self._later = later
        self._sources = sources
        self._told_sources: dict[str, int] = {}
        self._armed = False
        self._second = 0
        self._examples: Counter[str] = Counter()  # told of each reason this second
        self._exact_left = _COUNTED_RECORDS  # records before services are counted in some blocks only
        self._blocks_left = 0  # until one is counted again
        self._uncounted = 0  # records since one was counted
        self._begin()

    def _begin(self) -> None:
        self._services: dict[str, float] = {}
        self._estimated = False
        self._heartbeats: dict[tuple[str, str], Heartbeat] = {}
        self._rejects: list[Rejected] = []
        self._sources_changed = False

    @property
    def wants_columns(self) -> bool:
        """Whether the next block should be decoded with its columns."""
        return self._looks or self._counts

    @property
    def _counts(self) -> bool:
        """Whether the services of the next block should be counted."""
        return self._exact_left > 0 or self._blocks_left <= 0

    def look(self, encoded: Encoded) -> Seen:
        """What a block with at least one record has. Its columns are let go."""
        names = encoded.services
        services: Mapping[str, int] | None = None
        if len(names) == 1:
            services = dict.fromkeys(names, encoded.records)
        by_level: list[LevelCount] = []
        by_rule: list[Match] = []
        now_ns = time.time_ns()
        counts = services is None and self._counts
        if counts or self._looks:
            block = Block(encoded)
            by_level = self._levels.look(block, self._by_level.unsampled)
            by_rule = list(self._patterns.look(block, now_ns, self._by_rule.wants_sample))
            if counts:
                services = tally(block.services_of(None), names)
        encoded.columns = NO_COLUMNS
        return Seen(now_ns, by_level, by_rule, names, services, encoded.records)

    def see(self, seen: Seen) -> None:
        """A block that was looked at is received."""
        self._count(seen)
        for level, records, samples in seen.by_level:
            self._by_level.add(level, records, samples, seen.now_ns)
        for match in seen.by_rule:
            self._by_rule.add(match)
        self._arm()

    def _count(self, seen: Seen) -> None:
        if seen.services is None:
            self._blocks_left -= 1
            self._uncounted += seen.records
            if not seen.names <= self._services.keys():
                self._add(dict.fromkeys(seen.names, 0), 1)
        elif len(seen.services) == 1:
            self._add(seen.services, 1)
        else:
            weight = 1 + self._uncounted / seen.records
            self._estimated |= weight > 1
            self._uncounted, self._blocks_left = 0, _COUNT_EVERY
            self._exact_left -= seen.records
            self._add(seen.services, weight)

    def _add(self, counts: Mapping[str, int], weight: float) -> None:
        services = self._services
        for name, records in counts.items():
            if name not in services and len(services) >= MAX_SERVICES:
                self._slot.add(_CUT["service"])
                name = OTHERS
            services[name] = services.get(name, 0) + records * weight

    def hear(self, heartbeat: heartbeats.Heartbeat, source: str, received_ns: int) -> None:
        """A heartbeat is received from this IP address. Without a node's name it is of this address."""
        node, service, timestamp, interval_s, version = heartbeat
        key = node or source, service
        if key not in self._heartbeats and len(self._heartbeats) >= MAX_HEARTBEATS:
            self._slot.add(_CUT["heartbeat"])
            return
        self._heartbeats[key] = Heartbeat(*key, timestamp, received_ns, interval_s, version, source)
        self._arm()

    def reject(self, rejected: Sequence[Rejection], format_: str, sender: Sender, time_: str) -> None:
        """Records are refused: some of them become examples."""
        second = int(time.monotonic())
        if second != self._second:
            self._second = second
            self._examples.clear()
        left_out = 0
        for reason, data, detail in rejected:
            if self._examples[reason] >= MAX_REJECTS:
                left_out += 1
                continue
            self._examples[reason] += 1
            text = data[:SAMPLE_BYTES].decode(errors="backslashreplace")[:SAMPLE_BYTES]
            self._rejects.append(
                Rejected(reason, detail, text, format_, sender.transport, sender.source, time_)
            )
        self._slot.add(_CUT["reject"], left_out)
        self._arm()

    def look_around(self) -> None:
        """Once a second: who is connected?"""
        if self._top_sources() != self._told_sources:
            self._sources_changed = True
            self._arm()

    def _top_sources(self) -> dict[str, int]:
        sources = self._sources()
        if len(sources) <= MAX_SOURCES:
            return dict(sources)
        return dict(heapq.nlargest(MAX_SOURCES, sources.items(), key=itemgetter(1)))

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            self._later(FLUSH_S, self.flush)

    def flush(self) -> None:
        """Tell what there is to tell, unless what was told before has not found room yet."""
        self._armed = False
        self._exact_left = _COUNTED_RECORDS
        if not self._teller.push():
            self._arm()
            return
        sources = None
        if self._sources_changed:
            sources = self._told_sources = self._top_sources()
            left_out = len(self._sources()) - len(sources)
            self._slot.add(_CUT["source"], left_out)
        observation = Observation(
            self._worker,
            [*self._levels.of_rules(self._by_level.take()), *self._by_rule.take()],
            list(self._heartbeats.values()),
            self._rejects,
            {name: round(records) for name, records in self._services.items()},
            self._estimated,
            sources,
        )
        self._begin()
        self._teller.tell(observation)
