"""Heartbeats: records by which a node says that it lives, told apart by `kind`.

    kind       "heartbeat"
    node       or hostname, or host: who lives; the sender's address where none is given
    service    as of any record
    timestamp  as of any record
    interval   how often they come: seconds, or a duration such as "10s" or "1m30s"
    version    of what sends them

A record of this kind of which one of the fields has another type, is out of bounds or longer than 255 characters is a
record like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

KIND: Final = "heartbeat"

_MAX_CHARS: Final = 255
_MAX_INTERVAL_S: Final = 366 * 86_400.0

_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION: Final = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ms|[smhd]))+")
_PART: Final = re.compile(r"([0-9.]+)(ms|[smhd])")

_Text = Annotated[str, Meta(max_length=_MAX_CHARS)] | None


class Heartbeat(NamedTuple):
    """One of them."""

    node: str
    """Empty where the sender does not say."""
    service: str
    timestamp: str
    """By the sender's clock, in the stored form."""
    interval_s: float
    """0 where the sender does not say."""
    version: str


class _Said(msgspec.Struct, gc=False):
    node: _Text = None
    hostname: _Text = None
    host: _Text = None
    interval: (
        Annotated[float, Meta(ge=0, le=_MAX_INTERVAL_S)] | Annotated[str, Meta(max_length=64)] | None
    ) = None
    version: _Text = None


_said: Final = msgspec.json.Decoder(_Said)
_string: Final = msgspec.json.Decoder(str)


def is_heartbeat(fields: Mapping[str, msgspec.Raw]) -> bool:
    """Whether the record says so."""
    kind = fields.get("kind")
    if kind is None:
        return False
    data = bytes(kind)
    return data.startswith(b'"') and _string.decode(data) == KIND


def read(data: bytes, timestamp: str, service: str) -> Heartbeat | None:
    """The heartbeat that a record, one JSON object, is; None if it is malformed.

    `timestamp` and `service` are the record's own, as they would be stored.
    """
    try:
        said = _said.decode(data)
    except msgspec.ValidationError:
        return None
    interval_s = _seconds(said.interval)
    if interval_s is None or len(service) > _MAX_CHARS:
        return None
    return Heartbeat(
        said.node or said.hostname or said.host or "", service, timestamp, interval_s, said.version or ""
    )


def _seconds(interval: float | str | None) -> float | None:
    if not isinstance(interval, str):
        return interval or 0.0
    if not _DURATION.fullmatch(interval):
        return None
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(interval))
    return seconds if seconds <= _MAX_INTERVAL_S else None
