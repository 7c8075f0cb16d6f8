"""The rules of a door: what is rejected, what is left, and that the counts of a block follow."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from formats.record import Encoded, Row
from ingestd.schema.record import Limits, RecordRules, record_schema
from ingestd.schema.rules import UNCHECKED, All, OwnRules, ServiceRules
from ingestd.schema.schema import Schema
from tests.fakes import ManualClock

NOW_S = 1_795_176_000.0  # 2026-11-20T12:00:00Z
LIMITS = Limits("2000-01-01T00:00:00.000000Z", 60.0, 1_000)


def encoded(*records: dict[str, object], format: str = "json") -> Encoded:
    made = Encoded(format, [], levels={}, services=set(), rejects=[])
    rows = []
    for record in records:
        whole: dict[str, Any] = {
            "timestamp": "2026-11-20T12:00:00.000000Z",
            "level": "INFO",
            "service": "api",
            "message": "m",
            **record,
        }
        line = json.dumps(whole).encode() + b"\n"
        rows.append(Row(line, whole["timestamp"], whole["level"], whole["service"]))
    made.extend(rows)
    return made


def left(block: Encoded) -> list[Any]:
    return [json.loads(line) for line in b"".join(block.chunks).splitlines()]


def rules(limits: Limits = LIMITS) -> RecordRules:
    return RecordRules(limits, ManualClock(NOW_S))


class Named:
    """A name whose schema is set by hand."""

    name = "orders"

    def __init__(self, schema: Schema | None) -> None:
        self.schema = schema

    def __call__(self) -> Schema | None:
        return self.schema


def test_a_good_block_is_the_same_object() -> None:
    block = encoded({}, {"message": "x" * 900, "service": "s" * 255}, {"timestamp": LIMITS.min_timestamp})
    assert rules().check(block) is block
    assert UNCHECKED.check(block) is block
    empty = Encoded("json")
    assert rules().check(empty) is empty
    assert OwnRules(Named(Schema("s", False))).check(empty) is empty


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        (
            {"timestamp": "2026-11-20T12:01:00.000001Z"},
            "record /timestamp: rule schema.max_future: 2026-11-20T12:01:00.000001Z is later than "
            "2026-11-20T12:01:00.000000Z",
        ),
        (
            {"timestamp": "1999-12-31T23:59:59.999999Z"},
            "record /timestamp: rule schema.min_timestamp: 1999-12-31T23:59:59.999999Z is before "
            "2000-01-01T00:00:00.000000Z",
        ),
        ({"service": "s" * 256}, "record /service: rule /properties/service/maxLength: "),
        ({"message": "m" * 1_001}, "record /message: rule /properties/message/maxLength: "),
    ],
)
def test_a_record_that_breaks_a_default_rule_costs_only_itself(wrong: dict[str, object], detail: str) -> None:
    good = {"level": "WARN", "service": "db", "timestamp": "2026-11-20T11:00:00.000000Z", "n": 1}
    block = encoded({"n": 0}, wrong, good)
    block.reject("invalid_json", b"{", "before")
    after = rules().check(block)
    assert [record["n"] for record in left(after)] == [0, 1]
    assert (after.records, after.nbytes) == (2, len(b"".join(after.chunks)))
    assert (after.levels, after.services) == ({"INFO": 1, "WARN": 1}, {"api", "db"})
    assert (after.first, after.last) == ("2026-11-20T11:00:00.000000Z", "2026-11-20T12:00:00.000000Z")
    first, second = after.rejects
    assert first.reason == "invalid_json"
    assert second.reason == "schema"
    assert second.detail.startswith(detail)
    assert json.loads(second.data)["message"] == wrong.get("message", "m")


RECEIVED = {"received_at": "2026-11-20T12:00:00.000001Z"}
FUTURE = "2026-11-20T12:01:00.000001Z"
PAST = "1999-12-31T23:59:59.999999Z"


@pytest.mark.parametrize("format", ["syslog", "journald"])
def test_text_that_breaks_a_default_rule_is_put_right(format: str) -> None:
    long = "é" * 256
    block = encoded(
        {"n": 0},
        {"n": 1, "timestamp": FUTURE, "sd.a.b": [1.50, {}], **RECEIVED},
        {"n": 2, "service": long, "timestamp": PAST, "parse_error": 'invalid_utf8: "why"', **RECEIVED},
        {"n": 3, "service": long},
        format=format,
    )
    after = rules().check(block)
    good, late, both, named = left(after)
    assert good == left(block)[0]
    assert late == {
        **left(block)[1],
        "timestamp": RECEIVED["received_at"],
        "original.timestamp": FUTURE,
        "parse_error": f"schema: record /timestamp: rule schema.max_future: {FUTURE} is later than "
        "2026-11-20T12:01:00.000000Z",
    }
    assert both == {
        **left(block)[2],
        "timestamp": RECEIVED["received_at"],
        "service": "é" * 255,
        "original.timestamp": PAST,
        "original.service": long,
        "parse_error": f'invalid_utf8: "why"; schema: record /timestamp: rule schema.min_timestamp: {PAST} '
        f"is before {LIMITS.min_timestamp}; schema: record /service: rule /properties/service/maxLength: "
        "256 characters are more than 255",
    }
    assert (named["service"], named["original.service"]) == ("é" * 255, long)
    assert (after.format, after.records, after.rejects) == (format, 4, [])
    assert after.nbytes == len(b"".join(after.chunks))
    assert (after.first, after.last) == ("2026-11-20T12:00:00.000000Z", RECEIVED["received_at"])
    assert (after.levels, after.services) == ({"INFO": 4}, {"api", "é" * 255})
    assert rules().check(after) is after
    assert b"1.5," in after.chunks[0]


def test_text_too_long_to_be_kept_is_rejected_as_it_came() -> None:
    oversize = {"message": "m" * 1_001}
    block = encoded(oversize, {**oversize, "timestamp": FUTURE, **RECEIVED}, {"n": 2}, format="syslog")
    lines = b"".join(block.chunks).splitlines()
    after = rules().check(block)
    assert [record["n"] for record in left(after)] == [2]
    assert [reject.data for reject in after.rejects] == lines[:2]
    assert {reject.reason for reject in after.rejects} == {"schema"}


def test_own_rules_reject_text_too() -> None:
    both = All([rules(), OwnRules(Named(Schema("o", {"required": ["n"]})))])
    late = {"timestamp": FUTURE, **RECEIVED}
    after = both.check(encoded({"n": 1, **late}, late, format="syslog"))
    assert [record["n"] for record in left(after)] == [1]
    assert len(after.rejects) == 1


def test_a_large_block_of_good_messages_passes() -> None:
    block = encoded(*({"n": number, "message": "é" * 1_000} for number in range(50)))
    assert block.nbytes > LIMITS.max_message_chars
    assert rules().check(block) is block


def test_the_window_moves_with_the_clock() -> None:
    clock = ManualClock(NOW_S)
    checked = RecordRules(LIMITS, clock)
    late = encoded({"timestamp": "2026-11-20T12:02:00.000000Z"})
    assert checked.check(late).records == 0
    clock.now_s += 60
    assert checked.check(late) is late
    clock.now_s -= 60  # set back
    assert checked.check(late).records == 0


def test_a_window_without_end() -> None:
    block = encoded({"timestamp": "9999-12-31T23:59:59.999999Z"})
    assert rules(LIMITS._replace(max_future_s=1e12)).check(block) is block


def test_the_shipped_schema_is_compiled_and_takes_its_limit() -> None:
    assert Schema("record", record_schema(10)).is_compiled
    assert record_schema(10)["properties"]["message"]["maxLength"] == 10


@pytest.mark.parametrize("compiled", [True, False])
def test_own_rules(compiled: bool) -> None:
    schema: dict[str, Any] = {"required": ["n"]}
    named = Named(Schema("orders@1", schema if compiled else {"allOf": [schema]}))
    assert named.schema is not None
    assert named.schema.is_compiled is compiled
    own = OwnRules(named)
    good = encoded({"n": 0}, {"n": 1})
    assert own.check(good) is good
    after = own.check(encoded({"n": 0}, {"message": "without"}, {"n": 1}))
    assert [record["n"] for record in left(after)] == [0, 1]
    assert '"n" is a required property' in after.rejects[0].detail
    named.schema = Schema("orders@2", {"required": ["message"]})
    without = encoded({})
    assert own.check(without) is without


def test_a_schema_that_is_not_there_checks_nothing() -> None:
    block = encoded({})
    assert OwnRules(Named(None)).check(block) is block


def test_rules_of_services() -> None:
    by_service = ServiceRules(
        {"a": Named(Schema("a@1", {"required": ["x"]})), "b": Named(Schema("b@1", {"required": ["y"]}))}
    )
    other = encoded({"service": "c"}, {"service": "d"})
    assert by_service.check(other) is other
    alone = encoded({"service": "a", "x": 1})
    assert by_service.check(alone) is alone
    assert by_service.check(encoded({"service": "a"})).records == 0
    mixed = encoded(
        {"service": "a", "x": 1},
        {"service": "c"},
        {"service": "b", "x": 1},
        {"service": "a", "y": 1},
        {"service": "b", "y": 1},
    )
    after = by_service.check(mixed)
    assert [record["service"] for record in left(after)] == ["a", "c", "b"]
    assert [reject.detail[:3] for reject in after.rejects] == ["b@1", "a@1"]


def test_all_rules_hold() -> None:
    both = All([rules(), OwnRules(Named(Schema("o", {"required": ["n"]})))])
    after = both.check(encoded({"n": 1}, {}, {"n": 2, "service": "s" * 256}))
    assert [record["n"] for record in left(after)] == [1]
    assert len(after.rejects) == 2


def test_a_block_of_nothing_but_rejects_is_empty() -> None:
    after = rules().check(encoded({"service": "s" * 256}))
    assert (after.records, after.nbytes, after.first, after.last, after.chunks) == (0, 0, "", "", [])
    assert msgspec.structs.asdict(after)["levels"] == {}
