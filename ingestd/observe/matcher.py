"""Which records of a block meet the conditions of rules: what a worker asks of every block, in a few calls of C.

Strategy. What is counted of a block anyway, its levels and services, refuses most conditions without a look at any
record. Of those that are left, the ones without a pattern need the services of the records of some levels, and the
others the messages, all of which are searched for all patterns at once (search.py). Columns come from the format that
made the block; where it has none, the block is decoded once more.

A pattern in another field than the message costs a decoding of the records that its level and service leave over, some
0.5 us each: so such a rule should have one of the two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from formats import lines
from formats.record import LEVELS, Columns, Encoded, Lists
from ingestd.observe.condition import Condition
from ingestd.observe.messages import SAMPLE_BYTES
from ingestd.observe.search import Search

#: Up to so many services are counted one by one, which is faster than all at once.
_FEW_SERVICES: Final = 3

#: Whether a sample is wanted of a rule and a service.
WantsSample = Callable[[str, str], bool]


class Found(NamedTuple):
    """Records of one service in a block that meet the condition of `rule`."""

    rule: str
    service: str
    records: int
    sample: str
    """The stored line of one of them, cut; empty if it was not wanted."""
    estimated: bool


class Matcher:
    """All conditions. They are those of `check_pattern`; raises `hyperscan.error` for others."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        groups: dict[tuple[str, str, bool], list[Condition]] = {}
        for each in conditions:
            field = (each.field or "message") if each.pattern else ""
            groups.setdefault((each.level, field, bool(each.service)), []).append(each)
        self._groups = [_Group(field, members) for (_, field, _), members in groups.items()]

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._groups)

    def look(self, block: Block, wants_sample: WantsSample) -> list[Found]:
        """What is found in a block with at least one record."""
        return [found for group in self._groups for found in group.look(block, wants_sample)]


class Block:
    """A block of stored records, and what is asked of it, each found out at most once."""

    def __init__(self, encoded: Encoded) -> None:
        self.encoded = encoded
        self._columns: Columns | None = None
        self._services: list[str] | None = None
        self._by_level: dict[str, list[int]] = {}
        self._text = b""
        self._ends: NDArray[np.intp] | None = None

    @property
    def columns(self) -> Columns:
        """Those of the format, or decoded here."""
        if self._columns is None:
            self._columns = self.encoded.columns
            if len(self._columns.levels) < self.encoded.records:
                rows = _CORES.decode_lines(self.text)
                self._columns = Lists(
                    [row.level for row in rows], [row.service for row in rows], [row.message for row in rows]
                )
        return self._columns

    @property
    def services(self) -> list[str]:
        """The service of each record."""
        if self._services is None:
            encoded = self.encoded
            one = len(encoded.services) == 1
            self._services = [*encoded.services] * encoded.records if one else self.columns.services
        return self._services

    @property
    def text(self) -> bytes:
        """All lines."""
        if not self._text:
            self._text = b"".join(self.encoded.chunks)
        return self._text

    def line(self, number: int) -> bytes:
        """One record as it is stored, without its LF."""
        if self._ends is None:
            self._ends = lines.ends(self.text)
        start = int(self._ends[number - 1]) if number else 0
        return self.text[start : int(self._ends[number]) - 1]

    def sample(self, number: int) -> str:
        """One record as it is stored, cut."""
        return self.line(number)[:SAMPLE_BYTES].decode(errors="ignore")

    def of_levels(self, levels: Iterable[str]) -> list[int] | range:
        """The numbers of the records that have one of these levels, those of a level in their order."""
        counts = self.encoded.levels
        present = [level for level in levels if counts.get(level)]
        if sum(counts[level] for level in present) == self.encoded.records:
            return range(self.encoded.records)
        return [number for level in present for number in self._of_level(level)]

    def _of_level(self, level: str) -> list[int]:
        numbers = self._by_level.get(level)
        if numbers is None:
            numbers = self._by_level[level] = []
            find, start = self.columns.levels.index, 0
            for _ in range(self.encoded.levels[level]):
                start = find(level, start) + 1
                numbers.append(start - 1)
        return numbers


class _Group:
    """Conditions that ask for the same levels, for one service each or none, and for patterns in one field or none."""

    def __init__(self, field: str, members: Sequence[Condition]) -> None:
        level = members[0].level
        self._levels = LEVELS[LEVELS.index(level) if level else 0 :]
        self._services = frozenset(member.service for member in members if member.service)
        self._members = members
        self._field = field
        self._search = Search([member.pattern for member in members]) if field else None
        self._decoder = _field_decoder(field)

    def look(self, block: Block, wants_sample: WantsSample) -> Iterable[Found]:
        encoded = block.encoded
        if encoded.levels.keys().isdisjoint(self._levels):
            return ()
        services = self._services
        if services and services.isdisjoint(encoded.services):
            return ()
        numbers: Sequence[int] = block.of_levels(self._levels)
        if services and not services.issuperset(encoded.services):
            column = block.services
            numbers = [number for number in numbers if column[number] in services]
        if not numbers:
            return ()
        found = self._count if self._search is None else self._find
        return found(block, numbers, wants_sample)

    def _count(self, block: Block, numbers: Sequence[int], wants_sample: WantsSample) -> Iterable[Found]:
        """Conditions without a pattern: all of these records meet them, but for the service."""
        if len(block.encoded.services) == 1:
            counts = {next(iter(block.encoded.services)): len(numbers)}
        else:
            counts = count(self._pick(block.services, numbers), block.encoded.services)
        for member in self._members:
            for service in (member.service,) if member.service else counts:
                if records := counts.get(service):
                    sample = ""
                    if wants_sample(member.rule, service):
                        sample = block.sample(_first(numbers, block.services, service))
                    yield Found(member.rule, service, records, sample, False)

    def _find(self, block: Block, numbers: Sequence[int], wants_sample: WantsSample) -> Iterable[Found]:
        """Conditions with a pattern."""
        assert self._search is not None
        if self._field == "message":
            texts = self._pick(block.columns.messages, numbers)
        else:
            numbers, texts = self._read_field(block, numbers)
        for pattern, places, searched in self._search.find(texts) if texts else ():
            member = self._members[pattern]
            found = [numbers[place] for place in places]
            services = [block.services[number] for number in found]
            if member.service:
                found = [
                    number
                    for number, service in zip(found, services, strict=True)
                    if service == member.service
                ]
                services = [member.service] * len(found)
            for service, records in Counter(services).items():
                sample = ""
                if wants_sample(member.rule, service):
                    sample = block.sample(_first(found, block.services, service))
                if searched < len(texts):
                    records = round(records / searched * len(texts))
                yield Found(member.rule, service, records, sample, searched < len(texts))

    def _pick(self, column: list[str], numbers: Sequence[int]) -> list[str]:
        return column if len(numbers) == len(column) else [column[number] for number in numbers]

    def _read_field(self, block: Block, numbers: Sequence[int]) -> tuple[list[int], list[str]]:
        """The records that have the field, and its values."""
        everything = len(numbers) == block.encoded.records
        text = (
            block.text if everything else b"".join(block.line(number) + b"\n" for number in sorted(numbers))
        )
        values = [record.value for record in self._decoder.decode_lines(text)]
        having = [
            (number, _text(value)) for number, value in zip(sorted(numbers), values, strict=True) if value
        ]
        return [number for number, _ in having], [text for _, text in having]


class _Core(msgspec.Struct, gc=False):
    level: str
    service: str
    message: str


_CORES: Final = msgspec.json.Decoder(_Core)
_string: Final = msgspec.json.Decoder(str)


def _field_decoder(field: str) -> msgspec.json.Decoder[Any]:
    """Decodes records to an object with the field's JSON as `value`, empty where there is none."""
    fields = [("value", msgspec.Raw, msgspec.Raw())]
    return msgspec.json.Decoder(msgspec.defstruct("Field", fields, rename={"value": field}, gc=False))


def _text(value: msgspec.Raw) -> str:
    data = bytes(value)
    return _string.decode(data) if data.startswith(b'"') else data.decode()


def _first(numbers: Iterable[int], services: Sequence[str], service: str) -> int:
    return next(number for number in numbers if services[number] == service)


def count(services: list[str], names: Iterable[str]) -> dict[str, int]:
    """How often each of the names occurs; all that occur are among them."""
    names = tuple(names)
    if len(names) <= _FEW_SERVICES:
        return {name: services.count(name) for name in names}
    return dict(Counter(services))
