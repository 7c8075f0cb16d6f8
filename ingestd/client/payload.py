"""Records made into the payload of a batch, as each format has it (docs/wire.md).

    json, raw, syslog    lines, each with its LF
    journald             entries of the export format, each with the empty line that ends it
    protobuf             varint length | LogBatch, of serialised LogEntry messages
    avro with a schema   one array block of binary records:  count | records | 0
    avro without         an object container file, which is a payload as it is: only `send_many` takes it

A batch is joined by one call in C for all formats but Protobuf. What is handed over is taken as it is: whether it is
good is for the server to say, record by record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

Join = Callable[[Sequence[bytes]], bytes]

LF: Final = b"\n"
_ENTRIES_TAG: Final = b"\x0a"  # LogBatch.entries: field 1, length-delimited


class Shape(NamedTuple):
    """How one format's records become a payload. `block_tail`: what ends a block that can be joined like a record.

    `join` None: there are no single records. `block_tail` None: a block is a payload of its own.
    """

    join: Join | None
    block_tail: bytes | None = None


def shape_of(format_: str, schema: str | None) -> Shape:
    """The shape of a format's payloads."""
    if format_ == "avro" and schema is not None:
        return _AVRO_ARRAY
    return _SHAPES[format_]


def varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; the high bit says that more follow."""
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def _lines(records: Sequence[bytes]) -> bytes:
    """A LF behind each record.

    Most senders leave it out always or never, so the first record and the last speak for all. Where they do not, there
    is an empty line or two, which are no records in any of these formats.
    """
    if records[0].endswith(LF) or records[-1].endswith(LF):
        records = [record.removesuffix(LF) for record in records]
    return LF.join(records) + LF


def _log_batch(records: Sequence[bytes]) -> bytes:
    body = b"".join([_ENTRIES_TAG + varint(len(record)) + record for record in records])
    return varint(len(body)) + body


def _array(records: Sequence[bytes]) -> bytes:
    """One block with its count (a zigzag long) and the empty block that ends an array."""
    return varint(len(records) << 1) + b"".join(records) + b"\0"


_LINES: Final = Shape(_lines, LF)
_AVRO_ARRAY: Final = Shape(_array)
_SHAPES: Final = {
    "json": _LINES,
    "raw": _LINES,
    "syslog": _LINES,
    "journald": Shape(b"".join, b""),
    "protobuf": Shape(_log_batch),
    "avro": Shape(None),
}
