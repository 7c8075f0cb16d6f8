"""What kernels return, and what becomes of it. To be imported only where `kernel.COMPILED`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from formats import timestamps
from formats.cores import NO_COLUMNS, Columns, Letters, Numbers, Texts
from formats.kernel import spans
from formats.levels import LEVELS
from formats.record import Encoded

_LEVEL_OF = {ord(level[0]): level for level in LEVELS}


class Summed(NamedTuple):
    """What was counted of the records of a block (kernel/summary.pxd)."""

    levels: list[int]
    """How many of each of `LEVELS`."""
    first: bytes
    """The least timestamp, and `last` the greatest."""
    last: bytes
    hours: list[bytes]
    """`YYYY-MM-DDTHH` of all timestamps, once each; whether there are such hours nobody has looked at."""
    services: set[str]


class Made(NamedTuple):
    """Lines that a kernel made."""

    lines: bytes
    records: int
    summed: Summed
    letters: bytes
    """Of the levels (cores.py), and `spans` of each record (kernel/spans.pxd); empty where they were not asked for."""
    spans: bytes


class SpannedColumns:
    """Columns that are read out of the lines when they are asked for."""

    __slots__ = ("_made",)

    def __init__(self, made: Made) -> None:
        self._made = made

    def __len__(self) -> int:
        return self._made.records

    @property
    def letters(self) -> Letters:
        return np.frombuffer(self._made.letters, np.uint8)

    @property
    def levels(self) -> list[str]:
        return [_LEVEL_OF[letter] for letter in self._made.letters]

    def services(self, numbers: Numbers) -> list[str]:
        return spans.services(self._made.lines, self._made.spans, numbers)

    def count(self, numbers: Numbers) -> Mapping[str, int]:
        return spans.count(self._made.lines, self._made.spans, numbers)

    def of_service(self, numbers: Numbers, service: str) -> list[int]:
        return spans.of_service(self._made.lines, self._made.spans, numbers, service)

    def messages(self, numbers: Numbers) -> Texts:
        data, ends = spans.messages(self._made.lines, self._made.spans, numbers)
        return Texts(data, np.frombuffer(ends, np.int64))


SummedFields = tuple[list[int], bytes, bytes, list[bytes], set[str]]
MadeFields = tuple[bytes, int, SummedFields, bytes, bytes]


def encoded(format: str, fields: MadeFields | None) -> Encoded | None:
    """The block of a kernel's lines; None if it made none, or one of their hours never was nor will be."""
    if fields is None:
        return None
    lines, records, summed_fields, letters, spans_ = fields
    summed = Summed(*summed_fields)
    made = Made(lines, records, summed, letters, spans_)
    if not all(timestamps.is_hour(hour.decode()) for hour in summed.hours):
        return None
    counts = {level: number for level, number in zip(LEVELS, summed.levels, strict=True) if number}
    columns: Columns = SpannedColumns(made) if made.spans else NO_COLUMNS
    return Encoded(
        format,
        [made.lines],
        len(made.lines),
        made.records,
        counts,
        summed.services,
        summed.first.decode(),
        summed.last.decode(),
        columns=columns,
    )
