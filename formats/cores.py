"""Level, service and message of the records of a block, by column, for who looks for something in them.

A column of levels is an array of letters, the first of each level, no two of which are the same: numpy counts and finds
them all in a few calls, 16 ns a record for both, where counting the texts one level after the other takes 30.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from formats.levels import LEVELS

Letters = NDArray[np.uint8]

#: Numbers of records, from 0, ascending; None stands for all of them.
Numbers = Sequence[int] | None

_LF: Final = 0x0A
_LETTERS: Final = {level: ord(level[0]) for level in LEVELS}

#: Fewer are counted as texts: a call of numpy takes a microsecond.
FEW: Final = 128


class Texts:
    """Texts one behind the other, an LF behind each. `ends` is where these LF stand."""

    __slots__ = ("data", "ends")

    def __init__(self, data: bytes, ends: NDArray[np.int64]) -> None:
        self.data = data
        self.ends = ends

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """Put texts together."""
        data = "\n".join((*texts, "")).encode()
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == _LF)
        if len(ends) != len(texts):  # one has an LF of its own
            ends = np.cumsum([len(text.encode()) + 1 for text in texts]) - 1
        return cls(data, ends)

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

    def count(self, numbers: Numbers) -> Mapping[str, int]:
        """How many of these records each service has that has any."""
        ...

    def of_service(self, numbers: Numbers, service: str) -> list[int]:
        """Those of these records that are of the service."""
        ...


class Counted:
    """The services of columns, counted and looked for one by one."""

    __slots__ = ()

    def count(self: Columns, numbers: Numbers) -> Mapping[str, int]:
        return Counter(self.services(numbers))

    def of_service(self: Columns, numbers: Numbers, service: str) -> list[int]:
        services = self.services(numbers)
        numbers = range(len(self)) if numbers is None else numbers
        return [number for number, each in zip(numbers, services, strict=True) if each == service]


class Lists(Counted):
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


class Joined(Counted):
    """The columns of records behind each other."""

    __slots__ = ("_parts", "_starts")

    def __init__(self) -> None:
        self._parts: list[Columns] = []
        self._starts = [0]

    def append(self, columns: Columns) -> None:
        """Add those of the records that follow."""
        self._parts.append(columns)
        self._starts.append(self._starts[-1] + len(columns))

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
        starts = np.cumsum([0, *(len(texts.data) for texts in found)])
        ends = [texts.ends + start for texts, start in zip(found, starts, strict=False)]
        return Texts(b"".join([texts.data for texts in found]), np.concatenate(ends or [starts[:0]]))

    def count(self, numbers: Numbers) -> Mapping[str, int]:
        counts = Counter[str]()
        for part, own in self._split(numbers):
            counts.update(part.count(own))
        return counts

    def _split(self, numbers: Numbers) -> Iterator[tuple[Columns, Numbers]]:
        """The parts, and which of their own records are meant; numbers ascend."""
        if numbers is None:
            yield from zip(self._parts, repeat(None))
            return
        first = 0
        for part, start, end in zip(self._parts, self._starts, self._starts[1:], strict=False):
            last = bisect_left(numbers, end, first)
            if first < last:
                yield part, [number - start for number in numbers[first:last]]
            first = last


NO_COLUMNS: Final = Lists([], [], [])


def pick(column: list[str], numbers: Numbers) -> list[str]:
    """The values of these records."""
    return column if numbers is None else [column[number] for number in numbers]


def letters_of(levels: Iterable[str]) -> Letters:
    """The letters of levels."""
    joined = np.frombuffer("\n".join(("", *levels)).encode(), np.uint8)
    return joined[np.flatnonzero(joined == _LF) + 1]


def tally(letters: Letters) -> dict[str, int]:
    """How often each level occurs that does."""
    counts = np.bincount(letters, minlength=128).tolist()
    return {level: counts[letter] for level, letter in _LETTERS.items() if counts[letter]}


def numbers_of(letters: Letters, levels: Sequence[str]) -> list[int]:
    """The numbers of the records of these levels, at least one, ascending."""
    first, *rest = levels
    found = letters == _LETTERS[first]
    for level in rest:
        found |= letters == _LETTERS[level]
    numbers: list[int] = found.nonzero()[0].tolist()
    return numbers
