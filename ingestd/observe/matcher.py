"""Which records of a block meet the conditions of rules: what a worker asks of every block, in a few calls of C.

Strategy. What is counted of a block anyway, its levels and services, refuses most conditions without a look at any
record. Those without a pattern are many that ask for little: so the services of the records of each level are counted,
mostly by who makes the records, and what that is for each rule is found when it is told (`of_rules`). For the others
the messages are searched for all patterns at once (search.py).

A pattern in another field than the message costs 0.5 us for each record of the rule's level and service, to decode it,
and without compiled kernels 0.1 us for each record of a block that has any of these, to find the lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set

import numpy as np

from formats import cores
from formats.cores import Numbers, Texts
from formats.levels import LEVELS
from ingestd.observe.block import Block, field_decoder, first_places
from ingestd.observe.condition import Condition
from ingestd.observe.gathered import Found
from ingestd.observe.literals import pairs_of
from ingestd.observe.messages import Match
from ingestd.observe.search import Search

#: Of which of these services a sample is wanted, of a rule or a level.
Unsampled = Callable[[str, Set[str]], Set[str]]


def from_level(level: str) -> tuple[str, ...]:
    """That level and those above it; all of them where it is empty."""
    return LEVELS[LEVELS.index(level) if level else 0 :]


class LevelMatcher:
    """Conditions without a pattern."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self._rules: dict[str, list[tuple[str, str]]] = {}
        """By level, the rules that ask for it, each with its service."""
        for each in conditions:
            for level in from_level(each.level):
                self._rules.setdefault(level, []).append((each.rule, each.service))
        self._services: dict[str, frozenset[str]] = {}
        """By level, the services that are asked for; none stands for all."""
        for level, rules in self._rules.items():
            services = frozenset(service for _, service in rules)
            self._services[level] = frozenset() if "" in services else services

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._rules)

    def look(self, block: Block, unsampled: Unsampled) -> list[Found]:
        """The records of the levels asked for, by level."""
        found = []
        levels = [
            level
            for level, services in self._services.items()
            if not services or not services.isdisjoint(block.services)
        ]
        for level, records in block.count(levels).items():
            services = self._services[level]
            if services and services.isdisjoint(records):
                continue
            samples = block.samples_of(level, unsampled(level, records.keys()))
            found.append(Found(level, records, samples))
        return found

    @property
    def levels(self) -> frozenset[str]:
        """All that are asked for."""
        return frozenset(self._rules)

    def of_rules(self, by_level: Iterable[Match]) -> list[Match]:
        """What was found, by rule; in `by_level`, `Match.rule` is a level."""
        found: dict[tuple[str, str], Match] = {}
        for each in by_level:
            for rule, service in self._rules[each.rule]:
                if service not in ("", each.service):
                    continue
                match = found.get((rule, each.service))
                if match is None:
                    found[rule, each.service] = Match(
                        rule, each.service, each.count, each.first_received_ns, each.sample
                    )
                else:
                    match.count += each.count
                    match.first_received_ns = min(match.first_received_ns, each.first_received_ns)
                    match.sample = match.sample or each.sample
        return list(found.values())


class PatternMatcher:
    """Conditions with a pattern, which is good by `check_pattern`: for others `hyperscan.error` is raised."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        groups: dict[tuple[str, str, str], list[Condition]] = {}
        for each in conditions:
            groups.setdefault((each.level, each.service, each.field or "message"), []).append(each)
        self._groups = [_Group(*about, members) for about, members in groups.items()]

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._groups)

    def levels(self, likely: bool) -> dict[str, frozenset[str]]:
        """By service, or an empty text for all of them, the levels that are asked for.

        If `likely`, by those patterns whose pairs of bytes are known, else by the others.
        """
        levels: dict[str, frozenset[str]] = {}
        for group in self._groups:
            if bool(group.pairs) == likely:
                levels[group.service] = levels.get(group.service, frozenset()).union(group.levels)
        return levels

    @property
    def in_storm(self) -> bool:
        """Whether so much was found lately that all fields are going to be asked for."""
        return any(group.search.in_storm for group in self._groups)

    def searching(self) -> cores.Search | None:
        """Says whether anything can be found in messages; None where there is nothing to look for."""
        searches = [group.search.may_be_in for group in self._groups]
        if len(searches) < 2:
            return searches[0] if searches else None
        return lambda messages: any(search(messages) for search in searches)

    @property
    def pairs(self) -> bytes:
        """Of which each message with a match has one, in whatever case, where that is known of its pattern."""
        return b"".join(group.pairs for group in self._groups)

    def look(self, block: Block, unsampled: Unsampled) -> Iterator[Found]:
        """What is found in a block, by rule."""
        for group in self._groups:
            if group.concerns(block):
                yield from group.look(block, unsampled)


class _Group:
    """Conditions that differ by their patterns only. So a storm of one service hides no match of another's."""

    def __init__(self, level: str, service: str, field: str, members: Sequence[Condition]) -> None:
        self._members = members
        self.levels = from_level(level)
        self.service = service
        self._is_message = field == "message"
        self._decoder = field_decoder(field)
        self.search = Search([member.pattern for member in members])
        self.pairs = pairs_of([member.pattern for member in members]) if self._is_message else b""

    def concerns(self, block: Block) -> bool:
        """Whether the block can have what is asked for."""
        return not block.levels.keys().isdisjoint(self.levels) and not (
            self.service and self.service not in block.services
        )

    def look(self, block: Block, unsampled: Unsampled) -> Iterator[Found]:
        numbers, texts = self._texts(block)
        asked = len(texts)
        for pattern, places, searched in (
            self.search.find(texts, block.count_all(self.levels)) if asked else ()
        ):
            rule = self._members[pattern].rule
            found = np.array(places) if numbers is None else numbers[places]
            services = block.services_of(found)
            records: dict[str, int] = Counter(services)
            samples = {}
            if wanted := unsampled(rule, records.keys()):
                firsts = first_places(services)
                samples = {service: block.sample(int(found[firsts[service]])) for service in wanted}
            is_estimated = searched < asked
            if is_estimated:
                records = {service: round(count / searched * asked) for service, count in records.items()}
            yield Found(rule, records, samples, is_estimated)

    def _texts(self, block: Block) -> tuple[Numbers, Texts]:
        """The records that come into question, and their values."""
        levels, service = self.levels, self.service
        numbers = block.of_service(levels, service) if service else block.of_levels(levels)
        if self._is_message:
            return numbers, block.messages_of(numbers)
        values = block.fields_of(numbers, self._decoder)
        having = [place for place, value in enumerate(values) if value is not None]
        texts = [value for value in values if value is not None]
        return np.array(having, np.int64) if numbers is None else numbers[having], Texts.of(texts)
