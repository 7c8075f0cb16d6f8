"""Avro: object container files of records, by whatever schema they carry, to stored records.

A block is decompressed within bounds, read to columns (formats.avro_records) and encoded as such, if the schema has
the core fields by their own names, as text, enums or timestamps. Other schemas are resolved to ours as Avro resolves
schemas, by names and aliases: each record becomes a JSON object and takes the way of formats.mapping, with the
aliases listed there. So does a block in which a core field is null or has a value to be refused. Fields that are not
core are kept as they are. Before all that, a compiled kernel (formats.kernel) tries to go from bytes to lines in one
pass; it takes what most senders send.

What cannot be read hides the records behind it, to the end of its block: they are one reject. Those before it are
stored.
"""

from __future__ import annotations

import json
import zlib
from functools import lru_cache
from typing import Any

import msgspec
import zstandard

from formats import heartbeats, kernel
from formats.avro_container import (
    Block,
    Container,
    Header,
    Short,
    is_header,
    read_block,
    read_header,
)
from formats.avro_records import Records
from formats.avro_schema import SchemaError
from formats.columns import Core, encode_columns
from formats.errors import DecodeError, FrameError
from formats.mapping import Mapper
from formats.record import CORE_FIELDS, Context, Encoded, Row

if kernel.COMPILED:
    from formats.kernel import avro_lines, made

_FORMAT = "avro"
_CODECS = ("null", "deflate", "zstandard")
_EXCERPT_BYTES = 1024

# What is compressed well may be a bomb. Logs shrink to a tenth or so; a byte of deflate can become 1,030.
_LEAST_BYTES = 4096
_RATIO = 64
_LEAST_RECORDS = 64  # of a block; more must take a byte each, compressed
_JSON_BYTES = 256 << 20  # that might come of one call
_encoder = msgspec.json.Encoder()


def framer(limit_bytes: int) -> Container:
    """A framer that refuses a header of which no record can come."""
    return Container(limit_bytes, _check)


def encode(block: bytes, context: Context) -> list[Encoded]:
    """Make records of whole container files; what is cut short at the end is refused. Always one `Encoded`."""
    encoded = Encoded(_FORMAT)
    position, budget = 0, _JSON_BYTES
    header: Header | None = None
    records: Records
    try:
        while position < len(block):
            if header is None or is_header(block, position):
                header, position = read_header(block, position)
                records = _check(header)
            else:
                part = read_block(block, position, header.sync)
                position = part.end
                budget -= _encode_block(header, records, part, budget, context, encoded)
    except Short:
        encoded.reject("truncated", block[position:], "the stream ended within this block")
    except FrameError as error:
        encoded.reject(error.reason, block[position : position + _EXCERPT_BYTES], error.detail)
    return [encoded]


def _check(header: Header) -> Records:
    return _records(header.schema, header.codec)


@lru_cache(32)
def _records(schema: bytes, codec: str) -> Records:
    """What reads the blocks of a file. Raises FrameError."""
    if codec not in _CODECS:
        raise FrameError("invalid_avro", f"avro.codec {codec[:40]!r} is none of: {', '.join(_CODECS)}")
    try:
        return Records(schema)
    except SchemaError as error:
        raise FrameError("invalid_avro", str(error)) from error


def _encode_block(
    header: Header, records: Records, block: Block, budget: int, context: Context, encoded: Encoded
) -> int:
    """Make records of a block; returns how many bytes of JSON they might have been."""
    excerpt = block.data[:_EXCERPT_BYTES]
    if block.records > _LEAST_RECORDS + len(block.data):
        detail = f"a block of {len(block.data)} bytes announces {block.records} records"
        encoded.reject("invalid_avro", excerpt, detail)
        return 0
    try:
        data = _decompress(block.data, header.codec)
    except DecodeError as error:
        encoded.reject(error.reason, excerpt, error.detail)
        return 0
    json_bytes = len(data) * records.json_bytes
    if json_bytes > budget:
        encoded.reject("oversize", excerpt, f"{len(data)} bytes by this schema may be {json_bytes} of JSON")
        return 0
    if kernel.COMPILED and (lines := _encode_compiled(records, data, block.records, context)) is not None:
        encoded.append(lines)
        return json_bytes
    columns, rows, end, error_ = records.read(data, block.records)
    if rows:
        _encode_rows(records, columns, context, encoded)
    if error_:
        encoded.reject("invalid_avro", data[end : end + _EXCERPT_BYTES], error_)
    elif end < len(data):
        detail = f"{len(data) - end} bytes behind the last record of a block"
        encoded.reject("invalid_avro", data[end : end + _EXCERPT_BYTES], detail)
    return json_bytes


def _decompress(data: bytes, codec: str) -> bytes:
    """The bytes of a block. Raises DecodeError."""
    if codec == "null":
        return data
    limit_bytes = _LEAST_BYTES + _RATIO * len(data)
    try:
        plain = _CODEC[codec](data, limit_bytes)
    except (zlib.error, zstandard.ZstdError) as error:
        raise DecodeError("invalid_avro", f"{codec}: {error}") from error
    if len(plain) > limit_bytes:
        raise DecodeError("oversize", f"{codec}: {len(data)} bytes of a block are more than {limit_bytes}")
    return plain


def _inflate(data: bytes, limit_bytes: int) -> bytes:
    decompressor = zlib.decompressobj(-zlib.MAX_WBITS)  # bare deflate, RFC 1951
    plain = decompressor.decompress(data, limit_bytes + 1)
    # What stands behind the end is let be: fastavro leaves a piece of a checksum there.
    if len(plain) <= limit_bytes and not decompressor.eof:
        raise zlib.error("cut short")
    return plain


def _unzstd(data: bytes, limit_bytes: int) -> bytes:
    announced = zstandard.frame_content_size(data)  # what would be allocated; -1 if it is not told
    if announced > limit_bytes:
        raise zstandard.ZstdError(f"{announced} bytes announced, more than {limit_bytes}")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=limit_bytes)


_CODEC = {"deflate": _inflate, "zstandard": _unzstd}


def _encode_compiled(records: Records, data: bytes, number: int, context: Context) -> Encoded | None:
    """The fast way, compiled; None unless all is whole and as it is for `_encode_columns`."""
    if records.program is None:
        return None
    carried = context.enrichment.keys.intersection(records.names)
    closing = (b"," + context.prefix(_FORMAT, carried)).removesuffix(b",") + b"}\n"
    return made.encoded(_FORMAT, avro_lines.encode(data, number, records.program, closing, context.wanted))


def _encode_rows(records: Records, columns: list[list[Any]], context: Context, encoded: Encoded) -> None:
    if (lines := _encode_columns(records, columns, context)) is not None:
        encoded.append(lines)
        return
    mapper = Mapper(context, _FORMAT)
    rows: list[Row] = []
    for values in zip(*columns, strict=True):
        record = dict(zip(records.names, values, strict=True))
        try:
            row = mapper.row(_encoder.encode(record))
        except DecodeError as error:
            encoded.reject(error.reason, _shown(record), error.detail)
        except UnicodeEncodeError:
            encoded.reject("invalid_utf8", _shown(record), "text that is not UTF-8")
        except RecursionError:
            encoded.reject("too_deep", b"", "nested too deep to be encoded")
        else:
            if row is not None:
                rows.append(row)
    encoded.extend(rows)
    encoded.heartbeats += mapper.heartbeats


def _encode_columns(records: Records, columns: list[list[Any]], context: Context) -> Encoded | None:
    """The fast way; None unless every record has all core fields, each a text that is good."""
    if not records.texts.issuperset(CORE_FIELDS):
        return None
    fields = dict(zip(records.names, columns, strict=True))
    core = Core(*map(fields.pop, CORE_FIELDS))
    if not all(map(all, core[:-1])) or None in core.messages or heartbeats.KIND in fields.get("kind", ()):
        return None
    try:
        return encode_columns(_FORMAT, core, context, fields)
    except (DecodeError, UnicodeEncodeError, RecursionError):
        return None


def _shown(record: dict[str, object]) -> bytes:
    """A record as JSON, its text as it came: the bytes of the file say nothing without their schema."""
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogateescape")
