"""JSON: one object per line (NDJSON), or an array of objects per line, to stored records.

The fast way, for a block whose lines all have the stored form already: one call decodes it, only to check
it, and one substitution splices the enrichment into the bytes as they came. The decoder is not bound to
lines: it takes an object spread over two lines and two objects on one. So as many objects are asked for as there are
lines, and all lines but the last must end in `}` LF `{`. That cannot occur inside a JSON value, so each
is where one object ends and the next begins, and no other line feed is left: each line is one object.

Before that, a compiled kernel (formats.kernel) tries to do all of this in one pass; it takes what most senders send.

A block that fails is cut into pieces, these into smaller ones, and lines are mapped one by one
(formats.mapping) only around what is bad or in other words. Blank lines are skipped.

Measured (Python 3.11, 2 shared cores, 170-byte records, 1,536 a block): 0.14 us of CPU per record by the kernel, 0.51
without it; mapped line by line ten times that (benchmarks/micro_formats.py).
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Annotated, Literal, cast

import msgspec
from msgspec import Meta

from formats import cores, heartbeats, kernel, lines, timestamps
from formats.cores import NO_COLUMNS, Columns
from formats.errors import DecodeError
from formats.levels import LEVELS
from formats.mapping import Mapper, decode_array, decode_object
from formats.record import Context, Encoded, Row, Sink, tally

if kernel.COMPILED:
    from formats.kernel import json_lines, made

_JOINT = re.compile(rb"\}\n\{")
_JOINT_CRLF = re.compile(rb"\}\r\n\{")
_PIECES = 8  # into how many a failed block is cut
_SINGLE_LINES = 32  # fewer are not worth another try
_WHITESPACE = b" \t\r"  # RFC 8259 section 2; LF ends the line
_NOTHING: frozenset[str] = frozenset()

_Fault = tuple[str, str]  # a reason, and in words
_NOT_UTF8 = ("invalid_utf8", "not UTF-8")
_NO_JSON = ("invalid_json", "no JSON text begins like this")
_OPEN_OBJECT = ("invalid_json", "an object that does not end with }")
_OPEN_ARRAY = ("invalid_json", "an array that does not end with ]")
_NO_OBJECT = ("not_an_object", "JSON, but not an object")
_SCALAR_STARTS = b'"-0123456789tfn'
_SHORT_BYTES = 256  # of a line; a longer one may be something worse, and there are not that many
_scalar = msgspec.json.Decoder(msgspec.Raw)


# What a record may be called without being a heartbeat. One goes the careful way, and so does an array or an object:
# msgspec 0.22 may crash when a type with types inside is collected (TypeNode_Free).
_Kind = Annotated[str, Meta(pattern=f"^(?!{heartbeats.KIND}$)")] | int | float | bool | None


class Canonical(msgspec.Struct, gc=False):
    """What a record must be to be stored as it came; its date is checked apart."""

    timestamp: Annotated[str, Meta(min_length=timestamps.WIDTH, max_length=timestamps.WIDTH)]
    level: Literal[LEVELS]  # type: ignore[valid-type]  # a tuple of literals
    service: str
    message: str
    kind: _Kind = None


# A type without values, so that the field may not be there at all. Null is no int either.
_Absent = Annotated[int, Meta(ge=1, le=0)]


class _Columns(cores.Apart):
    """The columns of decoded records, each made when it is asked for."""

    __slots__ = ("_letters", "_records", "levels")

    def __init__(self, records: list[Canonical], levels: list[str], letters: cores.Letters | None) -> None:
        self._records = records
        self._letters = letters
        self.levels = levels

    def __len__(self) -> int:
        return len(self._records)

    @property
    def letters(self) -> cores.Letters:
        return cores.letters_of(self.levels) if self._letters is None else self._letters

    def services(self, numbers: cores.Numbers) -> list[str]:
        return [record.service for record in self._of(numbers)]

    def messages(self, numbers: cores.Numbers) -> cores.Texts:
        return cores.Texts.of([record.message for record in self._of(numbers)])

    def _of(self, numbers: cores.Numbers) -> Iterable[Canonical]:
        return self._records if numbers is None else map(self._records.__getitem__, numbers.tolist())


def encode(block: bytes, context: Context) -> list[Encoded]:
    """Make records of whole lines; the last may lack its LF. Always one `Encoded`."""
    encoded = Encoded("json")
    encode_into(block, context, encoded)
    return [encoded]


def encode_into(block: bytes, context: Context, sink: Sink) -> None:
    """Make records of whole lines and put them into `sink`, records and rejects in the order of the block."""
    if (encoded := encode_canonical(block, context)) is not None:
        sink.append(encoded)
    else:
        mapper = Mapper(context, "json")
        _divide(block, context, mapper, sink)
        if mapper.heartbeats:
            sink.append(Encoded("json", heartbeats=mapper.heartbeats))


def encode_canonical(block: bytes, context: Context) -> Encoded | None:
    """The fast way; None unless every line is a record in the stored form.

    Records may carry fields of the enrichment if all carry the same ones, those of the first.
    """
    if not block.startswith(b"{") or not (block.isascii() or _is_utf8(block)):
        return None
    encoded = _enrich(block, context) if kernel.COMPILED else None
    if encoded is None:
        encoded = _splice(block, context, _NOTHING)
    if encoded is None and (carried := _carried_by_first(block, context)):
        encoded = _splice(block, context, carried)
    return encoded


def _enrich(block: bytes, context: Context) -> Encoded | None:
    """The fast way, compiled, for records without any field of the enrichment."""
    absent = _names(context.enrichment.keys)
    if absent is None:
        return None
    opening = b"{" + context.prefix("json")
    return made.encoded("json", json_lines.enrich(block, opening, absent, context.wanted))


@lru_cache(64)
def _names(keys: frozenset[str]) -> "json_lines.Names | None":
    try:
        return json_lines.Names(keys)
    except ValueError:  # a very long one
        return None


def _splice(block: bytes, context: Context, carried: frozenset[str]) -> Encoded | None:
    try:
        records = _decoder(context.enrichment.keys, carried).decode_lines(block)
    except (msgspec.DecodeError, RecursionError):
        return None
    number = len(records)
    is_ended = block.endswith(b"\n")
    if number != lines.count(block) + (not is_ended):
        return None
    bounds = timestamps.bounds([record.timestamp for record in records])
    if bounds is None:
        return None
    levels = [record.level for record in records]
    letters = cores.letters_of(levels) if number >= cores.FEW else None
    counts = tally(levels) if letters is None else cores.tally(letters)
    services = {record.service for record in records}
    columns: Columns = _Columns(records, levels, letters) if context.wanted.is_any else NO_COLUMNS
    del records  # as large as the block itself: do not hold both for nothing
    opening = b"{" + context.prefix("json", carried)
    # A replacement without a backslash is taken as it is, at full speed.
    joint = (b"}\n" + opening).replace(b"\\", rb"\\")
    is_crlf = block.endswith(b"\r\n")
    end = len(block) - is_ended - is_crlf
    pattern = _JOINT_CRLF if is_crlf else _JOINT
    body, joints = pattern.subn(joint, cast(bytes, memoryview(block)[1:end]))
    if joints != number - 1 or b"\r" in body:  # whitespace, but the end of a line to many readers
        return None
    chunks = [opening, body, b"\n"]
    first, last = bounds
    nbytes = sum(map(len, chunks))
    return Encoded("json", chunks, nbytes, number, counts, services, first, last, columns=columns)


@lru_cache(64)
def _decoder(keys: frozenset[str], carried: frozenset[str]) -> msgspec.json.Decoder[Canonical]:
    """Decodes records that have the fields `carried` and none of the other `keys`."""
    own = [(name, msgspec.Raw) for name in sorted(carried - {"kind"})]
    absent = [(name, _Absent, 0) for name in sorted(keys - carried)]
    struct = msgspec.defstruct("Canonical", [*own, *absent], bases=(Canonical,), gc=False, kw_only=True)
    return msgspec.json.Decoder(struct)


def _carried_by_first(block: bytes, context: Context) -> frozenset[str]:
    try:
        return context.enrichment.keys.intersection(decode_object(block[: block.find(b"\n")]))
    except DecodeError:
        return _NOTHING


def _divide(block: bytes, context: Context, mapper: Mapper, sink: Sink) -> None:
    """Store what is left of a block that could not be spliced whole."""
    ends = lines.ends(block).tolist()
    step = max(-(-len(ends) // _PIECES), _SINGLE_LINES)
    if len(ends) <= _SINGLE_LINES:
        _map_lines(block, mapper, sink)
        return
    start = 0
    for end in [*ends[step - 1 : -1 : step], len(block)]:
        piece = block[start:end]
        start = end
        if (encoded := encode_canonical(piece, context)) is not None:
            sink.append(encoded)
        else:
            _divide(piece, context, mapper, sink)


def _map_lines(block: bytes, mapper: Mapper, sink: Sink) -> None:
    """Store lines one by one. Most of what is no object is told without an exception: there may be a lot of it."""
    rows: list[Row] = []
    is_utf8 = _is_utf8(block)
    for line in block.split(b"\n"):
        text = line.strip(_WHITESPACE)
        if not text or text.isspace():
            continue
        elements: Sequence[bytes] = ()
        fault: _Fault | None = None
        if not is_utf8 and not _is_utf8(text):
            fault = _NOT_UTF8
        elif not text.startswith(b"{"):
            fault, elements = _elements(text)
        elif text.endswith(b"}") or len(text) > _SHORT_BYTES:
            elements = (text,)
        else:
            fault = _OPEN_OBJECT
        if fault is not None:
            _refuse(fault, line.removesuffix(b"\r"), rows, sink)
        for element in elements:
            if not element.startswith(b"{"):
                _refuse(_NO_OBJECT, element, rows, sink)
                continue
            try:
                row = mapper.row(element)
            except DecodeError as error:
                _refuse((error.reason, error.detail), element, rows, sink)
            else:
                if row is not None:
                    rows.append(row)
    sink.extend(rows)


def _elements(text: bytes) -> tuple[_Fault | None, Sequence[bytes]]:
    """What is wrong with a text that is no object, or the elements of an array that it is."""
    if text.startswith(b"["):
        if not text.endswith(b"]") and len(text) <= _SHORT_BYTES:
            return _OPEN_ARRAY, ()
        try:
            return None, list(map(bytes, decode_array(text)))
        except DecodeError as error:
            return (error.reason, error.detail), ()
    if text[0] not in _SCALAR_STARTS:
        return _NO_JSON, ()
    try:
        _scalar.decode(text)
    except msgspec.DecodeError as error:
        return ("invalid_json", str(error)), ()
    return _NO_OBJECT, ()


def _refuse(fault: _Fault, data: bytes, rows: list[Row], sink: Sink) -> None:
    """Reject, behind the records before it."""
    if rows:
        sink.extend(rows)
        rows.clear()
    sink.reject(fault[0], data, fault[1])


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
