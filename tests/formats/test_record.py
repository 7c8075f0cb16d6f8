"""Enrichment rendered to bytes, and the tallies of a block."""

import json

import pytest

from formats.record import REASONS, Encoded, Enrichment, Row

FIELDS = {"hostname": b'"vm"', 'odd "name\\": ': b"[1, 2]"}
RECEIVED_AT = "2026-11-20T12:00:00.000001Z"


def test_prefix_and_values_say_the_same() -> None:
    context = Enrichment(FIELDS).at(RECEIVED_AT, "unknown")
    wanted = {"hostname": "vm", 'odd "name\\": ': [1, 2], "format": "json", "received_at": RECEIVED_AT}
    assert json.loads(b"{" + context.prefix("json") + b'"x":1}') == wanted | {"x": 1}
    assert {name: json.loads(value) for name, value in context.values("json").items()} == wanted
    assert context.prefix("raw") == context.prefix("json").replace(b"json", b"raw")
    assert context.enrichment.keys == set(wanted)


def test_prefix_of_the_plain_form() -> None:
    context = Enrichment({"hostname": b'"vm"'}).at(RECEIVED_AT, "unknown")
    assert context.prefix("json") == (
        b'"hostname":"vm","format":"json","received_at":"2026-11-20T12:00:00.000001Z",'
    )


@pytest.mark.parametrize(
    "carried", [{"hostname"}, {"format"}, {"received_at"}, {"received_at", "hostname"}, {"unrelated"}]
)
def test_prefix_leaves_out_what_is_carried(carried: set[str]) -> None:
    context = Enrichment(FIELDS).at(RECEIVED_AT, "unknown")
    rendered = json.loads(b"{" + context.prefix("json", frozenset(carried)) + b'"x":1}')
    assert set(rendered) == {*FIELDS, "format", "received_at", "x"} - carried


def test_prefix_may_be_empty() -> None:
    context = Enrichment({}).at(RECEIVED_AT, "unknown")
    assert context.prefix("json", frozenset({"format", "received_at"})) == b""


@pytest.mark.parametrize("name", ["timestamp", "level", "service", "message", "format", "received_at"])
def test_enrichment_cannot_be_a_field_of_the_record(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Enrichment({name: b'"x"'})


@pytest.mark.parametrize("value", [b"", b"text", b'"open', b'"a"\n', b"\xff", b'"\xff"', b"[" * 10**5])
def test_enrichment_must_be_a_line_of_json(value: bytes) -> None:
    with pytest.raises(ValueError, match="hostname"):
        Enrichment({"hostname": value})


def test_encoded_adds_up() -> None:
    encoded = Encoded("json")
    encoded.extend([])
    encoded.append(Encoded("json"))
    assert encoded == Encoded("json")
    rows = [Row(b"1\n", "t2", "INFO", "a"), Row(b"22\n", "t1", "WARN", "b"), Row(b"3\n", "t3", "INFO", "a")]
    encoded.extend(rows[:2])
    other = Encoded("json")
    other.extend(rows[2:])
    other.reject("invalid_json", b"x", "y" * 1000)
    encoded.append(other)
    assert b"".join(encoded.chunks) == b"1\n22\n3\n"
    assert (encoded.nbytes, encoded.records) == (7, 3)
    assert encoded.levels == {"INFO": 2, "WARN": 1}
    assert encoded.services == {"a", "b"}
    assert (encoded.first, encoded.last) == ("t1", "t3")
    assert encoded.rejects == [("invalid_json", b"x", "y" * 200)]


def test_reasons_are_labels() -> None:
    assert len(set(REASONS)) == len(REASONS)
    assert all(reason.replace("_", "").isalnum() and reason.islower() for reason in REASONS)
