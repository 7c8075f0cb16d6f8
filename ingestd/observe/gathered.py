"""Matches since they were last told, by what they match and by service; bounded, whatever the senders do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final

from ingestd.observe.messages import OTHERS, Match
from ingestd.stats import Slot, index

#: Services that are told apart, of each thing that is matched.
MAX_SERVICES: Final = 1000

#: Of all samples together.
MAX_SAMPLES_BYTES: Final = 1 << 19

_SERVICES_CUT: Final = index("ingestd_observations_cut_total", "match_service")
_SAMPLES_CUT: Final = index("ingestd_observations_cut_total", "sample")


class Gathered:
    """Matches of some rules, or of levels: `Match.rule` is the name of either. Those `named` are always told apart."""

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
