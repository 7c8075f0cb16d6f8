"""A batch: a payload that holds whole records, as a client with acknowledgements sends it, made a stream again.

A payload is what a stream of its format would be, but for two formats, whose messages have a batch form of their own:

    protobuf    varint length | LogBatch                one message that holds all entries
    avro        array of records, by a schema that both sides know: blocks of  count [size] items,  ended by 0
                https://avro.apache.org/docs/1.12.0/specification/#arrays-1     (or a container file, as in a stream)

The last record of a payload needs no delimiter: the batch ends with it.
"""

from __future__ import annotations

import json

from formats.avro_container import MAGIC, SYNC_BYTES, read_long
from formats.delimited import read_length
from formats.errors import FrameError

_ENTRIES_TAG = 0x0A  # of LogBatch: field 1, bytes
_SYNC = bytes(SYNC_BYTES)


def unpack(format: str, payload: bytes, avro_schema: bytes = b"") -> bytes:
    """The stream that a payload stands for. `avro_schema`, JSON, is that of an array's records.

    Raises FrameError where the payload is not what the format's batches are.
    """
    if format == "protobuf":
        return _entries(payload)
    if format == "avro" and avro_schema:
        return _container(payload, avro_schema)
    return payload


def _entries(payload: bytes) -> bytes:
    """The entries of a LogBatch, each behind its length; unknown fields are no entries and refused."""
    try:
        size, position = read_length(payload, 0)
    except IndexError:
        raise FrameError("invalid_frame", "a batch ends within its length") from None
    if position + size != len(payload):
        raise FrameError(
            "invalid_frame", f"a LogBatch of {size} bytes in a batch with room for {len(payload) - position}"
        )
    entries = []
    while position < len(payload):
        if payload[position] != _ENTRIES_TAG:
            raise FrameError(
                "invalid_protobuf", f"not a LogBatch: tag {payload[position]} at byte {position}"
            )
        start = position + 1
        try:
            length, body = read_length(payload, start)
        except IndexError:
            raise FrameError("invalid_frame", "a LogBatch ends within a length") from None
        position = body + length
        entries.append(payload[start:position])
    if position > len(payload):
        raise FrameError("invalid_frame", "a LogBatch ends within an entry")
    return b"".join(entries)


def _container(payload: bytes, schema: bytes) -> bytes:
    """An array of records as a container file: its blocks are an array's, each with its size and a sync marker."""
    head = MAGIC + _long(1) + _text(b"avro.schema") + _text(schema) + b"\0" + _SYNC
    blocks = []
    try:
        count, position = read_long(payload, 0)
        while count:
            if count < 0:
                size, position = read_long(payload, position)
                end = position + size
                if size < 0 or end >= len(payload):
                    raise FrameError(
                        "invalid_avro", f"an array's block of {size} bytes in a batch of {len(payload)}"
                    )
            else:  # of unknown size: then it must be the last
                end = len(payload) - 1
            blocks.append(b"".join((_long(abs(count)), _long(end - position), payload[position:end], _SYNC)))
            count, position = read_long(payload, end)
    except IndexError:
        raise FrameError(
            "invalid_avro", "an array without its end, or with several blocks of unknown size"
        ) from None
    except ValueError as error:
        raise FrameError("invalid_avro", f"an array of {error}") from None
    if position != len(payload):
        raise FrameError("invalid_avro", f"{len(payload) - position} bytes behind the end of an array")
    return head + b"".join(blocks)


def _text(data: bytes) -> bytes:
    return _long(len(data)) + data


def _long(value: int) -> bytes:
    """A zigzag varint of a number that is not negative."""
    value <<= 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def array_schema(text: str) -> bytes:
    """The schema of an array's records; `text` is that of the records or of the array. ValueError if neither."""
    schema = json.loads(text)
    if isinstance(schema, dict) and schema.get("type") == "array":
        schema = schema.get("items")
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise ValueError("no schema of records")
    return json.dumps(schema, separators=(",", ":")).encode()
