"""Container files for the tests of Avro's kernel, and whether it takes them."""

from __future__ import annotations

import io
from typing import Any

import fastavro

from formats import avro
from formats.record import Context
from tests.formats.harness import CONTEXT

TIMESTAMP = "2026-11-20T12:00:00.000001Z"
ROW = {"timestamp": TIMESTAMP, "level": "INFO", "service": "api", "message": "m"}
CORE = dict.fromkeys(ROW, "string")
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
LEVEL = {"type": "enum", "name": "Level", "symbols": ["TRACE", "debug", "Information", "WARNING", "ERR"]}


def of(**types: Any) -> dict[str, Any]:
    """The schema of a record with these fields."""
    fields = [{"name": name, "type": each} for name, each in types.items()]
    return {"type": "record", "name": "Log", "fields": fields}


def written(schema: Any, rows: list[dict[str, Any]], codec: str = "null", block_bytes: int = 16_000) -> bytes:
    """A container file made by the reference encoder."""
    file = io.BytesIO()
    fastavro.writer(file, schema, rows, codec=codec, sync_interval=block_bytes)
    return file.getvalue()


def own(type_: Any, *values: Any) -> bytes:
    """Records with a field of their own, of each of these values."""
    return written(of(**CORE, own=type_), [ROW | {"own": value} for value in values])


def core(**values: Any) -> bytes:
    return written(of(**CORE), [ROW, ROW | values, ROW])


def takes(data: bytes, context: Context = CONTEXT) -> list[bool]:
    """Of each block of a file, whether the kernel takes it."""
    head, position = avro.read_header(data, 0)
    records = avro._check(head)
    taken = []
    while position < len(data):
        part = avro.read_block(data, position, head.sync)
        position = part.end
        plain = avro._decompress(part.data, head.codec)
        taken.append(avro._encode_compiled(records, plain, part.records, context) is not None)
    return taken


PLAIN = b"\x36" + TIMESTAMP.encode() + b"\x08INFO\x06api\x02m"  # ROW


def files(data: bytes) -> list[bytes]:
    starts = [at for at in range(len(data)) if data.startswith(b"Obj\x01", at)]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]
