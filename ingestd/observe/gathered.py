"""Matches since they were last told, by service and by rule or level; bounded, whatever the senders do.

A sample costs as much as to look at a block. So one that was found stands for `SAMPLE_S` in all that is told.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Set
from typing import Final, NamedTuple

from ingestd.observe.messages import OTHERS, Match
from ingestd.stats import Slot, index

#: Services that are told apart, of each rule or level.
MAX_SERVICES: Final = 1000

#: Of all samples together.
MAX_SAMPLES_BYTES: Final = 1 << 19

SAMPLE_S: Final = 1.0

_SERVICES_CUT: Final = index("ingestd_observations_cut_total", "match_service")
_SAMPLES_CUT: Final = index("ingestd_observations_cut_total", "sample")


class Found(NamedTuple):
    """Records of one rule or level that were looked at together, by service, and samples of some of these."""

    name: str
    records: Mapping[str, int]
    samples: Mapping[str, str]
    is_estimated: bool = False
    """They were counted in a part of the records."""


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


class Matches:
    """Records by the name of a rule or level, and by service; the services `named` are always told apart.

    It costs next to nothing to add services that are known: that is done for every look.
    """

    def __init__(self, slot: Slot, named: Collection[str]) -> None:
        self.samples = Samples(slot)
        self._slot = slot
        self._named = named
        self._begin()

    def _begin(self) -> None:
        self._estimated: set[str] = set()
        self._records: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._known: defaultdict[str, dict[str, Match]] = defaultdict(dict)

    def unsampled(self, name: str, services: Set[str]) -> Set[str]:
        """The services that a sample is wanted of."""
        if services <= self._known[name].keys():
            return frozenset()
        return {service for service in services if self.samples.wants(name, service)}

    def add(self, found: Found, now_ns: int) -> None:
        """Take note of records of a name."""
        name, records, _, is_estimated = found
        if not records.keys() <= self._known[name].keys():
            records = self._begin_services(found, now_ns)
        self._records[name].update(records)
        if is_estimated:
            self._estimated.add(name)

    def _begin_services(self, found: Found, now_ns: int) -> Mapping[str, int]:
        """Take note of services that come for the first time; the records by the services that are told apart."""
        known, kept = self._known[found.name], Counter[str]()
        for service, number in found.records.items():
            if service not in known and len(known) >= MAX_SERVICES and service not in self._named:
                self._slot.add(_SERVICES_CUT)
                service = OTHERS
            if service not in known:
                known[service] = Match(found.name, service, 0, now_ns, "")
                self.samples.keep(found.name, service, found.samples.get(service, ""))
            kept[service] += number
        return kept

    def add_match(self, match: Match) -> None:
        """Take note of records that are gathered already."""
        samples = {match.service: match.sample} if match.sample else {}
        found = Found(match.rule, {match.service: match.count}, samples, match.estimated)
        self.add(found, match.first_received_ns)

    def take(self) -> list[Match]:
        """All of them, `Match.rule` the name; from now on there are none."""
        for name, counts in self._records.items():
            for service, records in counts.items():
                self._known[name][service].count = records
        taken = [match for known in self._known.values() for match in known.values()]
        for match in taken:
            match.estimated = match.rule in self._estimated
            self.samples.put_into(match)
        self.samples.age()
        self._begin()
        return taken
