from __future__ import annotations

import pytest

from formats import FORMATS
from formats.batches import unpack
from formats.record import Enrichment
from formats.schemas.log_entry_pb2 import LogBatch, LogEntry
from ingestd.client.payload import shape_of, varint


@pytest.mark.parametrize("format_", ["json", "raw", "syslog"])
@pytest.mark.parametrize(
    "records",
    [[b"a", b"b"], [b"a\n", b"b\n"], [b"a", b"b\n"], [b"a\n", b"b"]],
    ids=["bare", "with LF", "mixed", "mixed the other way"],
)
def test_a_line_has_one_lf(format_: str, records: list[bytes]) -> None:
    join = shape_of(format_, None).join
    assert join is not None
    assert join(records) == b"a\nb\n"


def test_entries_follow_each_other() -> None:
    join = shape_of("journald", None).join
    assert join is not None
    assert join([b"MESSAGE=a\n\n", b"MESSAGE=b\n\n"]) == b"MESSAGE=a\n\nMESSAGE=b\n\n"


def test_protobuf_is_a_log_batch_behind_its_length() -> None:
    join = shape_of("protobuf", None).join
    assert join is not None
    entries = [LogEntry(message="x" * size) for size in (1, 200, 20_000)]
    payload = join([entry.SerializeToString() for entry in entries])
    body = LogBatch(entries=entries).SerializeToString()
    assert payload == varint(len(body)) + body
    assert unpack("protobuf", payload).count(b"x") == 20_201


def test_avro_by_schema_is_an_array() -> None:
    join = shape_of("avro", "logs").join
    assert join is not None
    assert join([b"\x02a", b"\x02b"]) == b"\x04\x02a\x02b\0"
    assert join([b"x"] * 100) == b"\xc8\x01" + b"x" * 100 + b"\0"


def test_avro_without_a_schema_has_no_single_records() -> None:
    assert shape_of("avro", None).join is None


@pytest.mark.parametrize("format_", ["json", "raw", "syslog"])
def test_an_empty_line_is_no_record(format_: str) -> None:
    """What `_lines` relies on."""
    join = shape_of(format_, None).join
    assert join is not None
    record = b"{}" if format_ == "json" else b"<13>text"
    payload = join([record, record + b"\n", record])
    assert payload.count(b"\n") == 4
    context = Enrichment({}).at("2026-11-20T12:00:00.000000Z", "unknown")
    framer = FORMATS[format_].framer(1_000)
    encoded = FORMATS[format_].encode(framer.feed(payload), context)
    assert [(block.records, block.rejects) for block in encoded] == [(3, [])]
