"""Timestamps: whatever senders write, to the one form that is stored, `YYYY-MM-DDTHH:MM:SS.ffffffZ`.

`bounds` checks a whole block that claims to be in that form already: numpy compares all characters at once,
and since the form sorts as text, the least and the greatest timestamp tell whether all lie in one hour, so
that mostly a single date has to be looked up. `parse` and `from_epoch` read one timestamp of any other form,
exactly: integers and decimals, never floats. Digits beyond the microsecond are cut off.
"""

import re
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Context, Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from formats.errors import DecodeError

WIDTH = 27  # characters of the canonical form

# ISO 8601 as RFC 3339 section 5.6 narrows it, and what is common beside it: a space for the T, lower case, slashes, a
# decimal comma (ISO 8601, Python's logging), no fraction, an offset without its colon or its minutes or behind
# a space, no offset at all (taken as UTC).
_SECOND = re.compile(r"([0-9]{4})([-/])([0-9]{2})\2([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})")
_REST = re.compile(r"(?:[.,]([0-9]+))?(?: ?(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?))?")
_NUMBER = re.compile(r"[0-9]{1,100}(?:\.[0-9]{1,100})?(?:[eE][+-]?[0-9]{1,3})?")
_EPOCH = datetime(1970, 1, 1)
# The unit of an epoch time is told by its magnitude: each reaches from 1973 (the one before ends in the year 5138).
_UNITS = ((Decimal(10) ** 11, 6), (Decimal(10) ** 14, 3), (Decimal(10) ** 17, 0), (Decimal(10) ** 20, -3))
_EXACT = Context(prec=200, rounding=ROUND_DOWN)

_TEMPLATE = np.frombuffer(b"0000-00-00T00:00:00.000000Z", np.uint8)
# How much a character may differ from the template: a digit xor "0" is its value, any other character gives more.
_LIMIT = np.frombuffer(b"9999-99-99T99:59:59.999999Z", np.uint8) ^ _TEMPLATE
_TILE_ROWS = 1024


def bounds(timestamps: list[str]) -> tuple[str, str] | None:
    """Least and greatest of `timestamps`, each 27 characters long; None unless all are canonical and exist."""
    text = "".join(timestamps)
    if not text.isascii():
        return None
    template, limit = _tiled(-(-len(timestamps) // _TILE_ROWS))
    characters = np.frombuffer(text.encode(), np.uint8)
    if not ((characters ^ template[: characters.size]) <= limit[: characters.size]).all():
        return None
    first, last = min(timestamps), max(timestamps)
    hours = {first[:13]} if first[:13] == last[:13] else {timestamp[:13] for timestamp in timestamps}
    return (first, last) if all(map(is_hour, hours)) else None


def parse(text: str) -> str:
    """Read a timestamp of any accepted form, a number in text among them. Raises DecodeError."""
    timestamp = parse_iso(text)
    return from_epoch(text) if timestamp is None else timestamp


def parse_iso(text: str) -> str | None:
    """Read a timestamp that begins with date and time, None if this does not. Raises DecodeError."""
    try:
        second = _second(text[:19])
        if second is None:
            return None
        fraction = text[20:-1] if text.endswith("Z") else text[20:]
        if text[19:20] in (".", ",") and fraction.isascii() and fraction.isdecimal():  # the common case
            return _not_before_1970(f"{second}.{fraction[:6]:0<6}Z")
        match = _REST.fullmatch(text, 19)
        if match is None:
            raise _invalid(text)
        fraction, sign, hours, minutes = match.groups()
        moment = f"{second}.{fraction or '':0<6.6}"
        if sign is None:
            return _not_before_1970(moment + "Z")
        offset = timedelta(hours=_below(24, hours), minutes=_below(60, minutes or "0"))
        local = datetime.fromisoformat(moment)
        return _canonical(local - offset if sign == "+" else local + offset)
    except (ValueError, OverflowError) as error:
        raise _invalid(text) from error


def from_epoch(text: str) -> str:
    """Read seconds, milli-, micro- or nanoseconds since 1970, told apart by magnitude. Raises DecodeError."""
    if not _NUMBER.fullmatch(text):
        raise _invalid(text)
    value = Decimal(text)
    for ceiling, shift in _UNITS:
        if value < ceiling:
            return _canonical(_EPOCH + timedelta(microseconds=int(_EXACT.scaleb(value, shift))))
    raise _invalid(text)


@lru_cache(8)
def _tiled(tiles: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rows = tiles * _TILE_ROWS
    return np.tile(_TEMPLATE, rows), np.tile(_LIMIT, rows)


@lru_cache(1024)
def is_hour(text: str) -> bool:
    """Whether `YYYY-MM-DDTHH` is an hour of the years 1970 to 9999."""
    try:
        return datetime.fromisoformat(text).year >= 1970
    except ValueError:
        return False


@lru_cache(4096)
def _second(text: str) -> str | None:
    """`YYYY-MM-DDTHH:MM:SS` of a date and time in the common spellings, None if it is none. Raises ValueError.

    A leap second (RFC 3339 section 5.7) is the first second of the next minute, as POSIX counts it.
    """
    match = _SECOND.fullmatch(text)
    if match is None:
        return None
    year, _, month, day, hour, minute, second = match.groups()
    leap = second == "60"
    moment = datetime(int(year), int(month), int(day), int(hour), int(minute), 59 if leap else int(second))
    return (moment + timedelta(seconds=leap)).isoformat()


def _below(limit: int, digits: str) -> int:
    if int(digits) >= limit:
        raise ValueError(f"{digits} is not below {limit}")
    return int(digits)


def _canonical(moment: datetime) -> str:
    return _not_before_1970(moment.isoformat(timespec="microseconds") + "Z")


def _not_before_1970(canonical: str) -> str:
    if canonical < "1970":
        raise ValueError("before 1970")
    return canonical


def _invalid(text: str) -> DecodeError:
    return DecodeError("invalid_timestamp", f"not a timestamp of the years 1970 to 9999: {text[:80]!r}")
