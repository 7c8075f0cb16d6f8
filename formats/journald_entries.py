"""Journal entries to records, whatever they came as: names and values in, what is stored out.

An entry is a dict of its fields, and becomes the record; the records of a run are encoded by one call. Nothing counts
on the order of fields: journalctl writes those of each entry in another one. What is kept stays in that order, then
come host name, service, message, what else there is, time and level, and the enrichment.
"""

import base64
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from formats import levels
from formats.cores import NO_COLUMNS, Columns, Lists
from formats.errors import DecodeError
from formats.record import Context, Encoded, tally
from formats.runs import Runs

Value = str | bytes | msgspec.Raw | list[str | bytes | msgspec.Raw]
"""Of a field: text, what may be text, anything else as its JSON; or several of these."""

Data = Callable[[int], bytes]
"""The bytes of an entry by its index."""

NAME = r"[A-Z_][A-Z0-9_]{0,63}+"  # systemd, src/libsystemd/sd-journal/journal-file.c: journal_field_valid
_CORE = {
    "MESSAGE": "message",
    "__REALTIME_TIMESTAMP": "timestamp",
    "SYSLOG_IDENTIFIER": "service",
    "_HOSTNAME": "hostname",
}
LEVELS = {str(priority): levels.parse(str(priority)) for priority in range(8)}
_NAME = re.compile(NAME)
_NOTHING: frozenset[str] = frozenset()
_known_names: set[str] = set()
_MANY = 4096  # names; senders choose them
_EPOCH = datetime(1970, 1, 1)

_encoder = msgspec.json.Encoder()


class Entries:
    """Makes records of entries; those of a run are encoded by one call."""

    def __init__(self, context: Context, sink: Runs) -> None:
        self.context = context
        self._sink = sink
        self._keys = context.enrichment.keys
        self._may_carry = bool(names_of(self._keys))
        self._tails: dict[tuple[str, frozenset[str]], str] = {}
        self._records: list[dict[str, Any]] = []
        self._timestamps: list[str] = []
        self._levels: list[str] = []
        self._services: list[str] = []

    def add(
        self, entries: Iterable[dict[str, Any]], data: Data, more: Mapping[str, object] | None = None
    ) -> None:
        """Add entries of text fields, their names checked, and what `more` each has; their dicts become the records.

        One that is none is kept, as the bytes that `data` has for its index.
        """
        records, timestamps = self._records, self._timestamps
        levels, services = self._levels, self._services
        default, received_at = self.context.service, self.context.received_at
        tails, with_hostname = self._tails, self._keys & {"hostname"}
        is_general = bool(more) or self._may_carry
        for index, record in enumerate(entries):
            timestamp, level, service, carried = received_at, "INFO", "", _NOTHING
            if "__REALTIME_TIMESTAMP" in record:
                try:
                    timestamp = _read_timestamp(record.pop("__REALTIME_TIMESTAMP"))
                except DecodeError as error:
                    self.keep(error, data(index))
                    continue
            if "PRIORITY" in record:
                level = LEVELS.get(record["PRIORITY"], "INFO")
            if "SYSLOG_IDENTIFIER" in record:
                service = record.pop("SYSLOG_IDENTIFIER")
            if "_HOSTNAME" in record:
                record["hostname"] = record.pop("_HOSTNAME")
                carried = with_hostname
            record["service"] = service = service or record.get("_SYSTEMD_UNIT") or default
            record["message"] = record.pop("MESSAGE", "")
            if is_general:
                record.update(more or {})
                carried = self._keys.intersection(record)
            tail = tails.get((level, carried)) or self._tail(level, carried)
            record["timestamp"] = msgspec.Raw(f'"{timestamp}{tail}')
            records.append(record)
            timestamps.append(timestamp)
            levels.append(level)
            services.append(service)

    def add_fields(self, fields: Iterable[tuple[str, Value]], data: bytes) -> None:
        """Add an entry of any values, or else keep it as the text `data`. A name may come several times."""
        columns: dict[str, list[str | bytes | msgspec.Raw]] = {}
        for name, value in fields:
            columns.setdefault(name, []).extend(value if isinstance(value, list) else [value])
        if not are_names(columns):
            bad = next(name for name in columns if not _NAME.fullmatch(name))
            self.keep(DecodeError("invalid_field", f"not a journal field's name: {bad[:80]!r}"), data)
            return
        record: dict[str, str] = {}
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
                record[name] = first
            if len(values) != 1 or not isinstance(first, str):
                more[name] = first if len(values) == 1 else values
        if undecodable:
            more["base64_fields"] = list(undecodable)
        self.add([record], lambda _: data, more)

    def append(self, encoded: Encoded) -> None:
        """Append entries that were encoded apart."""
        self.flush()
        self._sink.append(encoded)

    def keep(self, error: DecodeError, data: bytes) -> None:
        """Keep an entry that is none."""
        self.flush()
        data = data.rstrip(b"\n")
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
        columns: Columns = NO_COLUMNS
        if self.context.wanted.is_any:
            messages = [record["message"] for record in self._records]
            columns = Lists(self._levels.copy(), self._services.copy(), messages)
        encoded = Encoded("journald", [chunk], len(chunk), len(self._records), columns=columns)
        encoded.count(tally(self._levels), set(self._services), min(self._timestamps), max(self._timestamps))
        self._sink.append(encoded)
        for column in (self._records, self._timestamps, self._levels, self._services):
            column.clear()

    def _tail(self, level: str, carried: frozenset[str]) -> str:
        """What stands between the digits of the timestamp and the next field."""
        prefix = self.context.prefix("journald", carried).decode()
        tail = self._tails[level, carried] = f'","level":"{level}",{prefix}'.removesuffix(",")
        return tail


@lru_cache(64)
def names_of(keys: frozenset[str]) -> frozenset[bytes]:
    """Those of the keys that a field of a journal may have for its name."""
    return frozenset(key.encode() for key in filter(_NAME.fullmatch, keys))


def are_names(names: Collection[str]) -> bool:
    """Whether all are names that a field of a journal may have."""
    if _known_names.issuperset(names):
        return True
    if not all(map(_NAME.fullmatch, names)):
        return False
    if len(_known_names) < _MANY:
        _known_names.update(names if len(names) < _MANY else ())
    return True


def _read_timestamp(digits: str) -> str:
    """Read microseconds since 1970. Raises DecodeError."""
    if not digits.isascii() or not digits.isdecimal():
        raise _invalid_timestamp(digits)
    if len(digits) < 7:
        digits = f"{digits:0>7}"
    return f"{read_second(digits[:-6])}.{digits[-6:]}Z"


@lru_cache(4096)
def read_second(digits: str) -> str:
    """Read seconds since 1970, up to where the fraction of a timestamp begins. Raises DecodeError."""
    try:
        if len(digits) > 15:
            raise OverflowError
        return (_EPOCH + timedelta(seconds=int(digits))).isoformat()
    except OverflowError as error:
        raise _invalid_timestamp(digits) from error


def _invalid_timestamp(digits: str) -> DecodeError:
    return DecodeError("invalid_timestamp", f"not microseconds of the years 1970 to 9999: {digits[:80]!r}")
