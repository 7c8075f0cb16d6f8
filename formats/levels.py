"""Severity levels: the names and numbers that senders use, mapped to the six of a record.

Names are those of RFC 5424, OpenTelemetry (also numbered, `INFO2`), log4j, java.util.logging, Python, .NET and
Google Cloud, in any case. Numbers are RFC 5424 severities (0 to 7) and bunyan's and pino's (10 to 60); no
value is in both.
"""

from typing import Final

from formats.errors import DecodeError

_SPELLINGS = {
    "TRACE": ("TRACE", "FINEST", "FINER", "T"),
    "DEBUG": ("DEBUG", "DBG", "VERBOSE", "FINE", "CONFIG", "D"),
    "INFO": ("INFO", "INF", "INFORMATION", "INFORMATIONAL", "NOTICE", "DEFAULT", "I"),
    "WARN": ("WARN", "WRN", "WARNING", "W"),
    "ERROR": ("ERROR", "ERR", "SEVERE", "E"),
    "FATAL": ("FATAL", "FTL", "CRIT", "CRITICAL", "ALERT", "EMERG", "EMERGENCY", "PANIC", "F"),
}
LEVELS: Final = tuple(_SPELLINGS)
"""The levels of a record, in ascending order."""

_OTEL = {f"{level}{number}": level for level in _SPELLINGS for number in (2, 3, 4)}
_SYSLOG = {
    **dict.fromkeys("012", "FATAL"),
    "3": "ERROR",
    "4": "WARN",
    **dict.fromkeys("56", "INFO"),
    "7": "DEBUG",
}
_BUNYAN = {str(10 * number): level for number, level in enumerate(_SPELLINGS, 1)}

NAMES = {name: level for level, names in _SPELLINGS.items() for name in names}
"""Level by name in upper case, single letters among them."""

_LEVELS = NAMES | _OTEL | _SYSLOG | _BUNYAN


def parse(text: str) -> str:
    """The level that a name or a number in text stands for. Raises DecodeError."""
    level = _LEVELS.get(text) or _LEVELS.get(text.strip().upper())
    if level is None:
        raise DecodeError("invalid_level", f"not a known level: {text[:80]!r}")
    return level
