"""Columns to records: what the binary formats share, which decode a block to a list per field and not to objects.

Each core column is read as a whole (`read_core`): most blocks have canonical timestamps and a handful of levels and
services. Lines are encoded in one call. The enrichment, the same for all, is one field of each: its name is
the first field's, its value the bytes of all the rest (`Added`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any, NamedTuple

import msgspec

from formats import levels, timestamps
from formats.cores import NO_COLUMNS, Lists
from formats.record import CORE_FIELDS, Context, Encoded, tally

_CHUNK_RECORDS = 256  # some 80 KB of lines: malloc maps larger memory anew each time, at 100 ns a record
_NO_FIELDS: Mapping[str, list[Any]] = {}
_LEVELS = frozenset(levels.LEVELS)
_NO_STRUCT_NAME = re.compile(r'[\x00-\x1f"\\]')  # msgspec writes the names of a Struct as they are
_encoder = msgspec.json.Encoder()


class Core(NamedTuple):
    """The core fields, by column. An empty text is a field that was not sent."""

    timestamps: list[str]
    levels: list[str]
    services: list[str]
    messages: list[str]


class Known(NamedTuple):
    """Core columns as they are stored, and what is counted of them."""

    core: Core
    counts: dict[str, int]
    services: set[str]
    first: str
    last: str


def encode_columns(
    format: str, core: Core, context: Context, fields: Mapping[str, list[Any]] = _NO_FIELDS
) -> Encoded:
    """Make records with the core columns and the columns `fields`, at least one. Raises DecodeError."""
    return encode_known(format, read_core(core, context), context, fields)


def encode_known(format: str, known: Known, context: Context, fields: Mapping[str, list[Any]]) -> Encoded:
    """The same, of core columns that are as they are stored."""
    return encode_ordered(format, known, context, (*CORE_FIELDS, *fields), [*known.core, *fields.values()])


def encode_ordered(
    format: str, known: Known, context: Context, names: tuple[str, ...], fields: Iterable[list[Any]]
) -> Encoded:
    """The same, of all fields in the order they are stored in, the core's among them."""
    added = Added(format, context, context.enrichment.keys & frozenset(names))
    columns: list[Iterable[Any]] = list(fields)
    if added.name is not None:
        names = (*names, added.name)
        columns.append(repeat(added.value))
    return encode_lines(format, list(map(_line(names), *columns)), known, context)


def encode_lines(format: str, lines: Sequence[object], known: Known, context: Context) -> Encoded:
    """Make records of objects, each of which is a whole record."""
    chunks = [
        _encoder.encode_lines(lines[start : start + _CHUNK_RECORDS])
        for start in range(0, len(lines), _CHUNK_RECORDS)
    ]
    nbytes = sum(map(len, chunks))
    counts, services = known.counts, known.services
    core = known.core
    columns = Lists(core.levels, core.services, core.messages) if context.wanted.is_any else NO_COLUMNS
    return Encoded(
        format, chunks, nbytes, len(lines), counts, services, known.first, known.last, columns=columns
    )


def read_core(core: Core, context: Context) -> Known:
    """Bring the core columns, at least one row of them, into the form that is stored. Raises DecodeError."""
    times, names, services, messages = core
    bounds = timestamps.bounds(times) if set(map(len, times)) == {timestamps.WIDTH} else None
    if bounds is None:
        times = [timestamps.parse(text) if text else context.received_at for text in times]
        bounds = min(times), max(times)
    counts = tally(names)
    if not counts.keys() <= _LEVELS:
        read = {name: levels.parse(name) if name else "INFO" for name in counts}
        names = [read[name] for name in names]
        counts = tally(names)
    distinct = set(services)
    if "" in distinct:
        services = [service or context.service for service in services]
        distinct = set(services)
    return Known(Core(times, names, services, messages), counts, distinct, *bounds)


class Added:
    """The enrichment of records that carry the fields `carried` as one field: no `name` if nothing is left."""

    __slots__ = ("name", "value")

    def __init__(self, format: str, context: Context, carried: frozenset[str]) -> None:
        names = (name for name in context.values(format) if name not in carried)
        self.name = next(names, None)
        if self.name is not None:
            skipped = len(_encoder.encode(self.name)) + 1
            self.value = msgspec.Raw(context.prefix(format, carried)[skipped:-1])


@lru_cache(256)
def _line(names: tuple[str, ...]) -> Callable[..., object]:
    """Makes objects that are encoded with these fields, in this order."""
    if any(map(_NO_STRUCT_NAME.search, names)):
        return lambda *values: dict(zip(names, values, strict=True))
    fields = {f"field_{index}": name for index, name in enumerate(names)}  # a name need not be one in Python
    return msgspec.defstruct("Line", [(field, Any) for field in fields], rename=fields, gc=False)
