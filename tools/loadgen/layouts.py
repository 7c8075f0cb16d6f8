"""How a record looks in each format, all of the same levels, services and texts: LAYOUTS, one entry a format.

    json      NDJSON; the standard record
    raw       2026-11-20 12:00:00,123 ERROR api: text
    syslog    RFC 5424, facility local0, no structured data; LF between messages (RFC 6587, 3.4.2)
    protobuf  LogEntry behind its length, all fields but `attributes`, as the standard record has none
    avro      an object container file, codec null, in blocks of about 64 KB
    journald  the export format, twelve fields

Run and sequence are fields of their own in json, protobuf and avro; elsewhere they end the text, `run=ab12cd34
seq=1000000000`. `mixed` is no layout: each connection takes the next one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from tools.loadgen.fields import (
    DECIMAL,
    EPOCH_US,
    FIRST_SEQ,
    LOG4J,
    RFC_3339,
    VARINT,
    ZIGZAG,
    SeqForm,
    Stamp,
    varint,
    zigzag,
)
from tools.loadgen.text import SERVICES

BLOCK_RECORDS = 2_400
"""Most records of one rendered block: about 400 KB, which stays in a core's cache."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What records sent as datagrams weigh with a run id of 8, on average and at most."""

    mean_bytes: int
    longest_bytes: int


@dataclass(frozen=True, slots=True)
class Layout:
    """One format. `record` renders level, service, message and run, with the marks of `stamp` and `seq` in place.

    `marker` is the kind of marker that its records have once stored (see `scan`). Without a `weight`, records are as
    long as they are, and cannot be cut into datagrams. `preamble` opens each connection. `wrap` gives what goes before
    and after a block of so many records and bytes.
    """

    record: Callable[[str, str, str, str], bytes]
    marker: str
    stamp: Stamp
    seq: SeqForm = DECIMAL
    weight: Weight | None = None
    preamble: bytes = b""
    wrap: Callable[[int, int], tuple[bytes, bytes]] | None = None
    block_records: int = BLOCK_RECORDS


def _json(level: str, service: str, message: str, run: str) -> bytes:
    return (
        f'{{"timestamp":"{RFC_3339.mark.decode()}","level":"{level}","service":"{service}",'
        f'"message":"{message}","run":"{run}","seq":{FIRST_SEQ}}}\n'
    ).encode()


def _raw(level: str, service: str, message: str, run: str) -> bytes:
    return f"{LOG4J.mark.decode()} {level} {service}: {message} run={run} seq={FIRST_SEQ}\n".encode()


_SEVERITIES = {"ERROR": 3, "WARN": 4, "INFO": 6, "DEBUG": 7}
_LOCAL0 = 16 * 8


def _syslog(level: str, service: str, message: str, run: str) -> bytes:
    return (
        f"<{_LOCAL0 + _SEVERITIES[level]}>1 {RFC_3339.mark.decode()} web1 {service} - - - "
        f"{message} run={run} seq={FIRST_SEQ}\n"
    ).encode()


_BOOT_ID = hashlib.md5(b"boot", usedforsecurity=False).hexdigest()
_SEQNUM_ID = hashlib.md5(b"seqnum", usedforsecurity=False).hexdigest()


def _journald(level: str, service: str, message: str, run: str) -> bytes:
    noise = hashlib.md5(
        message.encode(), usedforsecurity=False
    ).hexdigest()  # what differs from entry to entry
    return (
        f"__CURSOR=s={_SEQNUM_ID};i={noise[:6]};b={_BOOT_ID};m={noise[6:14]};t=647{noise[14:24]};x={noise[16:]}\n"
        f"__REALTIME_TIMESTAMP={EPOCH_US.mark.decode()}\n"
        f"__MONOTONIC_TIMESTAMP={86_400_000_000 + int(noise[:8], 16)}\n"
        f"_BOOT_ID={_BOOT_ID}\n"
        "_TRANSPORT=stdout\n"
        f"PRIORITY={_SEVERITIES[level]}\n"
        f"SYSLOG_IDENTIFIER={service}\n"
        f"_PID={1000 + 37 * SERVICES.index(service)}\n"
        "_UID=998\n"
        f"_SYSTEMD_UNIT={service}.service\n"
        "_HOSTNAME=web1\n"
        f"MESSAGE={message} run={run} seq={FIRST_SEQ}\n\n"
    ).encode()


def _protobuf(level: str, service: str, message: str, run: str) -> bytes:
    """Fields 1 to 4, 6 and 7 of formats/schemas/log_entry.proto, behind the length of them all."""
    entry = bytearray()
    for number, value in ((1, RFC_3339.mark), (2, level), (3, service), (4, message), (6, run)):
        octets = value if isinstance(value, bytes) else value.encode()
        entry += varint(number << 3 | 2) + varint(len(octets)) + octets
    entry += varint(7 << 3) + VARINT.first
    return varint(len(entry)) + bytes(entry)


_ENTRIES_TAG = varint(1 << 3 | 2)  # of LogBatch

AVRO_SCHEMA = {
    "type": "record",
    "name": "LogEntry",
    "namespace": "ingestd.v1",
    "fields": [
        {"name": name, "type": "string"} for name in ("timestamp", "level", "service", "message", "run")
    ]
    + [{"name": "seq", "type": "long"}],
}
_SYNC = hashlib.md5(b"loadgen", usedforsecurity=False).digest()
_AVRO_BLOCK_RECORDS = 600  # 64 KB, after which Java's writer begins a new block


def _avro_text(text: bytes) -> bytes:
    return zigzag(len(text)) + text


def _avro(level: str, service: str, message: str, run: str) -> bytes:
    texts = (RFC_3339.mark, level.encode(), service.encode(), message.encode(), run.encode())
    return b"".join(map(_avro_text, texts)) + ZIGZAG.first


def _avro_header() -> bytes:
    """The header of an object container file: magic, one block of two entries, its end, the sync marker."""
    schema = json.dumps(AVRO_SCHEMA, separators=(",", ":")).encode()
    entries = (b"avro.schema", schema, b"avro.codec", b"null")
    return b"Obj\x01" + zigzag(len(entries) // 2) + b"".join(map(_avro_text, entries)) + b"\0" + _SYNC


def _avro_block(records: int, size_bytes: int) -> tuple[bytes, bytes]:
    return zigzag(records) + zigzag(size_bytes), _SYNC


LAYOUTS: dict[str, Layout] = {
    "json": Layout(_json, "json", RFC_3339, weight=Weight(170, 180)),
    "raw": Layout(_raw, "raw", LOG4J, weight=Weight(109, 140)),
    "syslog": Layout(_syslog, "raw", RFC_3339, weight=Weight(123, 150)),
    "protobuf": Layout(_protobuf, "json", RFC_3339, VARINT),
    "avro": Layout(
        _avro,
        "json",
        RFC_3339,
        ZIGZAG,
        preamble=_avro_header(),
        wrap=_avro_block,
        block_records=_AVRO_BLOCK_RECORDS,
    ),
    "journald": Layout(_journald, "raw", EPOCH_US),
}

BATCH_LAYOUTS = LAYOUTS | {
    "protobuf": replace(
        LAYOUTS["protobuf"],
        record=lambda *words: _ENTRIES_TAG + _protobuf(*words),
        wrap=lambda _, size_bytes: (varint(size_bytes), b""),
    )
}
"""The same where a block is the payload of a numbered batch (with `preamble` before it): for Protobuf, a LogBatch."""

MIXED = "mixed"
FORMATS = (*LAYOUTS, MIXED)
"""What a run may be asked to send."""
DATAGRAM_FORMATS = tuple(name for name, layout in LAYOUTS.items() if layout.weight)


def formats_of(name: str) -> tuple[str, ...]:
    """The formats that a run sends: connection i takes the one at i, counted round."""
    return tuple(LAYOUTS) if name == MIXED else (name,)
