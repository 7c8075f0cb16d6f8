"""What kernels return, and what becomes of it. To be imported only where `kernel.COMPILED`."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from formats import timestamps
from formats.cores import Columns, Counts, Letters, Numbers, SomeNumbers, Texts
from formats.kernel import spans
from formats.levels import LEVELS
from formats.record import Encoded, Kept

_LETTERS = np.frombuffer("".join(level[0] for level in LEVELS).encode(), np.uint8)

_SPAN_BYTES = 20  # of a record (kernel/spans.pxd)


class Gathered(NamedTuple):
    """What was gathered beside the lines (kernel/gather.pyx)."""

    is_nothing_found: bool
    """All messages were searched."""
    lines: bytes | None
    """Of the records that were wanted; None where these were all, or none."""
    spans: bytes | None
    """Of the records that were wanted; None where none were."""
    counts: bytes | None
    """Records by service and level; None where they were not wanted, or all records are here."""


class SpannedColumns:
    """Columns that are read out of the lines when they are asked for."""

    __slots__ = ("_parts", "_records")

    def __init__(self, parts: spans.Parts, records: int) -> None:
        self._parts = parts
        self._records = records

    @classmethod
    def of(
        cls, lines: bytes, services: list[str], columns: bytes, counts: bytes | None = None
    ) -> SpannedColumns:
        """Those of these lines."""
        return cls([(lines, services, columns, counts)], len(columns) // _SPAN_BYTES)

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
        data, ends = spans.messages(self._parts, _bytes_of(numbers))
        return Texts(data, np.frombuffer(ends, np.int64))

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


#: What was counted of the records of a block (summary.pxd): how many of each of `LEVELS`; the least timestamp, and
#: the greatest; `YYYY-MM-DDTHH` of all of them, once each, of which nobody has looked whether that hour exists; and the
#: services in the order in which they came, with how many records each has, or 0 where nobody has counted.
SummedFields = tuple[list[int], bytes, bytes, list[bytes], dict[str, int]]

#: Lines that a kernel made, and how many; what was counted; what was gathered.
MadeFields = tuple[bytes, int, SummedFields, tuple[bool, bytes | None, bytes | None, bytes | None]]


def encoded(format: str, fields: MadeFields | None) -> Encoded | None:
    """The block of a kernel's lines; None if it made none, or one of their hours never was nor will be."""
    if fields is None:
        return None
    lines, records, summed_fields, gathered_fields = fields
    levels, first, last, hours, services = summed_fields
    if not all(timestamps.is_hour(hour.decode()) for hour in hours):
        return None
    counts = {level: number for level, number in zip(LEVELS, levels, strict=True) if number}
    names = set(services)
    encoded = Encoded(format, [lines], len(lines), records, counts, names, first.decode(), last.decode())
    if all(services.values()):
        encoded.by_service = services
    gathered = Gathered(*gathered_fields)
    encoded.may_match = not gathered.is_nothing_found
    if gathered.lines is not None:
        encoded.kept = _kept(encoded, list(services), gathered)
    elif gathered.spans is not None:
        encoded.columns = SpannedColumns.of(lines, list(services), gathered.spans)
    elif gathered.is_nothing_found:
        encoded.kept = []
    return encoded


def _kept(whole: Encoded, services: list[str], gathered: Gathered) -> list[Kept]:
    """The records that were wanted."""
    lines, spans = gathered.lines, gathered.spans
    if not lines or not spans:
        return []
    columns = SpannedColumns.of(lines, services, spans, gathered.counts)
    return [Kept([lines], len(lines), len(columns), dict(whole.levels), set(whole.services), columns)]
