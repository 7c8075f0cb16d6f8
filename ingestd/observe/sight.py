"""What was seen of blocks that are received together: matches of rules, and services with their records.

Strategy. To look has a price whatever is looked at, as much as that of some thousand records; so blocks wait until they
are worth it together, or until somebody asks.

The observer has one for all streams, and each numbered batch one of its own until it is received: a batch is decoded in
steps, and may be given up.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence, Set
from typing import Final

from formats.cores import NO_COLUMNS
from formats.record import Encoded
from ingestd.observe.block import Block
from ingestd.observe.condition import Condition
from ingestd.observe.gathered import Matches
from ingestd.observe.matcher import LevelMatcher, PatternMatcher
from ingestd.observe.messages import Match
from ingestd.observe.services import ServiceCounts
from ingestd.stats import Slot

#: So many records are looked at together, or so many bytes of their lines.
_ENOUGH: Final = 16_384
_ENOUGH_BYTES: Final = 1 << 22


class Rules:
    """What is looked for: shared by all that look."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self.levels = LevelMatcher(each for each in conditions if not each.pattern)
        self.patterns = PatternMatcher(each for each in conditions if each.pattern)
        self.are_any = bool(self.levels or self.patterns)
        self.named: Collection[str] = frozenset(each.service for each in conditions if each.service)


class Sight:
    """What was seen since `take_matches`. With a `before`, samples are of what that has none of."""

    def __init__(self, rules: Rules, slot: Slot, before: Sight | None = None) -> None:
        self._rules = rules
        self._before = before
        self._levels = Matches(slot, rules.named)
        self._patterns = Matches(slot, rules.named)
        self._waiting: list[Encoded] = []
        self._records = 0  # that wait, and the bytes of their lines
        self._bytes = 0
        self._since_ns = 0
        self.services: ServiceCounts = ServiceCounts(slot, None if before is None else before.services)

    def add(self, encoded: Encoded) -> None:
        """Look at a block with at least one record, now or soon. Then its columns are let go."""
        self.services.add(encoded)
        if not self._rules.are_any:
            encoded.columns = NO_COLUMNS
            return
        if not self._waiting:
            self._since_ns = time.time_ns()
        self._waiting.append(encoded)
        self._records += encoded.records
        self._bytes += encoded.nbytes
        if self._records >= _ENOUGH or self._bytes >= _ENOUGH_BYTES:
            self._look()

    def _look(self) -> None:
        """Look at what waits, at least one block, and let go its columns."""
        waiting, self._waiting = self._waiting, []
        self._records = self._bytes = 0
        block = Block(waiting)
        for encoded in waiting:
            encoded.columns = NO_COLUMNS
        for found in self._rules.levels.look(block, self._unsampled_levels):
            self._levels.add(found, self._since_ns)
        for found in self._rules.patterns.look(block, self._unsampled_patterns):
            self._patterns.add(found, self._since_ns)

    def _look_at_waiting(self) -> None:
        if self._waiting:
            self._look()

    def _unsampled_levels(self, level: str, services: Set[str]) -> Set[str]:
        if self._before is not None:
            services = self._before._unsampled_levels(level, services)
        return self._levels.unsampled(level, services)

    def _unsampled_patterns(self, rule: str, services: Set[str]) -> Set[str]:
        if self._before is not None:
            services = self._before._unsampled_patterns(rule, services)
        return self._patterns.unsampled(rule, services)

    def take_in(self, other: Sight) -> None:
        """What that one has seen is received."""
        other._look_at_waiting()
        for match in other._levels.take():
            self._levels.add_match(match)
        for match in other._patterns.take():
            self._patterns.add_match(match)
        self.services.take_in(other.services)

    def take_matches(self) -> list[Match]:
        """What was found, by rule and service; from now on there is nothing."""
        self._look_at_waiting()
        return [*self._rules.levels.of_rules(self._levels.take()), *self._patterns.take()]
