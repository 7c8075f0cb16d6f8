"""Matches since they were last told, by service and by rule or level; bounded, whatever the senders do.

A sample costs as much as to look at a block. So one that was found stands for `SAMPLE_S` in all that is told.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from typing import Final

from ingestd.observe.messages import OTHERS, Match
from ingestd.stats import Slot, index

#: Services that are told apart, of each rule or level.
MAX_SERVICES: Final = 1000

#: Of all samples together.
MAX_SAMPLES_BYTES: Final = 1 << 19

SAMPLE_S: Final = 1.0

_SERVICES_CUT: Final = index("ingestd_observations_cut_total", "match_service")
_SAMPLES_CUT: Final = index("ingestd_observations_cut_total", "sample")


class Samples:
    """One stored record of each name and service, until it is old."""

    def __init__(self, slot: Slot, clock: Callable[[], float] = time.monotonic) -> None:
        self._slot = slot
        self._clock = clock
        self._began_s = clock()
        self._lines: dict[tuple[str, str], str] = {}
        self._bytes = 0

    def wants(self, name: str, service: str) -> bool:
        """Whether there is none yet, and room for one."""
        return (name, service) not in self._lines and self._bytes < MAX_SAMPLES_BYTES

    def keep(self, name: str, service: str, line: str) -> None:
        """Keep one, where it is wanted."""
        if line and self.wants(name, service):
            self._lines[name, service] = line
            self._bytes += len(line)

    def put_into(self, match: Match) -> None:
        """Give a match that is told its sample."""
        match.sample = self._lines.get((match.rule, match.service), "")
        if not match.sample:
            self._slot.add(_SAMPLES_CUT)

    def age(self) -> None:
        """Forget them if they are old."""
        if self._clock() - self._began_s >= SAMPLE_S:
            self._began_s = self._clock()
            self._lines.clear()
            self._bytes = 0


class RuleMatches:
    """Matches of rules. The services `named` are always told apart."""

    def __init__(self, slot: Slot, named: Collection[str]) -> None:
        self.samples = Samples(slot)
        self._slot = slot
        self._named = named
        self._matches: dict[tuple[str, str], Match] = {}
        self._services: Counter[str] = Counter()

    def add(self, found: Match) -> None:
        """Put it to those of the same rule and service. It is not kept itself unless it is the first."""
        match = self._matches.get((found.rule, found.service))
        is_new = match is None and found.service not in self._named
        if is_new and self._services[found.rule] >= MAX_SERVICES:
            self._slot.add(_SERVICES_CUT)
            found.service = OTHERS
            match = self._matches.get((found.rule, OTHERS))
        self.samples.keep(found.rule, found.service, found.sample)
        if match is None:
            self._matches[found.rule, found.service] = found
            self._services[found.rule] += 1
        else:
            match.count += found.count
            match.estimated |= found.estimated

    def take(self) -> Iterable[Match]:
        """All of them; from now on there are none."""
        taken = self._matches.values()
        self._matches = {}
        self._services.clear()
        for match in taken:
            self.samples.put_into(match)
        self.samples.age()
        return taken


class LevelMatches:
    """Records of levels. It costs next to nothing to add services that are known: that is done for every block."""

    def __init__(self, slot: Slot, named: Collection[str]) -> None:
        self.samples = Samples(slot)
        self._slot = slot
        self._named = named
        self._begin()

    def _begin(self) -> None:
        self._records: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._known: defaultdict[str, dict[str, Match]] = defaultdict(dict)

    def unsampled(self, level: str, services: Set[str]) -> Set[str]:
        """The services that a sample is wanted of."""
        if services <= self._known[level].keys():
            return frozenset()
        return {service for service in services if self.samples.wants(level, service)}

    def add(self, level: str, records: Mapping[str, int], samples: Mapping[str, str], now_ns: int) -> None:
        """Take note of records of a level."""
        if not records.keys() <= self._known[level].keys():
            records = self._begin_services(level, records, samples, now_ns)
        self._records[level].update(records)

    def _begin_services(
        self, level: str, records: Mapping[str, int], samples: Mapping[str, str], now_ns: int
    ) -> Mapping[str, int]:
        """Take note of services that come for the first time; the records by the services that are told apart."""
        known, kept = self._known[level], Counter[str]()
        for service, number in records.items():
            if service not in known and len(known) >= MAX_SERVICES and service not in self._named:
                self._slot.add(_SERVICES_CUT)
                service = OTHERS
            if service not in known:
                known[service] = Match(level, service, 0, now_ns, "")
                self.samples.keep(level, service, samples.get(service, ""))
            kept[service] += number
        return kept

    def add_match(self, match: Match) -> None:
        """Take note of records that are gathered already, `Match.rule` the level."""
        samples = {match.service: match.sample} if match.sample else {}
        self.add(match.rule, {match.service: match.count}, samples, match.first_received_ns)

    def take(self) -> list[Match]:
        """All of them, `Match.rule` the level; from now on there are none."""
        for level, counts in self._records.items():
            for service, records in counts.items():
                self._known[level][service].count = records
        taken = [match for known in self._known.values() for match in known.values()]
        for match in taken:
            self.samples.put_into(match)
        self.samples.age()
        self._begin()
        return taken
