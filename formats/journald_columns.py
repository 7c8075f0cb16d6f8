"""Journal entries that all have the same fields in the same order, as those of one sender mostly have, in columns.

The names of the first entry make a pattern of one such entry, the values its groups, and one `findall` takes a whole
stretch of entries apart. What is no such entry is matched up to the end of the stretch, with empty groups: nothing is
ever passed over, and the last match tells. A stretch that fails is halved, down to some tens of entries; what is left
over goes the general way (`journald_export`).

Senders choose the names, and to compile a pattern takes as long as a hundred entries or more take the general way. So
names get one that came often, and when they become too many, all are forgotten.
"""

import re
from collections.abc import Iterator
from itertools import repeat
from typing import NamedTuple

from formats.columns import Core, Known, encode_ordered
from formats.errors import DecodeError
from formats.journald_entries import LEVELS, NAME, read_second
from formats.record import Context, Encoded, tally

_FIELD = re.compile(f"^({NAME})=", re.MULTILINE)
_FIELDS = range(2, 65)  # of an entry: a pattern of one group makes no tuples, and systemd knows some 40
_FEW_BYTES = 32 << 10  # a stretch that is not halved
_FEW_ENTRIES = 32  # cost less the general way, all in all
_OFTEN = 200  # entries; less than 2 ms the general way, as long as it takes to compile 64 names
_MANY_SHAPES = 64

_Names = tuple[str, ...]
_Columns = dict[str, list[str]]


class Stretch(NamedTuple):
    """Entries from `start` to `end` of a block, and what became of them."""

    start: int
    end: int
    encoded: Encoded


def encode_stretches(block: bytes, context: Context) -> Iterator[Stretch]:
    """Take the entries that can be taken in columns, in their order, out of a block without a zero byte."""
    return _encode(block, 0, len(block), context)


def _encode(block: bytes, start: int, end: int, context: Context) -> Iterator[Stretch]:
    encoded = _encode_uniform(block[start:end], context)
    if encoded is not None:
        yield Stretch(start, end, encoded)
    elif end - start > _FEW_BYTES:
        middle = block.find(b"\n\n", (start + end) // 2, end) + 2
        if 1 < middle < end:
            yield from _encode(block, start, middle, context)
            yield from _encode(block, middle, end, context)


def _encode_uniform(stretch: bytes, context: Context) -> Encoded | None:
    """None unless all entries have the same names, and nothing is wrong with any."""
    try:
        columns = _split(stretch.decode())
        return _encode_columns(columns, context) if columns else None
    except (UnicodeDecodeError, DecodeError):
        return None


def _split(text: str) -> _Columns | None:
    """The values by the groups of `_field`; None unless all entries have the names of the first."""
    end = text.find("\n\n") + 1
    names = tuple(_FIELD.findall(text, 0, end))
    if len(names) not in _FIELDS or len(names) != text.count("\n", 0, end) or len(set(names)) < len(names):
        return None
    entries, rest = divmod(text.count("\n"), len(names) + 1)
    pattern = None if rest or entries < _FEW_ENTRIES else _shapes.pattern(names, entries)
    if pattern is None:
        return None
    rows = pattern.findall(text)
    if not any(rows[-1]):
        return None
    return dict(zip(pattern.groupindex, map(list, zip(*rows))))  # noqa: B905  # as many: to have it checked costs


def _encode_columns(columns: _Columns, context: Context) -> Encoded:
    """Raises DecodeError if a time lies outside the years 1970 to 9999."""
    number = len(next(iter(columns.values())))
    nothing = [""] * number
    timestamps = [context.received_at] * number
    if "seconds" in columns:
        seconds = columns.pop("seconds")
        read = {second: read_second(second) for second in set(seconds)}
        micros = columns.pop("micros")
        timestamps = [f"{read[second]}.{micro}Z" for second, micro in zip(seconds, micros, strict=True)]
    levels, counts = ["INFO"] * number, {"INFO": number}
    if "PRIORITY" in columns:
        levels = list(map(LEVELS.get, columns["PRIORITY"], repeat("INFO")))
        counts = tally(levels)
    services = columns.pop("SYSLOG_IDENTIFIER", nothing)
    if "" in services:
        units = columns.get("_SYSTEMD_UNIT", nothing)
        services = [service or unit or context.service for service, unit in zip(services, units, strict=True)]
    messages = columns.pop("MESSAGE", nothing)
    known = Known(
        Core(timestamps, levels, services, messages), counts, set(services), min(timestamps), max(timestamps)
    )
    if "_HOSTNAME" in columns:
        columns["hostname"] = columns.pop("_HOSTNAME")
    columns |= {"service": services, "message": messages, "timestamp": timestamps, "level": levels}
    return encode_ordered("journald", known, context, tuple(columns), columns.values())


class Shapes:
    """How often names came, and the patterns of those that came often."""

    def __init__(self) -> None:
        self._entries: dict[_Names, int] = {}
        self._patterns: dict[_Names, re.Pattern[str]] = {}

    @property
    def known(self) -> int:
        """How many combinations of names are remembered."""
        return len(self._entries)

    def pattern(self, names: _Names, entries: int) -> re.Pattern[str] | None:
        """Matches an entry of these names, or all there is; None for names that have not come often yet."""
        if (pattern := self._patterns.get(names)) is not None:
            return pattern
        if len(self._entries) >= _MANY_SHAPES:
            self._entries.clear()
            self._patterns.clear()
        seen = self._entries[names] = self._entries.get(names, 0) + entries
        if seen < _OFTEN:
            return None
        pattern = self._patterns[names] = re.compile("".join(map(_field, names)) + r"\n|(?s:.+)")
        return pattern


def _field(name: str) -> str:
    """A pattern of one field; a time is taken if it has as many digits as from the year 2001 to 2286."""
    if name == "__REALTIME_TIMESTAMP":
        return rf"{name}=(?P<seconds>[0-9]{{10}})(?P<micros>[0-9]{{6}})\n"
    return rf"{name}=(?P<{name}>.*+)\n"


_shapes = Shapes()
