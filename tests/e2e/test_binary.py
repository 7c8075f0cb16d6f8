"""Protobuf and Avro end to end: by header line, through TLS, with neighbours of what is refused stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from formats.schemas.log_entry_pb2 import LogEntry
from tests.daemon import Daemon
from tests.formats.binary import block, frame, header, zigzag

SCHEMA = {"type": "record", "name": "Log", "fields": [{"name": "message", "type": "string"}]}


@pytest.fixture
def daemon(tmp_path: Path, certs: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, certs, **{"limits.max_record_bytes": 2000}) as daemon:
        yield daemon


def entry(message: str, **fields: object) -> bytes:
    return frame(LogEntry(message=message, **fields).SerializeToString())


def texts(*messages: str) -> bytes:
    data = b"".join(zigzag(len(message.encode())) + message.encode() for message in messages)
    return block(len(messages), data, "deflate")


def test_protobuf(daemon: Daemon) -> None:
    good = [entry(f"pb {index}", run="r", seq=index + 1, level="error") for index in range(500)]
    bad = [frame(b"bad"), entry("x" * 3000), entry("y", level="loud")]
    daemon.send(b"INGEST/1 protobuf\n" + b"".join([*good[:250], *bad, *good[250:]]) + b"\x05cut")
    totals = daemon.wait_settled(504)
    assert (totals["written"], totals["rejected"]) == (500, 4)
    records = daemon.records()
    assert [record["seq"] for record in records] == list(range(1, 501))
    assert {(record["level"], record["format"], record["run"]) for record in records} == {
        ("ERROR", "protobuf", "r")
    }
    reasons = {reject["reason"] for reject in daemon.rejects()}
    assert reasons == {"invalid_protobuf", "oversize", "invalid_level", "truncated"}


def test_avro(daemon: Daemon) -> None:
    sent = header(SCHEMA, "deflate") + texts("one", "two") + texts("x" * 1500) + block(1, b"\x09", "deflate")
    daemon.send(
        b"INGEST/1 avro\n"
        + sent
        + header(SCHEMA)
        + block(1, b"\x0athree")
        + block(1, b"\xa0\x1f" + b"y" * 2000)
    )
    totals = daemon.wait_settled(6)
    assert (totals["written"], totals["rejected"]) == (4, 2)
    assert [record["message"][:5] for record in daemon.records()] == ["one", "two", "xxxxx", "three"]
    assert {record["format"] for record in daemon.records()} == {"avro"}
    assert {reject["reason"] for reject in daemon.rejects()} == {"invalid_avro", "oversize"}


@pytest.mark.parametrize(
    ("format_", "sent", "says"),
    [
        ("protobuf", entry("kept") + b"\xff" * 11, b"varint"),
        ("avro", header(SCHEMA) + block(1, b"\x08kept")[:-16] + b"?" * 16, b"sync marker"),
        ("avro", header("string"), b"not one of a record"),
    ],
)
def test_a_lost_boundary_is_told_and_closed(daemon: Daemon, format_: str, sent: bytes, says: bytes) -> None:
    with daemon.connect() as sock:
        sock.sendall(b"INGEST/1 " + format_.encode() + b"\n" + sent)
        answer = sock.recv(4096)
        assert answer.startswith(b"ERR ") and says in answer
        while sock.recv(4096):
            pass
    totals = daemon.wait_settled(1)
    assert totals["rejected"] == 1
    assert totals["written"] == (1 if format_ == "protobuf" else 0)
