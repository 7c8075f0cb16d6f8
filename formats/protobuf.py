"""Protobuf: a stream of `LogEntry` (formats/schemas/log_entry.proto), each behind its length, to stored records.

A compiled kernel (formats.kernel) is tried first: it takes what most senders send, at a sixth of the cost.

The fast way without it takes a block whose entries have the same fields, each once and in order, as all serialisers
write them. Entries one behind the other are one `LogColumns`, since Protobuf adds up repeated fields: one call in C
gives the columns of all records, a tenth of what message by message costs. That holds only if no entry lacks a field
or has one more, so numpy walks all entries at once, from tag to tag, and each must end where its frame ends.
The length before an entry is not cut out but made part of it (`_fuse`):

    1 byte    4f 0a 1b …       ->  0a 9b 00 …        the length of the first field takes a byte more than it needs
    2 bytes   9f 01 0a 1b …    ->  78 00 0a 1b …     a field of its own, `filler`
    3 bytes   9f 81 01 0a …    ->  78 80 00 0a …

Other blocks are parsed as a `LogBatch`; one that fails is cut into pieces, down to single entries around what is bad.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
from google.protobuf.message import DecodeError as ProtobufError
from numpy.typing import NDArray

from formats import heartbeats, kernel, timestamps
from formats.columns import Added, Core, encode_columns, encode_lines, read_core
from formats.delimited import Frames, Positions, cut, frames, read_length
from formats.errors import DecodeError
from formats.mapping import Mapper
from formats.record import CORE_FIELDS, Context, Encoded, Enrichment
from formats.schemas.log_columns_pb2 import LogColumns
from formats.schemas.log_entry_pb2 import LogBatch, LogEntry

if kernel.COMPILED:
    from formats.kernel import log_entries, made

_FORMAT = "protobuf"
_encoder = msgspec.json.Encoder()
_OWN = (*CORE_FIELDS, "run", "seq")
_RESERVED = frozenset(_OWN)
_ATTRIBUTE = "attributes."  # goes before the name of an attribute that is also a field's

_TEXT_TAGS = (0x0A, 0x12, 0x1A, 0x22, 0x32)  # number << 3 | 2: timestamp, level, service, message, run
_SEQ_TAG = 0x38  # 7 << 3 | 0
_FILLER_TAG = 0x78  # 15 << 3 | 0
_ENTRIES_TAG = b"\x0a"  # of LogBatch

_FEW = 64  # up to so many are read as fast as a LogBatch: a call of numpy takes a microsecond
_PIECES = 8  # into how many a failed block is cut
_NOTHING: frozenset[str] = frozenset()
_Bytes = NDArray[np.uint8]


class _Entries(NamedTuple):
    """The fields of some entries. No `attributes` if none has any."""

    timestamps: list[str]
    levels: list[str]
    services: list[str]
    messages: list[str]
    runs: list[str]
    seqs: list[int]
    attributes: list[Mapping[str, str]] | None = None


def encode(block: bytes, context: Context) -> list[Encoded]:
    """Make records of whole frames; a last one cut short is refused. Always one `Encoded`."""
    encoded = Encoded(_FORMAT)
    rest = b""
    if not isinstance(block, Frames):
        block, rest = cut(block)
    _encode_into(block, context, encoded)
    if rest:
        encoded.reject("truncated", rest, "the frame is longer than what is left")
    return [encoded]


def _encode_into(block: Frames, context: Context, encoded: Encoded) -> None:
    number = len(block.starts)
    if (made := _encode_bulk(block, context)) is not None:
        encoded.append(made)
        return
    step = -(-number // _PIECES)
    bounds = [*block.starts.tolist(), len(block)]
    for first in range(0, number, step):
        start, end = bounds[first], bounds[min(first + step, number)]
        if step > 1:
            _encode_into(
                frames(block[start:end], block.starts[first : first + step] - start), context, encoded
            )
        else:
            _, body = read_length(block, start)
            _encode_one(block[body:end], context, encoded)


def _encode_bulk(block: Frames, context: Context) -> Encoded | None:
    """All records at once, None if one of them is bad."""
    if not len(block.starts):
        return Encoded(_FORMAT)
    if kernel.COMPILED and (encoded := _encode_compiled(block, context)) is not None:
        return encoded
    try:
        return _encode_entries(_read_columns(block) or _read_batch(block), context)
    except (DecodeError, ProtobufError):
        return None


def _encode_compiled(block: Frames, context: Context) -> Encoded | None:
    """All records at once; None if there is anything unusual."""
    added = _added(context.enrichment)
    received_at = context.received_at.encode()
    if added is None or len(received_at) != timestamps.WIDTH:
        return None
    rest = b"," + context.prefix(_FORMAT)[:-1] + b"}\n"
    service = context.service.encode()
    fields = log_entries.encode(block, len(block.starts), service, received_at, rest, added, context.wanted)
    return made.encoded(_FORMAT, fields)


@lru_cache(1024)  # one for each sender
def _added(enrichment: Enrichment) -> log_entries.Added | None:
    values = enrichment.values(_FORMAT) | {"received_at": b'"%b"' % bytes(timestamps.WIDTH)}
    sizes = {name: len(_encoder.encode(name)) + len(value) + 2 for name, value in values.items()}
    try:
        return log_entries.Added(sizes)
    except ValueError:  # very many
        return None


def _encode_one(message: bytes, context: Context, encoded: Encoded) -> None:
    try:
        encoded.append(_encode_entries(_take([LogEntry.FromString(message)]), context))
    except DecodeError as error:
        encoded.reject(error.reason, message, error.detail)
    except ProtobufError:
        encoded.reject("invalid_protobuf", message, "not a LogEntry, or text in it is not UTF-8")


def _read_batch(block: Frames) -> _Entries:
    bounds = [*block.starts.tolist(), len(block)]
    pieces = [block[start:end] for start, end in pairwise(bounds)]
    return _take(LogBatch.FromString(_ENTRIES_TAG + _ENTRIES_TAG.join(pieces)).entries)


_fields: Callable[[LogEntry], tuple[Any, ...]] = attrgetter(
    "timestamp", "level", "service", "message", "run", "seq", "attributes"
)


def _take(entries: Iterable[LogEntry]) -> _Entries:
    columns = _Entries(*map(list, zip(*map(_fields, entries), strict=True)))
    return columns if any(columns.attributes or ()) else columns._replace(attributes=None)


def _read_columns(block: Frames) -> _Entries | None:
    """The fast way; None unless the entries are many and all alike. Raises ProtobufError."""
    number = len(block.starts)
    fused = _fuse(block) if number >= _FEW else None
    if fused is None:
        return None
    columns = LogColumns.FromString(fused)
    none = [""] * number
    return _Entries(
        columns.timestamp[:] or none,
        columns.level[:] or none,
        columns.service[:] or none,
        columns.message[:] or none,
        columns.run[:] or none,
        columns.seq[:] or [0] * number,
    )


def _fuse(block: Frames) -> bytes | None:
    """The bytes of a `LogColumns` with the fields of all entries; None unless they are all alike."""
    data = np.empty(len(block) + 16, np.uint8)  # so that a look behind the end is no error
    data[: len(block)] = np.frombuffer(block, np.uint8)
    data[len(block) :] = 0
    starts = block.starts
    ends = np.append(starts[1:], len(block))
    width = _header_bytes(data, starts)
    if width is None:
        return None
    position = starts + width
    if np.any(data[position] == _SEQ_TAG) or np.any(position == ends):
        return None  # nothing of which the length could become a part
    for tag in _TEXT_TAGS:
        if position[0] == ends[0]:
            break
        behind = _pass_text(data, position, ends, tag)
        if behind is None:
            return None
        position = behind
    if not np.array_equal(position, ends) and not _is_seq(data, position, ends):
        return None
    short = starts[width == 1]
    data[short] = data[short + 1]
    data[short + 1] = data[short + 2] | 0x80
    data[short + 2] = 0
    long = starts[width > 1]
    data[long] = _FILLER_TAG
    data[long + 1] = 0
    longer = starts[width == 3]
    data[longer + 1] = 0x80
    data[longer + 2] = 0
    return data[: len(block)].tobytes()


def _header_bytes(data: _Bytes, starts: Positions) -> Positions | None:
    """How many bytes each length takes, None if one takes more than three."""
    goes_on = data[starts] >= 0x80
    width = goes_on + np.int64(1)
    if goes_on.any():
        goes_on &= data[starts + 1] >= 0x80
        width += goes_on
        if goes_on.any() and (data[starts[goes_on] + 2] >= 0x80).any():
            return None
    return width


def _pass_text(data: _Bytes, position: Positions, ends: Positions, tag: int) -> Positions | None:
    """The positions behind a text field, the same ones if no entry has it; None if not all are alike."""
    has = data[position] == tag
    if not has[0]:
        return position
    length = data[position + 1].astype(np.int64)
    behind = position + 2 + length
    two = length >= 0x80
    if two.any():
        high = data[position + 2].astype(np.int64)
        if (two & (high >= 0x80)).any():
            return None
        behind += two * (1 - 0x80 + (high << 7))
    return behind if has.all() and (behind <= ends).all() else None


def _is_seq(data: _Bytes, position: Positions, ends: Positions) -> bool:
    """Whether each entry ends in a `seq`, and in nothing else."""
    more = ends - position - 2  # bytes before the last of the varint
    if (
        more.min() < 0
        or more.max() > 9
        or not (data[position] == _SEQ_TAG).all()
        or (data[ends - 1] >= 0x80).any()
    ):
        return False
    return all(
        ((data[position + offset] >= 0x80) | (more < offset)).all()
        for offset in range(1, int(more.max()) + 1)
    )


def _encode_entries(entries: _Entries, context: Context) -> Encoded:
    """Make records of entries. Raises DecodeError."""
    *core, runs, seqs, attributes = entries
    if attributes is None:
        if all(runs):
            return encode_columns(_FORMAT, Core(*core), context, {"run": runs, "seq": seqs})
        if not any(runs) and not any(seqs):
            return encode_columns(_FORMAT, Core(*core), context)
        attributes = [{}] * len(runs)
    elif any(each.get("kind") == heartbeats.KIND for each in attributes):
        return _encode_heartbeats(entries, attributes, context)
    known = read_core(Core(*core), context)
    lines = _with_attributes(known.core, runs, seqs, attributes, context)
    return encode_lines(_FORMAT, lines, known, context)


def _encode_heartbeats(entries: _Entries, attributes: list[Mapping[str, str]], context: Context) -> Encoded:
    """Entries some of which are heartbeats: these are read as the JSON that they stand for. Raises DecodeError."""
    encoded = Encoded(_FORMAT)
    mapper = Mapper(context, _FORMAT)
    rows = []
    others = []
    for values, own in zip(zip(*entries[:-1], strict=True), attributes, strict=True):
        if own.get("kind") == heartbeats.KIND:
            fields = dict(zip(_OWN, values, strict=True))
            record = {name: value for name, value in fields.items() if value} | _renamed(dict(own.items()))
            row = mapper.row(_encoder.encode(record))
            if row is not None:
                rows.append(row)
        else:
            others.append((*values, own))
    if others:
        encoded.append(_encode_entries(_Entries(*map(list, zip(*others, strict=True))), context))
    encoded.extend(rows)
    encoded.heartbeats += mapper.heartbeats
    return encoded


def _with_attributes(
    core: Core, runs: list[str], seqs: list[int], all_attributes: list[Mapping[str, str]], context: Context
) -> list[dict[str, object]]:
    """Records whose fields are not the same."""
    keys = context.enrichment.keys
    added: dict[frozenset[str], Added] = {}
    lines: list[dict[str, object]] = []
    for timestamp, level, service, message, run, seq, attributes in zip(
        *core, runs, seqs, all_attributes, strict=True
    ):
        line: dict[str, object] = {
            "timestamp": timestamp,
            "level": level,
            "service": service,
            "message": message,
        }
        if run or seq:
            line |= {"run": run, "seq": seq} if run else {"seq": seq}
        if attributes:
            own = dict(sorted(attributes.items()))  # in a map they have no order
            line |= own if _RESERVED.isdisjoint(own) else _renamed(own)
        carried = _NOTHING if keys.isdisjoint(line) else keys.intersection(line)
        rest = added.get(carried)
        if rest is None:
            rest = added[carried] = Added(_FORMAT, context, carried)
        if rest.name is not None:
            line[rest.name] = rest.value
        lines.append(line)
    return lines


def _renamed(attributes: dict[str, str]) -> dict[str, str]:
    """Attributes of which none has the name of a field, nor of another attribute."""
    renamed = {name: value for name, value in attributes.items() if name not in _RESERVED}
    for name in _RESERVED.intersection(attributes):
        free = _ATTRIBUTE + name
        while free in renamed:
            free = _ATTRIBUTE + free
        renamed[free] = attributes[name]
    return renamed
