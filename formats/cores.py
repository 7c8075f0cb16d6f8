"""Level, service and message of the records of a block, by column, for who looks for something in them.

A column of levels is an array of letters, the first of each level, no two of which are the same: numpy counts and finds
them all in a few calls, 16 ns a record for both, where counting the texts one level after the other takes 30.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from formats.levels import LEVELS

T = TypeVar("T")

Letters = NDArray[np.uint8]

#: Numbers of records, from 0, ascending; None stands for all of them.
SomeNumbers = NDArray[np.int64]
Numbers = SomeNumbers | None

Ends = NDArray[np.int64]

#: Records by level and service.
Counts = Mapping[str, Mapping[str, int]]

#: Levels as bits, in their order: all of them.
ALL_LEVELS: Final = (1 << len(LEVELS)) - 1

#: Says whether there may be something in these messages of some records, an LF behind each. They are there until it
#: returns.
Search = Callable[[memoryview], bool]

LF: Final = 0x0A
_LETTERS: Final = {level: ord(level[0]) for level in LEVELS}

#: Fewer are counted as texts: a call of numpy takes a microsecond.
FEW: Final = 128


def bits_of(levels: Collection[str]) -> int:
    """These levels as bits."""
    return sum(1 << place for place, level in enumerate(LEVELS) if level in levels)


class Wanted(NamedTuple):
    """What is wanted of the records of a block, for who looks for something in them. Levels are bits."""

    levels: int = 0
    """All records of these."""
    of_services: Mapping[bytes, int] = MappingProxyType({})
    """And those of these levels that are of these services, which are named as in a JSON string."""
    counted: int = 0
    """How many records of these levels each service has, and at least one of them."""
    search: Search | None = None
    """For who has all messages at hand."""
    pairs: bytes = b""
    """Of these pairs of bytes, one behind the other, a message in which anything is found has one, in whatever case;
    where there are none, that is not known."""
    likely: Mapping[bytes, int] = MappingProxyType({})
    """As `of_services`, but only records whose messages have one of `likely_pairs`; an empty name is all services."""
    likely_pairs: bytes = b""
    """As `pairs`."""

    @property
    def is_any(self) -> bool:
        """Whether anything is."""
        return bool(self.levels or self.of_services or self.counted or self.search or self.likely)


NOTHING: Final = Wanted()
ALL_COLUMNS: Final = Wanted(ALL_LEVELS)


class Texts:
    """Texts one behind the other, an LF behind each; `ends` is where these LF stand in `data`."""

    __slots__ = ("data", "ends")

    def __init__(self, data: bytes, ends: Ends) -> None:
        self.data = data
        self.ends = ends

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """Put texts together."""
        data = "\n".join((*texts, "")).encode()
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == LF)
        if len(ends) != len(texts):  # one has an LF of its own
            ends = np.cumsum([len(text.encode()) + 1 for text in texts]) - 1
        return cls(data, ends)

    @classmethod
    def joined(cls, texts: Sequence[Texts]) -> Texts:
        """Those of each, one behind the other."""
        starts = np.cumsum([0, *(len(each.data) for each in texts)])
        ends = [each.ends + start for each, start in zip(texts, starts, strict=False)]
        return cls(b"".join([each.data for each in texts]), np.concatenate(ends or [starts[:0]]))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, number: int) -> bytes:
        return self.data[self._start(number) : self.ends[number]]

    def part(self, start: int, stop: int) -> Texts:
        """Those from the number `start` to before `stop`."""
        first, last = self._start(start), self._start(stop)
        return Texts(self.data[first:last], self.ends[start:stop] - first)

    def to_list(self) -> list[str]:
        return [self[number].decode() for number in range(len(self))]

    def _start(self, number: int) -> int:
        return int(self.ends[number - 1]) + 1 if number else 0


class Columns(Protocol):
    """Three fields of some records, in their order. `len` tells how many these are."""

    def __len__(self) -> int: ...
    @property
    def levels(self) -> list[str]: ...
    @property
    def letters(self) -> Letters: ...
    def services(self, numbers: Numbers) -> list[str]: ...
    def messages(self, numbers: Numbers) -> Texts: ...

    def numbers(self, levels: Collection[str], service: str | None = None) -> SomeNumbers:
        """The records of these levels and of the service; without one, of any."""
        ...

    def count(self, levels: Collection[str]) -> Counts:
        """How many records of each of these levels each service has that has any."""
        ...

    def lines(self, numbers: Numbers) -> bytes | None:
        """These records as they are stored, each with its LF; None from columns that do not know."""
        ...

    def growing(self) -> Columns:
        """The same columns, for others to be appended to."""
        ...

    def append(self, columns: Columns) -> bool:
        """Append those of the records that follow. False: these are of another kind."""
        ...


class Apart:
    """What columns do that are apart from the lines: their services are counted and looked for one by one."""

    __slots__ = ()

    def numbers(self: Columns, levels: Collection[str], service: str | None = None) -> SomeNumbers:
        numbers = numbers_of(self.letters, levels)
        if service is None:
            return numbers
        return numbers[[each == service for each in self.services(numbers)]]

    def count(self: Columns, levels: Collection[str]) -> Counts:
        counts = {level: Counter(self.services(self.numbers([level]))) for level in levels}
        return {level: services for level, services in counts.items() if services}

    def lines(self, _numbers: Numbers) -> bytes | None:
        return None

    def growing(self: Columns) -> Columns:
        return self

    def append(self, _columns: Columns) -> bool:
        return False


class Lists(Apart):
    """Columns that are there as lists."""

    __slots__ = ("_messages", "_services", "levels")

    def __init__(self, levels: list[str], services: list[str], messages: list[str]) -> None:
        self.levels = levels
        self._services = services
        self._messages = messages

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def letters(self) -> Letters:
        return letters_of(self.levels)

    def services(self, numbers: Numbers) -> list[str]:
        return pick(self._services, numbers)

    def messages(self, numbers: Numbers) -> Texts:
        return Texts.of(pick(self._messages, numbers))


class Joined:
    """The columns of records behind each other. Those of one kind are put together where they can be."""

    __slots__ = ("_parts", "_starts")

    def __init__(self) -> None:
        self._parts: list[Columns] = []
        self._starts = [0]

    def growing(self) -> Columns:
        copy = Joined()
        copy.append(self)
        return copy

    def append(self, columns: Columns) -> bool:
        """Append those of the records that follow; there may be none of these."""
        if isinstance(columns, Joined):
            for part in columns._parts:
                self.append(part)
            return True
        records = len(columns)
        if self._parts and self._parts[-1].append(columns):
            self._starts[-1] += records
        else:
            self._parts.append(columns.growing())
            self._starts.append(self._starts[-1] + records)
        return True

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def levels(self) -> list[str]:
        return [level for part in self._parts for level in part.levels]

    @property
    def letters(self) -> Letters:
        if len(self) < FEW * len(self._parts):
            return letters_of(self.levels)
        return np.concatenate([part.letters for part in self._parts])

    def services(self, numbers: Numbers) -> list[str]:
        return [service for part, own in self._split(numbers) for service in part.services(own)]

    def messages(self, numbers: Numbers) -> Texts:
        found = [part.messages(own) for part, own in self._split(numbers)]
        return found[0] if len(found) == 1 else Texts.joined(found)

    def numbers(self, levels: Collection[str], service: str | None = None) -> SomeNumbers:
        if len(self._parts) == 1:
            return self._parts[0].numbers(levels, service)
        found = [part.numbers(levels, service) for part in self._parts]
        return np.concatenate([own + start for own, start in zip(found, self._starts, strict=False)])

    def count(self, levels: Collection[str]) -> Counts:
        if len(self._parts) == 1:
            return self._parts[0].count(levels)
        counts: dict[str, Counter[str]] = {}
        for part in self._parts:
            for level, services in part.count(levels).items():
                counts.setdefault(level, Counter()).update(services)
        return counts

    def lines(self, numbers: Numbers) -> bytes | None:
        found = [part.lines(own) for part, own in self._split(numbers)]
        known = [lines for lines in found if lines is not None]
        return b"".join(known) if len(known) == len(found) else None

    def _split(self, numbers: Numbers) -> Iterator[tuple[Columns, Numbers]]:
        """The parts, and which of their own records are meant."""
        if numbers is None or len(self._parts) == 1:
            yield from zip(self._parts, repeat(numbers))  # without an end
            return
        places = numbers.searchsorted(self._starts).tolist()
        for part, start, first, last in zip(self._parts, self._starts, places, places[1:], strict=False):
            if first < last:
                yield part, numbers[first:last] - start


NO_COLUMNS: Final = Lists([], [], [])


def pick(column: list[T], numbers: Numbers) -> list[T]:
    """The values of these records."""
    return column if numbers is None else [column[number] for number in numbers.tolist()]


def letters_of(levels: Iterable[str]) -> Letters:
    """The letters of levels."""
    joined = np.frombuffer("\n".join(("", *levels)).encode(), np.uint8)
    return joined[np.flatnonzero(joined == LF) + 1]


def tally(letters: Letters) -> dict[str, int]:
    """How often each level occurs that does."""
    counts = np.bincount(letters, minlength=128).tolist()
    return {level: counts[letter] for level, letter in _LETTERS.items() if counts[letter]}


def numbers_of(letters: Letters, levels: Collection[str]) -> SomeNumbers:
    """The numbers of the records of these levels, ascending."""
    found = np.zeros(len(letters), np.bool_)
    for level in levels:
        found |= letters == _LETTERS[level]
    return np.flatnonzero(found)
