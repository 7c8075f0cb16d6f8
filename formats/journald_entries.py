"""Journal entries to records, whatever they came as: names and values in, what is stored out.

What the names of an entry say is cached by the names, as most entries of a service have the same ones: which of them
are a record's own, where time and priority stand, whether any is none. The records of a run are encoded by one call.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

import msgspec

from formats import levels
from formats.errors import DecodeError
from formats.record import Context, Encoded, tally
from formats.runs import Runs

Value = str | bytes | msgspec.Raw | list[str | bytes | msgspec.Raw]
"""Of a field: text, what may be text, anything else as its JSON; or several of these."""

_NAME = re.compile(
    r"[A-Z_][A-Z0-9_]{0,63}+"
)  # systemd, src/libsystemd/sd-journal/journal-file.c: journal_field_valid
_CORE = {
    "MESSAGE": "message",
    "__REALTIME_TIMESTAMP": "timestamp",
    "SYSLOG_IDENTIFIER": "service",
    "_HOSTNAME": "hostname",
}
_LEVELS = {str(priority): levels.parse(str(priority)) for priority in range(8)}
_SHORT = 64  # fields; what is kept of longer entries is theirs to choose
_EPOCH = datetime(1970, 1, 1)

_encoder = msgspec.json.Encoder()


class _Shape:
    """What the names of an entry say. `names` are those of the record; the others are indices, -1 for none."""

    __slots__ = ("has_message", "has_service", "names", "own", "priority", "timestamp", "unit")

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(_CORE.get(name, name) for name in names)
        self.own = frozenset(self.names)
        self.has_message = "message" in self.own
        self.has_service = "service" in self.own
        self.priority = names.index("PRIORITY") if "PRIORITY" in names else -1
        self.timestamp = self.names.index("timestamp") if "timestamp" in self.own else -1
        self.unit = names.index("_SYSTEMD_UNIT") if "_SYSTEMD_UNIT" in names else -1


def _shape(names: tuple[str, ...]) -> _Shape | None:
    """None if a name is none, or comes twice."""
    if len(set(names)) < len(names) or not all(map(_NAME.fullmatch, names)):
        return None
    return _Shape(names)


_shape_again = lru_cache(512)(_shape)


class Entries:
    """Makes records of entries; those of a run are encoded by one call."""

    def __init__(self, context: Context, sink: Runs) -> None:
        self._context = context
        self._sink = sink
        self._tails: dict[_Shape, dict[str, str]] = {}
        self._records: list[dict[str, object]] = []
        self._timestamps: list[str] = []
        self._levels: list[str] = []
        self._services: list[str] = []

    def add(
        self, names: tuple[str, ...], values: Sequence[str], more: Mapping[str, object] | None = None
    ) -> None:
        """Add an entry of text fields, and what `more` it has under the names of the record. Raises DecodeError."""
        shape = _shape_again(names) if len(names) <= _SHORT else _shape(names)
        if shape is None:
            raise _invalid_names(names)
        record: dict[str, object] = dict(zip(shape.names, values, strict=True))
        timestamp, level, service = self._context.received_at, "INFO", ""
        if shape.timestamp >= 0:
            timestamp = _read_timestamp(values[shape.timestamp])
        if shape.priority >= 0:
            level = _LEVELS.get(values[shape.priority], level)
        if shape.has_service:
            service = str(record["service"])
        if not service:
            unit = values[shape.unit] if shape.unit >= 0 else ""
            record["service"] = service = unit or self._context.service
        if not shape.has_message:
            record["message"] = ""
        tails = self._tails.get(shape) or self._tails.setdefault(shape, {})
        tail = tails.get(level)
        if more:
            record |= more
            tail = self._tail(level, shape.own | more.keys())
        elif tail is None:
            tail = tails[level] = self._tail(level, shape.own)
        record["timestamp"] = msgspec.Raw(f'"{timestamp}{tail}')
        self._records.append(record)
        self._timestamps.append(timestamp)
        self._levels.append(level)
        self._services.append(service)

    def add_fields(self, fields: Iterable[tuple[str, Value]]) -> None:
        """Add an entry of any values; a name may come several times. Raises DecodeError."""
        columns: dict[str, list[str | bytes | msgspec.Raw]] = {}
        for name, value in fields:
            columns.setdefault(name, []).extend(value if isinstance(value, list) else [value])
        if not all(map(_NAME.fullmatch, columns)):
            raise _invalid_names(columns)
        texts: dict[str, str] = {}
        more: dict[str, object] = {}
        undecodable: dict[str, None] = {}
        for name, column in columns.items():
            values: list[str | msgspec.Raw] = []
            for value in column:
                if not isinstance(value, bytes):
                    values.append(value)
                    continue
                try:
                    values.append(value.decode())
                except UnicodeDecodeError:
                    values.append(base64.b64encode(value).decode())
                    undecodable[_CORE.get(name, name)] = None
            first = values[0] if values else None
            if isinstance(first, str):
                texts[name] = first
            if len(values) != 1 or not isinstance(first, str):
                more[name] = first if len(values) == 1 else values
        if undecodable:
            more["base64_fields"] = list(undecodable)
        self.add(tuple(texts), list(texts.values()), more)

    def keep(self, error: DecodeError, data: bytes) -> None:
        """Keep an entry that is none."""
        self.flush()
        try:
            data.decode()
        except UnicodeDecodeError as undecodable:
            if error.reason not in ("truncated", "invalid_frame"):
                error = DecodeError("invalid_utf8", undecodable.reason)
        self._sink.reject(error.reason, data, error.detail)

    def flush(self) -> None:
        """Encode what was added."""
        if not self._records:
            return
        chunk = _encoder.encode_lines(self._records)
        encoded = Encoded("journald", [chunk], len(chunk), len(self._records))
        encoded.count(tally(self._levels), set(self._services), min(self._timestamps), max(self._timestamps))
        self._sink.append(encoded)
        for column in (self._records, self._timestamps, self._levels, self._services):
            column.clear()

    def _tail(self, level: str, own: frozenset[str]) -> str:
        """What stands between the digits of the timestamp and the next field."""
        prefix = self._context.prefix("journald", self._context.enrichment.keys & own)
        return f'","level":"{level}",{prefix.decode()}'.removesuffix(",")


def _invalid_names(names: Iterable[str]) -> DecodeError:
    bad = next((name for name in names if not _NAME.fullmatch(name)), None)
    return DecodeError(
        "invalid_field", "a field twice" if bad is None else f"not a journal field's name: {bad[:80]!r}"
    )


def _read_timestamp(digits: str) -> str:
    """Read microseconds since 1970. Raises DecodeError."""
    if not digits.isascii() or not digits.isdecimal():
        raise _invalid_timestamp(digits)
    return f"{_second(digits[:-6])}.{digits[-6:]:0>6}Z"


@lru_cache(4096)
def _second(digits: str) -> str:
    try:
        if len(digits) > 15:
            raise OverflowError
        return (_EPOCH + timedelta(seconds=int(digits or "0"))).isoformat()
    except OverflowError as error:
        raise _invalid_timestamp(digits) from error


def _invalid_timestamp(digits: str) -> DecodeError:
    return DecodeError("invalid_timestamp", f"not microseconds of the years 1970 to 9999: {digits[:80]!r}")
