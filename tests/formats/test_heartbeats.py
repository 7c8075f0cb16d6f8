"""Heartbeats: told apart in every format that has fields, and nothing else taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from formats import FORMATS
from formats.cores import ALL_COLUMNS
from formats.heartbeats import Heartbeat
from formats.record import Encoded, Enrichment
from formats.schemas.log_entry_pb2 import LogEntry
from tests.formats.harness import CONTEXT, RECEIVED_AT, check

SENT: dict[str, Any] = {
    "timestamp": "2026-11-20T12:00:00.000000Z",
    "level": "INFO",
    "service": "api",
    "message": "alive",
    "kind": "heartbeat",
    "node": "node-1",
    "interval": 10,
    "version": "1.2.3",
}
HEARD = Heartbeat("node-1", "api", "2026-11-20T12:00:00.000000Z", 10.0, "1.2.3")
RECORD = {**SENT, "kind": "request"}


def encode(*records: object, format_: str = "json", store: bool = False) -> Encoded:
    """What becomes of some JSON lines; all that is made in one."""
    fields = {"hostname": b'"vm"'}
    context = Enrichment(fields, stores_heartbeats=store).at(RECEIVED_AT, "unknown", ALL_COLUMNS)
    return joined(FORMATS[format_].encode(b"".join(map(line, records)), context))


def line(record: object) -> bytes:
    return (record if isinstance(record, bytes) else json.dumps(record).encode()) + b"\n"


def joined(made: list[Encoded]) -> Encoded:
    for encoded in made:
        check(encoded)
    whole = Encoded(made[0].format)
    for encoded in made:
        whole.append(encoded)
    return whole


@pytest.mark.parametrize("format_", ["json", "auto"])
@pytest.mark.parametrize("around", [0, 1, 200])
def test_it_is_told_and_is_no_record(format_: str, around: int) -> None:
    encoded = encode(*[RECORD] * around, SENT, *[RECORD] * around, format_=format_)
    assert encoded.heartbeats == [HEARD]
    assert encoded.records == 2 * around
    assert not encoded.rejects


def test_it_is_a_record_too_where_these_are_stored() -> None:
    encoded = encode(RECORD, SENT, store=True)
    assert encoded.heartbeats == [HEARD]
    stored = [json.loads(line) for line in b"".join(encoded.chunks).splitlines()]
    assert [record["kind"] for record in stored] == ["request", "heartbeat"]
    assert stored[1].items() >= SENT.items()


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"node": None, "hostname": "h", "host": "x"}, {"node": "h"}),
        ({"node": "", "host": "x"}, {"node": "x"}),
        ({"node": None}, {"node": ""}),
        ({"interval": "1m30s"}, {"interval_s": 90.0}),
        ({"interval": "500ms"}, {"interval_s": 0.5}),
        ({"interval": 2.5}, {"interval_s": 2.5}),
        ({"interval": None, "version": None}, {"interval_s": 0.0, "version": ""}),
        ({"service": None}, {"service": "unknown"}),
        ({"timestamp": None}, {"timestamp": RECEIVED_AT}),
        ({"timestamp": 1}, {"timestamp": "1970-01-01T00:00:01.000000Z"}),
        ({"level": "nonsense", "severity": 1}, None),
    ],
)
def test_what_it_may_say(change: dict[str, object], wanted: dict[str, object] | None) -> None:
    encoded = encode(SENT | change)
    if wanted is None:  # a heartbeat, but no good record in other respects: its fate is that of any
        assert [reject.reason for reject in encoded.rejects] == ["invalid_level"]
        assert not encoded.heartbeats
    else:
        assert encoded.heartbeats == [HEARD._replace(**wanted)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Heartbeat"},
        {"kind": "heartbeats"},
        {"kind": 1},
        {"kind": 1.5},
        {"kind": 10**30},
        {"kind": None},
        {"kind": ["heartbeat"]},
        {"kind": {"heartbeat": [1]}},
        {"kind": "heartbeat\n"},
        {"node": 5},
        {"node": "x" * 256},
        {"version": "x" * 256},
        {"version": []},
        {"interval": -1},
        {"interval": "soon"},
        {"interval": "999999999d"},
        {"interval": 1e300},
        {"interval": True},
    ],
)
def test_what_is_none_is_a_record(change: dict[str, object]) -> None:
    encoded = encode(SENT | change)
    assert not encoded.heartbeats
    assert encoded.records == 1
    stored = json.loads(b"".join(encoded.chunks))
    assert stored.items() >= (SENT | change).items()


def test_an_escape_and_a_name_given_twice_are_seen_through() -> None:
    text = json.dumps(SENT).encode()
    assert encode(text.replace(b"heartbeat", b"heart\\u0062eat")).heartbeats == [HEARD]
    assert encode(text.replace(b'"kind"', b'"kind": 1, "kind"')).heartbeats == [HEARD]
    assert not encode(text.replace(b'"node"', b'"kind": 1, "node"')).heartbeats


def test_it_is_seen_beside_a_field_of_enrichment_of_that_name() -> None:
    context = Enrichment({"kind": b'"added"'}).at(RECEIVED_AT, "unknown")
    block = b"".join(map(line, [RECORD, SENT, RECORD]))
    (encoded,) = FORMATS["json"].encode(block, context)
    assert encoded.heartbeats == [HEARD]
    assert encoded.records == 2


def entry(record: dict[str, Any]) -> bytes:
    own = {name: record[name] for name in ("timestamp", "level", "service", "message")}
    attributes = {name: str(value) for name, value in record.items() if name not in own}
    attributes["interval"] = "10s"
    message = LogEntry(**own, attributes=attributes).SerializeToString()
    return bytes([len(message) & 0x7F | 0x80, len(message) >> 7]) + message


@pytest.mark.parametrize("around", [0, 1, 100])
def test_it_is_seen_among_attributes(around: int) -> None:
    frames = [entry(RECORD)] * around
    encoded = joined(FORMATS["protobuf"].encode(b"".join([*frames, entry(SENT), *frames]), CONTEXT))
    assert encoded.heartbeats == [HEARD]
    assert encoded.records == 2 * around
    assert not encoded.rejects


def test_a_malformed_one_among_attributes_is_a_record() -> None:
    encoded = joined(FORMATS["protobuf"].encode(entry(SENT | {"version": "x" * 256}), CONTEXT))
    assert not encoded.heartbeats
    assert json.loads(b"".join(encoded.chunks))["kind"] == "heartbeat"
