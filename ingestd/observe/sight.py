"""What was seen of blocks that are received together: matches of rules, and services with their records.

Strategy. To look at a block has a price whatever its size, as much as that of a thousand records; so small blocks are
put together until they are worth it, or until somebody asks.

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
from ingestd.observe.gathered import LevelMatches, RuleMatches
from ingestd.observe.matcher import LevelMatcher, PatternMatcher
from ingestd.observe.messages import Match
from ingestd.observe.services import ServiceCounts
from ingestd.stats import Slot

#: So many records are looked at together, or so many bytes of their lines.
_ENOUGH: Final = 1024
_ENOUGH_BYTES: Final = 1 << 18


class Rules:
    """What is looked for: shared by all that look."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self.levels = LevelMatcher(each for each in conditions if not each.pattern)
        self.patterns = PatternMatcher(each for each in conditions if each.pattern)
        self.named: Collection[str] = frozenset(each.service for each in conditions if each.service)

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.levels or self.patterns)


class Sight:
    """What was seen since `take_matches`. With a `before`, samples are of what that has none of."""

    def __init__(self, rules: Rules, slot: Slot, before: Sight | None = None) -> None:
        self._rules = rules
        self._before = before
        self._levels = LevelMatches(slot, rules.named)
        self._patterns = RuleMatches(slot, rules.named)
        self._waiting = Encoded("")
        self._since_ns = 0
        self.services: ServiceCounts = ServiceCounts(slot, None if before is None else before.services)

    def add(self, encoded: Encoded) -> None:
        """Look at a block with at least one record. Its columns are let go."""
        self.services.add(encoded)
        if self._rules:
            if not self._waiting.records:
                self._since_ns = time.time_ns()
            if not self._waiting.records and _is_enough(encoded):
                self._look(encoded)
            else:
                self._waiting.append(encoded)
                if _is_enough(self._waiting):
                    self._look_at_waiting()
        encoded.columns = NO_COLUMNS

    def _look_at_waiting(self) -> None:
        waiting, self._waiting = self._waiting, Encoded("")
        if waiting.records:
            self._look(waiting)

    def _look(self, encoded: Encoded) -> None:
        block = Block(encoded)
        for level, records, samples in self._rules.levels.look(block, self.unsampled):
            self._levels.add(level, records, samples, self._since_ns)
        for match in self._rules.patterns.look(block, self._since_ns, self.wants_sample):
            self._patterns.add(match)

    def unsampled(self, level: str, services: Set[str]) -> Set[str]:
        """The services of which a sample is wanted."""
        if self._before is not None:
            services = self._before.unsampled(level, services)
        return self._levels.unsampled(level, services)

    def wants_sample(self, rule: str, service: str) -> bool:
        """Whether a sample of these is wanted."""
        if self._before is not None and not self._before.wants_sample(rule, service):
            return False
        return self._patterns.samples.wants(rule, service)

    def take_in(self, other: Sight) -> None:
        """What that one has seen is received."""
        other._look_at_waiting()
        for match in other._levels.take():
            self._levels.add_match(match)
        for match in other._patterns.take():
            self._patterns.add(match)
        self.services.take_in(other.services)

    def take_matches(self) -> list[Match]:
        """What was found, by rule and service; from now on there is nothing."""
        self._look_at_waiting()
        return [*self._rules.levels.of_rules(self._levels.take()), *self._patterns.take()]


def _is_enough(encoded: Encoded) -> bool:
    return encoded.records >= _ENOUGH or encoded.nbytes >= _ENOUGH_BYTES
