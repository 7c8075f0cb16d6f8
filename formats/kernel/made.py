"""What kernels return, and what becomes of it. To be imported only where `kernel.COMPILED`."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from formats import timestamps
from formats.cores import NO_COLUMNS, Columns, Counts, Letters, Numbers, SomeNumbers, Texts
from formats.kernel import spans
from formats.levels import LEVELS
from formats.record import Encoded

_LETTERS = np.frombuffer("".join(level[0] for level in LEVELS).encode(), np.uint8)

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
    services: dict[str, None]
    """In the order in which they came."""


class Made(NamedTuple):
    """Lines that a kernel made."""

    lines: bytes
    records: int
    summed: Summed
    columns: tuple[bytes, bytes, bytes, bool]
    """Kinds, spans, texts, and whether these have escapes (kernel/spans.pxd); empty where they were not asked for."""


class SpannedColumns:
    """Columns that are read out of the lines when they are asked for."""

    __slots__ = ("_parts", "_records")

    def __init__(self, made: Made) -> None:
        self._parts = [(made.lines, list(made.summed.services), *made.columns)]
        self._records = made.records

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

    def append(self, columns: Columns) -> bool:
        if not isinstance(columns, SpannedColumns):
            return False
        self._parts += columns._parts
        self._records += columns._records
        return True


def _bytes_of(numbers: Numbers) -> bytes | None:
    return None if numbers is None else numbers.tobytes()


SummedFields = tuple[list[int], bytes, bytes, list[bytes], dict[str, None]]
MadeFields = tuple[bytes, int, SummedFields, tuple[bytes, bytes, bytes, bool]]


def encoded(format: str, fields: MadeFields | None) -> Encoded | None:
    """The block of a kernel's lines; None if it made none, or one of their hours never was nor will be."""
    if fields is None:
        return None
    lines, records, summed_fields, columns_ = fields
    summed = Summed(*summed_fields)
    made = Made(lines, records, summed, columns_)
    if not all(timestamps.is_hour(hour.decode()) for hour in summed.hours):
        return None
    counts = {level: number for level, number in zip(LEVELS, summed.levels, strict=True) if number}
    columns: Columns = SpannedColumns(made) if made.columns[0] else NO_COLUMNS
    return Encoded(
        format,
        [made.lines],
        len(made.lines),
        made.records,
        counts,
        set(summed.services),
        summed.first.decode(),
        summed.last.decode(),
        columns=columns,
    )
