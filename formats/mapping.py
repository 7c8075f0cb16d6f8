"""One JSON object to one record: the careful way, for what is not in the stored form already.

Each core field is looked for under the names below, in that order and in any case; the first that is there
and not null is taken, and moves to the proper name. All other fields, less favoured names among them, are
kept as they came, byte for byte, so that numbers keep their digits. Of a name given twice the last counts.

    field      missing         taken from
    timestamp  received_at     a string or number, see formats.timestamps
    level      INFO            a string or integer, see formats.levels
    service    the default     a string; numbers and booleans as their JSON text
    message    ""              a string; anything else as its JSON text

A value that does not fit makes the record bad; but names marked `?` are common words with other uses too,
so there it is left alone. `logger` is no name of the service: it names a part of the program.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple, TypeVar

import msgspec

from formats import heartbeats, levels, timestamps
from formats.errors import DecodeError
from formats.heartbeats import Heartbeat
from formats.record import Context, Row

_NAMES = {
    "timestamp": "timestamp @timestamp time ts datetime eventtime event_time asctime @t date?",
    "level": "level severity lvl loglevel log_level log.level levelname severity_text severitytext @l priority?",
    "service": "service service.name service_name servicename application app appname app_name",
    "message": "message msg short_message @m body? text? log? event?",
}


_T = TypeVar("_T")


class _Role(NamedTuple):
    field: str
    rank: int
    must_fit: bool


_ROLES = {
    name.rstrip("?"): _Role(field, rank, not name.endswith("?"))
    for field, names in _NAMES.items()
    for rank, name in enumerate(names.split())
}

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_raw = msgspec.json.Decoder(msgspec.Raw)
_string = msgspec.json.Decoder(str)
_encoder = msgspec.json.Encoder()


class Mapper:
    """Makes records of JSON objects, for one block."""

    def __init__(self, context: Context, format: str) -> None:
        self._stores_heartbeats = context.enrichment.stores_heartbeats
        self.heartbeats: list[Heartbeat] = []
        self._missing = {
            "timestamp": context.received_at,
            "level": "INFO",
            "service": context.service,
            "message": "",
        }
        self._constant = {name: msgspec.Raw(value) for name, value in context.values(format).items()}

    def row(self, data: bytes) -> Row | None:
        """Make a record of one JSON text, which must be an object and valid UTF-8. Raises DecodeError.

        None if it is a heartbeat and these are not stored. Heartbeats are put into `heartbeats`.
        """
        fields = decode_object(data)
        if b"\r" in data:  # in valid JSON it is whitespace, but the end of a line to many readers
            fields = decode_object(data.replace(b"\r", b" "))
        names = tuple(fields)
        roles = _find_roles_again(names) if len(data) <= _SHORT_BYTES else _find_roles(names)
        core = _take_core(fields, roles)
        missing = self._missing
        timestamp = core.get("timestamp") or missing["timestamp"]
        level = core.get("level") or missing["level"]
        service = core.get("service", missing["service"])
        if heartbeats.is_heartbeat(fields):
            heartbeat = heartbeats.read(data, timestamp, service)
            if heartbeat is not None:
                self.heartbeats.append(heartbeat)
                if not self._stores_heartbeats:
                    return None
        record: dict[str, object] = {**self._constant, **fields, **missing, **core}
        return Row(_encoder.encode(record) + b"\n", timestamp, level, service)


def decode_object(data: bytes) -> dict[str, msgspec.Raw]:
    """The fields of a JSON object, their values undecoded, nor checked for UTF-8. Raises DecodeError."""
    return _decode(_object, data)


def decode_array(data: bytes) -> list[msgspec.Raw]:
    """The elements of a JSON array, undecoded, nor checked for UTF-8. Raises DecodeError."""
    return _decode(_array, data)


def _decode(decoder: msgspec.json.Decoder[_T], data: bytes) -> _T:
    try:
        try:
            return decoder.decode(data)
        except msgspec.ValidationError as error:
            _raw.decode(data)  # the other type may only have been seen first: is it JSON to the end?
            raise DecodeError("not_an_object", str(error)) from error
    except msgspec.DecodeError as error:
        raise DecodeError("invalid_json", str(error)) from error
    except UnicodeDecodeError as error:
        raise DecodeError("invalid_utf8", str(error.reason)) from error
    except RecursionError as error:
        raise DecodeError("too_deep", "nested too deep to be decoded") from error


def _take_core(fields: dict[str, msgspec.Raw], roles: Iterable[tuple[str, _Role]]) -> dict[str, str]:
    """Move the core fields out of `fields`, read to what is stored."""
    core: dict[str, str] = {}
    for name, (field, _, must_fit) in roles:
        if field in core:
            continue
        value = bytes(fields[name])
        if value == b"null":
            continue
        try:
            core[field] = _read(field, value, must_fit)
        except DecodeError:
            if must_fit:
                raise
            continue
        del fields[name]
    return core


def _find_roles(names: Iterable[str]) -> list[tuple[str, _Role]]:
    """Those of the names that may hold a core field, best first."""
    found = []
    for name in names:
        exact = _ROLES.get(name)
        role = exact or _ROLES.get(name.lower())
        if role is not None:
            found.append((role.rank, exact is None, name, role))
    found.sort(key=itemgetter(0, 1))
    return [(name, role) for _, _, name, role in found]


# Most records of a sender have the same names. Only of short records, since what is kept is theirs to choose.
_find_roles_again = lru_cache(512)(_find_roles)
_SHORT_BYTES = 2048


def _read(field: str, value: bytes, must_fit: bool) -> str:
    is_string = value.startswith(b'"')
    if field == "service" and value[0] in b"{[":
        raise DecodeError("invalid_field", f"service is not a string: {value[:80]!r}")
    if not must_fit and not is_string and field != "level":
        raise DecodeError("invalid_field", f"not taken for a {field}: {value[:80]!r}")
    text = _string.decode(value) if is_string else value.decode()
    reader = _READERS.get(field)
    return text if reader is None else reader(text)


_READERS: dict[str, Callable[[str], str]] = {"timestamp": timestamps.parse, "level": levels.parse}
