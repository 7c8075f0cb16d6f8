"""What kernels return, and what becomes of it. To be imported only where `kernel.COMPILED`."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import NamedTuple

import numpy as np

from formats import timestamps
from formats.cores import (
    ALL_LEVELS,
    LF,
    MESSAGES,
    Columns,
    Counts,
    Letters,
    Numbers,
    SomeNumbers,
    Texts,
)
from formats.kernel import spans
from formats.levels import LEVELS
from formats.record import Encoded

_LETTERS = np.frombuffer("".join(level[0] for level in LEVELS).encode(), np.uint8)

_KIND_BYTES = 2  # of a record (kernel/spans.pxd)

_MOST_PIECES = 64  # to be looked at one by one: each takes as long as a hundred records


class Summed(NamedTuple):
    """What was counted of the records of a block (kernel/summary.pxd)."""

    levels: list[int]
    """How many of each of `LEVELS`."""
    first: bytes
    """The least timestamp, and `last` the greatest."""
    last: bytes
    hours: list[bytes]
    """`YYYY-MM-DDTHH` of all timestamps, once each; whether there are such hours nobody has looked at."""
    services: dict[str, int]
    """In the order in which they came, and how many records each has; 0: nobody has counted."""


class Gathered(NamedTuple):
    """What was gathered beside the lines (kernel/spans.pxd)."""

    wanted: int
    """As in `cores`."""
    lines: bytes
    """Of the records of the levels that were wanted; empty where these were all, or none."""
    kinds: bytes
    spans: bytes
    texts: bytes
    """The messages of these records, an LF behind each."""
    messages: bytes
    """And so those of all records, where their levels were not all wanted."""


class Made(NamedTuple):
    """Lines that a kernel made."""

    lines: bytes
    records: int
    summed: Summed
    gathered: Gathered


class SpannedColumns:
    """Columns that are read out of the lines when they are asked for."""

    __slots__ = ("_parts", "_records")

    def __init__(self, parts: spans.Parts, records: int) -> None:
        self._parts = parts
        self._records = records

    @classmethod
    def of(cls, lines: bytes, services: list[str], gathered: Gathered) -> SpannedColumns:
        """What was gathered of these lines."""
        _, _, kinds, columns, texts, _ = gathered
        parts = [(lines, services, kinds, columns, texts, b"\\" in texts)]
        return cls(parts, len(kinds) // _KIND_BYTES)

    def __len__(self) -> int:
        return self._records

    @property
    def letters(self) -> Letters:
        return _LETTERS[np.frombuffer(spans.levels(self._parts), np.uint8)]

    @property
    def levels(self) -> list[str]:
        return [LEVELS[level] for level in spans.levels(self._parts)]

    def numbers(self, levels: Collection[str], service: str | None = None) -> SomeNumbers:
        return np.frombuffer(spans.numbers(self._parts, levels, service), np.int64)

    def services(self, numbers: Numbers) -> list[str]:
        return spans.services(self._parts, _bytes_of(numbers))

    def messages(self, numbers: Numbers) -> Texts:
        if numbers is not None or (pieces := spans.texts(self._parts)) is None:
            data, ends = spans.messages(self._parts, _bytes_of(numbers))
            return Texts.ending_at(data, np.frombuffer(ends, np.int64))
        if len(pieces) > _MOST_PIECES:
            pieces = [b"".join(pieces)]
        return Texts(pieces, self._records, lambda: np.frombuffer(spans.ends(self._parts), np.int64))

    def count(self, levels: Collection[str]) -> Counts:
        return spans.count(self._parts, levels)

    def lines(self, numbers: Numbers) -> bytes:
        return spans.lines(self._parts, _bytes_of(numbers))

    def growing(self) -> SpannedColumns:
        return SpannedColumns(list(self._parts), self._records)

    def append(self, columns: Columns) -> bool:
        if not isinstance(columns, SpannedColumns):
            return False
        self._parts += columns._parts
        self._records += columns._records
        return True


def _bytes_of(numbers: Numbers) -> bytes | None:
    return None if numbers is None else numbers.tobytes()


SummedFields = tuple[list[int], bytes, bytes, list[bytes], dict[str, int]]
MadeFields = tuple[bytes, int, SummedFields, tuple[int, bytes, bytes, bytes, bytes, bytes]]


def encoded(format: str, fields: MadeFields | None) -> Encoded | None:
    """The block of a kernel's lines; None if it made none, or one of their hours never was nor will be."""
    if fields is None:
        return None
    lines, records, summed_fields, gathered_fields = fields
    summed = Summed(*summed_fields)
    made = Made(lines, records, summed, Gathered(*gathered_fields))
    if not all(timestamps.is_hour(hour.decode()) for hour in summed.hours):
        return None
    counts = {level: number for level, number in zip(LEVELS, summed.levels, strict=True) if number}
    encoded = Encoded(
        format,
        [made.lines],
        len(made.lines),
        made.records,
        counts,
        set(summed.services),
        summed.first.decode(),
        summed.last.decode(),
    )
    if all(summed.services.values()):
        encoded.by_service = summed.services
    if made.gathered.wanted == ALL_LEVELS:
        encoded.columns = SpannedColumns.of(made.lines, list(summed.services), made.gathered)
    elif made.gathered.wanted:
        encoded.kept = _kept(encoded, list(summed.services), made.gathered)
        if made.gathered.wanted & MESSAGES:
            encoded.messages = _messages(made)
    return encoded


def _kept(whole: Encoded, services: list[str], gathered: Gathered) -> Encoded:
    """The records of the levels that were wanted."""
    if not gathered.lines:
        return Encoded(whole.format)
    counts = {level: whole.levels[level] for level in _levels(gathered.wanted) if level in whole.levels}
    columns = SpannedColumns.of(gathered.lines, services, gathered)
    lines, records = [gathered.lines], len(columns)
    return Encoded(whole.format, lines, len(gathered.lines), records, counts, set(services), columns=columns)


@cache
def _levels(wanted: int) -> list[str]:
    return [level for place, level in enumerate(LEVELS) if wanted >> place & 1]


def _messages(made: Made) -> Texts:
    data = made.gathered.messages
    if b"\\" not in data:
        return Texts([data], made.records, lambda: np.flatnonzero(np.frombuffer(data, np.uint8) == LF))
    data, ends = spans.unescaped(data)
    return Texts.ending_at(data, np.frombuffer(ends, np.int64))
