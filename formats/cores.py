"""Level, service and message of the records of a block, by column, for who looks for something in them.

A column of levels is an array of letters, the first of each level, no two of which are the same: numpy counts and finds
them all in a few calls, 16 ns a record for both, where counting the texts one level after the other takes 30.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from formats.levels import LEVELS

Letters = NDArray[np.uint8]

#: Numbers of records, from 0; None stands for all of them.
Numbers = Sequence[int] | None

_LF: Final = 0x0A
_LETTERS: Final = {level: ord(level[0]) for level in LEVELS}
_FEW: Final = 64  # are counted as texts: a call of numpy takes a microsecond


class Columns(Protocol):
    """Three fields of some records, in their order. `len` tells how many these are."""

    def __len__(self) -> int: ...
    @property
    def letters(self) -> Letters: ...
    def services(self, numbers: Numbers) -> list[str]: ...
    def messages(self, numbers: Numbers) -> list[str]: ...


class Lists:
    """Columns that are there as lists."""

    __slots__ = ("_levels", "_messages", "_services")

    def __init__(self, levels: list[str], services: list[str], messages: list[str]) -> None:
        self._levels = levels
        self._services = services
        self._messages = messages

    def __len__(self) -> int:
        return len(self._levels)

    @property
    def letters(self) -> Letters:
        return letters_of(self._levels)

    def services(self, numbers: Numbers) -> list[str]:
        return pick(self._services, numbers)

    def messages(self, numbers: Numbers) -> list[str]:
        return pick(self._messages, numbers)


class Joined:
    """The columns of records behind each other."""

    __slots__ = ("_parts",)

    def __init__(self, first: Columns, second: Columns) -> None:
        self._parts: list[Columns] = [*(first._parts if isinstance(first, Joined) else (first,)), second]

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    @property
    def letters(self) -> Letters:
        return np.concatenate([part.letters for part in self._parts])

    def services(self, numbers: Numbers) -> list[str]:
        return pick([service for part in self._parts for service in part.services(None)], numbers)

    def messages(self, numbers: Numbers) -> list[str]:
        return pick([message for part in self._parts for message in part.messages(None)], numbers)


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


def numbers_of(letters: Letters, levels: Iterable[str]) -> list[int]:
    """The numbers of the records of these levels, ascending."""
    found = np.zeros(len(letters), np.bool_)
    for level in levels:
        found |= letters == _LETTERS[level]
    return np.flatnonzero(found).tolist()
