"""What was seen of blocks that are received together: matches of rules, and services with their records.

Strategy. To look has a price whatever is looked at, as much as that of some thousand records; so blocks wait until they
are worth it together, or until somebody asks. What waits has left the caches when it is looked at, and its memory is
not used again for what comes. So patterns that are looked for in all messages are so while these are made, by who makes
them (`Rules.wanted`), who count, too, what is only counted; and only the records of the levels and services that other
rules ask for are kept, with lines of their own, mostly few. Of most patterns it is known that what they match has one
of a few pairs of bytes (literals.py): messages without any are neither searched nor kept.

The observer has one for all streams, and each numbered batch one of its own until it is received: a batch is decoded in
steps, and may be given up.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import Final, Generic, TypeVar

import msgspec

from formats.cores import ALL_COLUMNS, Wanted, bits_of
from formats.levels import LEVELS
from formats.record import Encoded, Kept
from ingestd.observe.block import Block
from ingestd.observe.condition import Condition
from ingestd.observe.gathered import Matches
from ingestd.observe.matcher import LevelMatcher, PatternMatcher, from_level
from ingestd.observe.messages import Match
from ingestd.observe.services import ServiceCounts
from ingestd.stats import Slot

#: So many records are looked at together in which something may be found, more where it is in all of them; and so many
#: of those that are kept, which takes some 3 ms. Or so many bytes of their lines.
_ENOUGH_NEW: Final = 1024
_ENOUGH_IN_STORM: Final = 12_288
_ENOUGH_KEPT: Final = 32_768
_ENOUGH_BYTES: Final = 1 << 23

_MOST_SEARCHED_PAIRS: Final = 6


Part = TypeVar("Part", Encoded, Kept)


class Rules:
    """What is looked for: shared by all that look."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        patterns = [each for each in conditions if each.pattern]
        self.everywhere = PatternMatcher(each for each in patterns if _is_everywhere(each))
        self.patterns = PatternMatcher(each for each in patterns if not _is_everywhere(each))
        self.levels = LevelMatcher(each for each in conditions if not each.pattern)
        self.are_any = bool(conditions)
        self.named: Collection[str] = frozenset(each.service for each in conditions if each.service)
        any_, likely = self.patterns.levels(False), self.patterns.levels(True)
        self.kept_levels = self.levels.levels.union(*any_.values(), *likely.values())
        of_services = _by_service(any_)
        self._calm = Wanted(
            of_services.pop(b"", 0),
            of_services,
            bits_of(self.levels.levels),
            self.everywhere.searching(),
            _searched_pairs(self.everywhere),
            _by_service(likely),
            self.patterns.pairs,
        )

    @property
    def wanted(self) -> Wanted:
        """What is wanted of the next block."""
        return ALL_COLUMNS if self.everywhere.in_storm else self._calm


def _by_service(levels: Mapping[str, Collection[str]]) -> dict[bytes, int]:
    """For `Wanted`."""
    return {msgspec.json.encode(service)[1:-1]: bits_of(of_service) for service, of_service in levels.items()}


def _searched_pairs(patterns: PatternMatcher) -> bytes:
    """Of what is looked for in all messages; none where to look for so many takes as long as to search."""
    if patterns.levels(False) or len(patterns.pairs) > _MOST_SEARCHED_PAIRS * 2:
        return b""
    return patterns.pairs


def _is_everywhere(condition: Condition) -> bool:
    """Whether its pattern is looked for in the messages of all records."""
    about_all = not condition.service and from_level(condition.level) == LEVELS
    return about_all and condition.field in ("", "message")


class _Waiting(Generic[Part]):
    """Blocks, or parts of them, that wait for a look."""

    def __init__(self) -> None:
        self._blocks: list[Part] = []
        self._records = self.nbytes = 0
        self._since_ns = 0

    def add(self, part: Part, since_ns: int, enough: int) -> bool:
        """Whether there are `enough` records now. `since_ns`: when these were received, UNIX ns."""
        if not self._blocks:
            self._since_ns = since_ns
        self._blocks.append(part)
        self._records += part.records
        self.nbytes += part.nbytes
        return self._records >= enough or self.nbytes >= _ENOUGH_BYTES

    def take(self) -> tuple[list[Part], int]:
        """They wait no longer; and since when the first did."""
        taken = self._blocks, self._since_ns
        self._blocks = []
        self._records = self.nbytes = 0
        return taken


class Sight:
    """What was seen since `take_matches`. With a `before`, samples are of what that has none of."""

    def __init__(self, rules: Rules, slot: Slot, before: Sight | None = None) -> None:
        self._rules = rules
        self._before = before
        self._levels = Matches(slot, rules.named)
        self._patterns = Matches(slot, rules.named)
        self._new = _Waiting[Encoded]()
        self._kept = _Waiting[Kept]()
        self.services: ServiceCounts = ServiceCounts(slot, None if before is None else before.services)

    def add(self, encoded: Encoded) -> None:
        """Look at a block with at least one record, now or soon. Then what was gathered of it is let go."""
        self.services.add(encoded)
        if not self._rules.are_any:
            encoded.let_go()
            return
        self._wait_for_look(encoded, time.time_ns())

    def _wait_for_look(self, encoded: Encoded, since_ns: int) -> None:
        if not (encoded.may_match and self._rules.everywhere):
            self._keep(encoded.take_kept(), since_ns)
            return
        enough = _ENOUGH_IN_STORM if self._rules.everywhere.in_storm else _ENOUGH_NEW
        if self._new.add(encoded, since_ns, enough):
            self._look_at_new()

    def _look_at_new(self) -> None:
        """Look everywhere in what is new, and keep what else is asked for."""
        blocks, since_ns = self._new.take()
        if blocks:
            self._note_patterns(self._rules.everywhere, Block(blocks), since_ns)
        for encoded in blocks:
            self._keep(encoded.take_kept(), since_ns)

    def _keep(self, parts: Iterable[Kept], since_ns: int) -> None:
        """Keep what is asked for by its level."""
        for part in parts:
            is_asked = not self._rules.kept_levels.isdisjoint(part.levels)
            if is_asked and self._kept.add(part, since_ns, _ENOUGH_KEPT):
                self._look_at_kept()

    def _look_at_kept(self) -> None:
        """Look at what is kept, and let it go."""
        parts, since_ns = self._kept.take()
        if not parts:
            return
        block = Block(parts)
        for found in self._rules.levels.look(block, self._unsampled_levels):
            self._levels.add(found, since_ns)
        self._note_patterns(self._rules.patterns, block, since_ns)

    def _note_patterns(self, patterns: PatternMatcher, block: Block, since_ns: int) -> None:
        for found in patterns.look(block, self._unsampled_patterns):
            self._patterns.add(found, since_ns)

    def _unsampled_levels(self, level: str, services: Set[str]) -> Set[str]:
        if self._before is not None:
            services = self._before._unsampled_levels(level, services)
        return self._levels.unsampled(level, services)

    def _unsampled_patterns(self, rule: str, services: Set[str]) -> Set[str]:
        if self._before is not None:
            services = self._before._unsampled_patterns(rule, services)
        return self._patterns.unsampled(rule, services)

    def take_in(self, other: Sight) -> None:
        """What that one has seen is received, and what it has not looked at yet."""
        blocks, since_ns = other._new.take()
        for encoded in blocks:
            self._wait_for_look(encoded, since_ns)
        parts, since_ns = other._kept.take()
        self._keep(parts, since_ns)
        for match in other._levels.take():
            self._levels.add_match(match)
        for match in other._patterns.take():
            self._patterns.add_match(match)
        self.services.take_in(other.services)

    def take_matches(self) -> list[Match]:
        """What was found, by rule and service; from now on there is nothing."""
        self._look_at_new()
        self._look_at_kept()
        return [*self._rules.levels.of_rules(self._levels.take()), *self._patterns.take()]
