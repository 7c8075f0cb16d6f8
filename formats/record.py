"""What a record is, what is added to it, and what becomes of a block of them.

A record leaves as one JSON line that carries the four core fields (`timestamp`, `level`, `service`,
`message`), whatever else the sender put in, and the enrichment. The enrichment is the same for all records
of a block, so it is rendered to bytes once a source (`Enrichment`) and completed once a block (`Context`);
a format only splices it in. `Encoded` is the outcome of a block: bytes ready to compress, the counts that
metrics and segment metadata need, and the records refused.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Set
from datetime import UTC, tzinfo
from typing import NamedTuple, Protocol

import msgspec

from formats.cores import NO_COLUMNS, NOTHING, Columns, Joined, Wanted
from formats.heartbeats import Heartbeat

CORE_FIELDS = ("timestamp", "level", "service", "message")

REASONS: tuple[str, ...] = (
    "invalid_json",  # not one JSON text, or more than one on a line
    "invalid_utf8",  # bytes that are not UTF-8 (RFC 3629)
    "not_an_object",  # JSON, but neither an object nor an element of an array that is one
    "invalid_timestamp",  # a timestamp that cannot be read, or lies outside the years 1970 to 9999
    "invalid_level",  # a level that is neither a known name nor a known number
    "invalid_field",  # a core field of a type that cannot be mapped
    "too_deep",  # nested deeper than the decoder follows, some 900 levels
    "invalid_protobuf",  # bytes that are no LogEntry, or text in one that is not UTF-8
    "invalid_avro",  # a block of an Avro container that its codec or its schema does not fit
    "invalid_frame",  # what should say where a record ends does not; the connection is closed
    "invalid_syslog",  # neither RFC 5424 nor RFC 3164; kept as text with this as its `parse_error`
    "schema",  # breaks a rule of a schema; found once it is a record
    "oversize",  # longer than the limit; found by framing
    "truncated",  # cut off by the end of the stream; found by who reads the stream
)

DETAIL_LIMIT = 200  # characters: a reject must not be a way to write long lines into our log
_NOTHING: frozenset[str] = frozenset()


class Enrichment:
    """The constant fields of one source, rendered once.

    `fields` maps a name to its JSON-encoded value. ValueError if a name belongs to the record itself or a value
    is not one line of JSON: a mistake of the caller's, never of a sender. `zone` is that of syslog times without one.
    With `stores_heartbeats` these are records too.
    """

    __slots__ = ("_fields", "_heads", "keys", "stores_heartbeats", "zone")

    def __init__(
        self, fields: Mapping[str, bytes], zone: tzinfo = UTC, stores_heartbeats: bool = False
    ) -> None:
        reserved = {*CORE_FIELDS, "format", "received_at"}.intersection(fields)
        if reserved:
            raise ValueError(f"enrichment cannot set {', '.join(sorted(reserved))}: the record has its own")
        for name, value in fields.items():
            if not _is_json_line(value):
                raise ValueError(f"enrichment field {name!r} is not one line of JSON: {value[:80]!r}")
        self.keys = frozenset(fields) | {"format", "received_at"}
        self.zone = zone
        self.stores_heartbeats = stores_heartbeats
        self._fields = dict(fields)
        self._heads: dict[tuple[str, Collection[str]], bytes] = {}

    def at(self, received_at: str, service: str, wanted: Wanted = NOTHING) -> "Context":
        """The enrichment of one block: `received_at` in RFC 3339 with microseconds and Z, the default service.

        A format that has its records in columns, or can make such at no great cost, hands out what is `wanted` or more.
        """
        return Context(self, received_at, service, wanted)

    def head(self, format: str, carried: frozenset[str]) -> bytes:
        """All but the fields `carried` by the records themselves, up to the value of `received_at`."""
        head = self._heads.get((format, carried))
        if head is None:
            fields = self._fields | {"format": msgspec.json.encode(format)}
            head = b"".join(
                msgspec.json.encode(name) + b":" + value + b","
                for name, value in fields.items()
                if name not in carried
            )
            if "received_at" not in carried:
                head += b'"received_at":"'
            if len(self._heads) < 64:  # the sets of carried fields are chosen by senders
                self._heads[format, carried] = head
        return head

    def values(self, format: str) -> dict[str, bytes]:
        """The constant fields by name, `received_at` not among them."""
        return self._fields | {"format": msgspec.json.encode(format)}


class Context:
    """What is the same for all records of one block. Made for each block, by `Enrichment.at`."""

    __slots__ = ("enrichment", "received_at", "service", "wanted")

    def __init__(
        self, enrichment: Enrichment, received_at: str, service: str, wanted: Wanted = NOTHING
    ) -> None:
        self.enrichment = enrichment
        self.received_at = received_at
        self.service = service
        self.wanted = wanted

    def prefix(self, format: str, carried: frozenset[str] = _NOTHING) -> bytes:
        """The fields to splice after the `{` of a record, with a trailing comma.

        Those in `carried` are left out: a field that a record has of its own is never overwritten. Empty if
        all are carried.
        """
        head = self.enrichment.head(format, carried)
        if "received_at" in carried:
            return head
        return head + self.received_at.encode() + b'",'

    def values(self, format: str) -> dict[str, bytes]:
        """The same fields as a mapping, for a record that must be rewritten."""
        return self.enrichment.values(format) | {"received_at": msgspec.json.encode(self.received_at)}


class Reject(NamedTuple):
    """A record refused: one of `REASONS`, its bytes as they came (the line's end left out), why in words."""

    reason: str
    data: bytes
    detail: str


class Row(NamedTuple):
    """One record that went the careful way: its JSON line, ended by LF, and what is counted of it."""

    line: bytes
    timestamp: str
    level: str
    service: str


class Kept(msgspec.Struct, gc=False):
    """What is kept of the records of a block for who looks for something in them.

    `levels` and `services` are those of the block: there may be none of some among the records that are here. The
    `columns` are those of the records, or shorter: then they must be read out of the lines.
    """

    chunks: list[bytes]
    nbytes: int
    records: int
    levels: Mapping[str, int]
    services: Set[str]
    columns: Columns


class Encoded(msgspec.Struct, gc=False):
    """What became of a block.

    The concatenation of `chunks` is JSON lines, each ended by LF; they are apart so that nothing is copied
    twice. `first` and `last` are the least and the greatest timestamp, empty when there is no record.

    `by_service` is how many records each service has, if that was counted.

    What was gathered for who looks for something in the records, if it was wanted:
    `columns` are those of all records, if all parts of the block have them; else they are shorter.
    `kept` has at least what was wanted, if that was not all: a part after the other.
    `may_match`: not all messages were searched, or something was found.
    """

    format: str
    chunks: list[bytes] = []
    nbytes: int = 0
    records: int = 0
    levels: dict[str, int] = {}
    services: set[str] = set()
    first: str = ""
    last: str = ""
    rejects: list[Reject] = []
    columns: Columns = NO_COLUMNS
    kept: list[Kept] | None = None
    may_match: bool = True
    by_service: Mapping[str, int] | None = None
    heartbeats: list[Heartbeat] = []

    def extend(self, rows: list[Row]) -> None:
        """Append records that were made one by one."""
        if not rows:
            return
        lines, timestamps, levels, services = zip(*rows, strict=True)
        chunk = b"".join(lines)
        self.by_service = None
        self.may_match = True
        if self.kept is not None:
            kept = Kept([chunk], len(chunk), len(rows), tally(levels), set(services), NO_COLUMNS)
            self.kept.append(kept)
        self.chunks.append(chunk)
        self.nbytes += len(chunk)
        self.records += len(rows)
        self.count(tally(levels), services, min(timestamps), max(timestamps))

    def append(self, other: "Encoded") -> None:
        """Append what came after."""
        if other.records:
            self._append_gathered(other)
        self.chunks += other.chunks
        self.nbytes += other.nbytes
        self.records += other.records
        self.rejects += other.rejects
        self.heartbeats += other.heartbeats
        if other.records:
            self.count(other.levels, other.services, other.first, other.last)

    def _append_gathered(self, other: "Encoded") -> None:
        """Before the records themselves are."""
        if not self.records:
            self.by_service = other.by_service
            self.columns, self.kept, self.may_match = other.columns, other.kept, other.may_match
            return
        if self.by_service is not None:
            self.by_service = other.by_service and Counter(self.by_service) + Counter(other.by_service)
        self.may_match |= other.may_match
        if self.kept is None and other.kept is None:
            self._append_columns(other.columns)
        else:
            kept = self.take_kept()
            kept += other.take_kept()
            self.kept = kept

    def take_kept(self) -> list[Kept]:
        """What is kept, or everything; what was gathered is let go."""
        kept = self.kept
        if kept is None:
            of_all = self.chunks[:], self.nbytes, self.records, dict(self.levels), set(self.services)
            kept = [Kept(*of_all, self.columns)]
        self.let_go()
        return kept

    def let_go(self) -> None:
        """Of what was gathered."""
        self.columns, self.kept = NO_COLUMNS, None

    def _append_columns(self, columns: Columns) -> None:
        if not isinstance(self.columns, Joined):
            joined = Joined()
            joined.append(self.columns)
            self.columns = joined
        self.columns.append(columns)

    def count(self, levels: Mapping[str, int], services: Iterable[str], first: str, last: str) -> None:
        """Take note of records that were appended."""
        for level, number in levels.items():
            self.levels[level] = self.levels.get(level, 0) + number
        self.services.update(services)
        self.first = min(self.first, first) if self.first else first
        self.last = max(self.last, last)

    def reject(self, reason: str, data: bytes, detail: str) -> None:
        """Refuse a record."""
        self.rejects.append(Reject(reason, data, detail[:DETAIL_LIMIT]))


class Sink(Protocol):
    """Where a format puts what it makes of a block, in the block's order. `Encoded` is one."""

    def extend(self, rows: list[Row]) -> None: ...
    def append(self, other: Encoded) -> None: ...
    def reject(self, reason: str, data: bytes, detail: str) -> None: ...


def tally(values: Collection[str]) -> dict[str, int]:
    """How often each value occurs; of few distinct values `count` is twice as fast as a Counter."""
    column = list(values)
    return {value: column.count(value) for value in set(column)}


def _is_json_line(value: bytes) -> bool:
    try:
        msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return b"\n" not in value
