"""One schema: what it says of a record, and which fields it need not name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from formats.record import DETAIL_LIMIT
from ingestd.schema.rules import failures
from ingestd.schema.schema import Schema, Source, UnusableSchemaError

OWN = ("hostname", "timestamp")


def of(value: Any, *references: tuple[str, str]) -> Schema:
    return Schema.of(
        Source("orders", 3, value if isinstance(value, str) else json.dumps(value), references), OWN
    )


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


@pytest.mark.parametrize("more", [{}, {"minProperties": 1}], ids=["compiled", "not compiled"])
def test_path_and_rule_of_a_failure(more: dict[str, int]) -> None:
    schema = of(
        {"properties": {"a/b": {"type": "array", "items": {"type": "integer", "maximum": 3}}}, **more}
    )
    assert schema.is_compiled is not bool(more)
    assert schema.why_not(line(**{"a/b": [1, 2]})) == ""
    assert schema.why_not(line(**{"a/b": [1, 5]})) == (
        "orders@3 /a~1b/1: rule /properties/a~1b/items/maximum: 5 is greater than the maximum of 3"
    )
    assert schema.admits(line(x=1) + line(**{"a/b": [3]})) is schema.is_compiled
    assert not schema.admits(line(x=1) + line(**{"a/b": [4]}))


def test_what_a_struct_refuses_and_the_schema_admits_is_good() -> None:
    schema = of({"properties": {"n": {"type": "integer"}}})
    assert schema.is_compiled
    assert not schema.admits(line(n=1.0))
    assert schema.why_not(line(n=1.0)) == ""


@pytest.mark.parametrize(
    "schema",
    [
        {"additionalProperties": False, "properties": {"a": {"type": "integer"}}},
        {"additionalProperties": {"type": "integer"}},
        {"unevaluatedProperties": False, "properties": {"a": True}},
        {
            "$ref": "#/$defs/order",
            "$defs": {"order": {"additionalProperties": False, "properties": {"a": True}}},
        },
        {"allOf": [{"additionalProperties": False, "properties": {"a": True}}]},
    ],
)
def test_a_closed_schema_admits_what_the_daemon_adds_and_nothing_else(schema: dict[str, Any]) -> None:
    made = of(schema)
    assert made.why_not(line(a=1, hostname="h", timestamp="t")) == ""
    assert made.why_not(line(a=1, hostname="h", other="o")).startswith("orders@3 /")


def test_a_rule_for_a_field_of_the_daemon_holds() -> None:
    schema = of({"additionalProperties": False, "properties": {"hostname": {"const": "h"}}})
    assert schema.why_not(line(hostname="h")) == ""
    assert schema.why_not(line(hostname="i")).startswith(
        "orders@3 /hostname: rule /properties/hostname/const: "
    )


def test_references() -> None:
    schema = of({"$ref": "id.json"}, ("id.json", '{"required":["id"]}'))
    assert schema.why_not(line(id=1)) == ""
    assert '"id" is a required property' in schema.why_not(line())


@pytest.mark.parametrize(
    "text", ["", "{", "3", '{"type":"strin"}', '{"$ref":"http://127.0.0.1:9/x"}', "[" * 10_000]
)
def test_what_is_no_schema(text: str) -> None:
    with pytest.raises(UnusableSchemaError):
        of(text)


def test_hostile_records_are_told_shortly() -> None:
    schema = of({"additionalProperties": {"type": "integer"}, "minProperties": 1})
    for record in (
        line(**{"k" * 100_000: "v" * 100_000}),
        b'{"a":"\\ud800"}\n',
        b'{"a":' + b"1" * 5_000 + b"}\n",
        b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}\n",
        b'{"a":1e999}\n',
    ):
        (why,) = failures(schema, [record]).values()
        assert why.startswith("orders@3 ")
        assert len(why) <= DETAIL_LIMIT
        why.encode()
