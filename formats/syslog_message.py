"""What a syslog message says, in either RFC: its PRI, its time, where it comes from, its text.

The parts are kept apart, because they repeat differently: a block has few PRIs, some origins, and many times. Each
distinct one is rendered once, to the bytes of several fields: msgspec splices them in as if they were the value of
one. Facilities and severities have the keywords of RFC 5427.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from formats.errors import DecodeError
from formats.levels import parse as parse_level

_FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("ntp", "audit", "console", "cron2", "local0", "local1", "local2", "local3", "local4", "local5"),
    *("local6", "local7"),
)
_SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_encode = msgspec.json.encode

BOM = "\ufeff"


class Severity(NamedTuple):
    """`rendered` is the level's value and, where there was a PRI, the fields `facility` and `severity`."""

    level: str
    rendered: msgspec.Raw


class Origin(NamedTuple):
    """Where a message comes from. `rendered` is the value of the service, if there is one, and all other fields."""

    service: str | None
    rendered: bytes
    names: frozenset[str]

    def having(self, fields: dict[str, object]) -> "Origin":
        """The same with more fields."""
        more = origin(None, fields)
        return Origin(self.service, self.rendered + more.rendered, self.names | more.names)


class Message(NamedTuple):
    """A message read one by one. `timestamp` is None where none is told, `layout` where it has no common one."""

    severity: Severity
    timestamp: str | None
    origin: Origin
    text: str
    layout: "Layout | None"


class Layout(NamedTuple):
    """A shape that many messages share, so that they can be cut into columns: `kind`, and what ends the head."""

    kind: str
    separator: str


class Columns(NamedTuple):
    """Many messages of one layout, cut; what tells the origin is the head."""

    pris: list[str]
    times: list[str]
    heads: list[str]
    texts: list[str]


def severity_of(level: str) -> Severity:
    """A severity that is not from a PRI."""
    return Severity(level, msgspec.Raw(_encode(level)))


def _by_pri(pri: int) -> Severity:
    level = parse_level(str(pri % 8))
    fields = {"facility": _FACILITIES[pri // 8], "severity": _SEVERITIES[pri % 8]}
    rendered = _encode(level) + b"," + _encode(fields)[1:-1]
    return Severity(level, msgspec.Raw(rendered))


PRIS = {str(pri): _by_pri(pri) for pri in range(192)}
"""Severity by what stands between `<` and `>`; RFC 5424 section 6.2.1: at most 191, no leading zeros."""

UNTOLD = severity_of("INFO")


def split_pri(message: str) -> tuple[Severity | None, str]:
    """The PRI, None if there is none, and the rest. Raises DecodeError if it is not one."""
    if not message.startswith("<"):
        return None, message
    end = message.find(">", 1, 8)
    severity = PRIS.get(message[1:end]) if end > 0 else None
    if severity is None:
        raise DecodeError("invalid_syslog", f"not a PRI of 0 to 191: {message[:8]!r}")
    return severity, message[end + 1 :]


PRI_NAMES = frozenset({"facility", "severity"})


def origin(service: str | None, fields: Mapping[str, object]) -> Origin:
    """`fields` with the value None are left out."""
    told = {name: value for name, value in fields.items() if value is not None}
    rendered = b"," + _encode(told)[1:-1] if told else b""
    if service is not None:
        rendered = _encode(service) + rendered
    return Origin(service, rendered, frozenset(told))
