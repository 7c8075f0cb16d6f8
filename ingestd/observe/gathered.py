"""Matches since they were last told, by service and by rule or level; bounded, whatever the senders do."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Set
from typing import Final

from ingestd.observe.messages import OTHERS, Match
from ingestd.stats import Slot, index

#: Services that are told apart, of each rule or level.
MAX_SERVICES: Final = 1000

#: Of all samples together.
MAX_SAMPLES_BYTES: Final = 1 << 19

_SERVICES_CUT: Final = index("ingestd_observations_cut_total", "match_service")
_SAMPLES_CUT: Final = index("ingestd_observations_cut_total", "sample")


class RuleMatches:
    """Matches of rules. The services `named` are always told apart."""

    def __init__(self, slot: Slot, named: Collection[str]) -> None:
        self._slot = slot
        self._named = named
        self._matches: dict[tuple[str, str], Match] = {}
        self._services: Counter[str] = Counter()
        self._samples_bytes = 0

    def wants_sample(self, name: str, service: str) -> bool:
        """Whether a sample of these is still to be found."""
        match = self._matches.get((name, service))
        return (match is None or not match.sample) and self._samples_bytes < MAX_SAMPLES_BYTES

    def add(self, found: Match) -> None:
        """Put it to those of the same name and service. It is not kept itself unless it is the first."""
        match = self._matches.get((found.rule, found.service))
        if match is None:
            if self._services[found.rule] >= MAX_SERVICES and found.service not in self._named:
                self._slot.add(_SERVICES_CUT)
                found.service = OTHERS
                match = self._matches.get((found.rule, OTHERS))
            if match is None:
                self._begin(found)
                return
        match.count += found.count
        match.estimated |= found.estimated
        if not match.sample:
            self._keep_sample(match, found.sample)

    def _begin(self, found: Match) -> None:
        self._matches[found.rule, found.service] = found
        self._services[found.rule] += 1
        sample, found.sample = found.sample, ""
        self._keep_sample(found, sample)

    def _keep_sample(self, match: Match, sample: str) -> None:
        if sample and self._samples_bytes < MAX_SAMPLES_BYTES:
            match.sample = sample
            self._samples_bytes += len(sample)
        else:
            self._slot.add(_SAMPLES_CUT)

    def take(self) -> Iterable[Match]:
        """All of them; from now on there are none."""
        taken = self._matches.values()
        self._matches = {}
        self._services.clear()
        self._samples_bytes = 0
        return taken


class LevelMatches:
    """Records of levels. It costs next to nothing to add services that are known: that is done for every block."""

    def __init__(self, slot: Slot, named: Collection[str]) -> None:
        self._slot = slot
        self._named = named
        self._begin()

    def _begin(self) -> None:
        self._records: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._sampled: defaultdict[str, dict[str, Match]] = defaultdict(dict)
        self._samples_bytes = 0

    def unsampled(self, level: str, services: Set[str]) -> Set[str]:
        """The services that have no sample yet, while there is room for some."""
        if self._samples_bytes >= MAX_SAMPLES_BYTES:
            return frozenset()
        return services - self._sampled[level].keys()

    def add(self, level: str, records: Mapping[str, int], samples: Mapping[str, str], now_ns: int) -> None:
        """Take note of records of a level."""
        counts = self._records[level]
        if not records.keys() <= self._sampled[level].keys():
            records = self._begin_services(level, records, samples, now_ns)
        counts.update(records)

    def _begin_services(
        self, level: str, records: Mapping[str, int], samples: Mapping[str, str], now_ns: int
    ) -> Mapping[str, int]:
        """Take note of services that come for the first time; the records by the services that are told apart."""
        known, kept = self._sampled[level], Counter[str]()
        for service, number in records.items():
            if service not in known and len(known) >= MAX_SERVICES and service not in self._named:
                self._slot.add(_SERVICES_CUT)
                service = OTHERS
            if service not in known:
                sample = samples.get(service, "") if self._samples_bytes < MAX_SAMPLES_BYTES else ""
                if not sample:
                    self._slot.add(_SAMPLES_CUT)
                self._samples_bytes += len(sample)
                known[service] = Match(level, service, 0, now_ns, sample)
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
                self._sampled[level][service].count = records
        taken = [match for known in self._sampled.values() for match in known.values()]
        self._begin()
        return taken
