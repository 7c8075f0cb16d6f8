"""Sizes and durations as people write them: `"50MB"`, `"1MiB"`, `"250ms"`, `"1h30m"`.

A size becomes a whole number of bytes; KB, MB, GB, TB are powers of 1000 and KiB, MiB, GiB, TiB of 1024
(IEC 80000-13). A duration becomes seconds as a float and always carries its unit, so that nobody has to
guess whether `10` meant seconds or milliseconds. The `format_` functions answer the shortest text that
parses back to the same value.
"""

import re
from decimal import Decimal
from typing import Final

KB: Final = 1000
MB: Final = 1000**2
GB: Final = 1000**3

_BYTES_PER: Final = {
    "TiB": 1024**4,
    "TB": 1000**4,
    "GiB": 1024**3,
    "GB": GB,
    "MiB": 1024**2,
    "MB": MB,
    "KiB": 1024,
    "KB": KB,
    "B": 1,
}
_BYTES_PER_FOLDED: Final = {unit.lower(): factor for unit, factor in _BYTES_PER.items()}
_SECONDS_PER: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_MICROSECONDS_PER: Final = {unit: n * 1_000_000 for unit, n in _SECONDS_PER.items()} | {"ms": 1000, "us": 1}

# Twelve digits hold every sensible size and duration, and a text of thousands never becomes a number.
_NUMBER: Final = r"([0-9]{1,12}(?:\.[0-9]{1,6})?)"
_PLAIN_NUMBER: Final = re.compile(rf"{_NUMBER}\s*(%)?", re.ASCII)
_SIZE: Final = re.compile(rf"{_NUMBER}\s*([kmgt]?i?b)?", re.IGNORECASE | re.ASCII)
_DURATION: Final = re.compile(rf"(?:{_NUMBER}\s*(?:us|ms|s|m|h|d)\s*)+|0", re.ASCII)
_DURATION_PART: Final = re.compile(rf"{_NUMBER}\s*(us|ms|s|m|h|d)", re.ASCII)


def parse_size(text: str) -> int:
    """Bytes of `text`; a number without a unit counts bytes. ValueError if it is not a size."""
    match = _SIZE.fullmatch(text.strip())
    factor = _BYTES_PER_FOLDED.get((match[2] or "b").lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"not a size: {text!r}")
    return int(Decimal(match[1]) * factor)


def parse_duration(text: str) -> float:
    """Seconds of `text`; only a zero may stand without its unit. ValueError if it is not a duration."""
    stripped = text.strip()
    if not _DURATION.fullmatch(stripped):
        raise ValueError(f"not a duration: {text!r}")
    parts = _DURATION_PART.findall(stripped)
    return sum(int(Decimal(number) * _MICROSECONDS_PER[unit]) for number, unit in parts) / 1_000_000


def parse_number(text: str) -> float:
    """`"80%"` as 0.8, `"0.8"` and `"100"` as they are. ValueError if it is not a number."""
    match = _PLAIN_NUMBER.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a number: {text!r}")
    value = Decimal(match[1])
    return float(value / 100 if match[2] else value)


def format_size(size_bytes: int) -> str:
    """`50_000_000` as `50MB`: in the largest unit of which it is a whole number."""
    for unit, factor in _BYTES_PER.items():
        if size_bytes >= factor > 1 and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return str(size_bytes)


def format_duration(duration_s: float) -> str:
    """`3600.0` as `1h`: in the largest unit of which it is a whole number."""
    duration_us = round(duration_s * 1_000_000)
    for unit, factor in _MICROSECONDS_PER.items():
        if duration_us >= factor and duration_us % factor == 0:
            return f"{duration_us // factor}{unit}"
    return "0s"
