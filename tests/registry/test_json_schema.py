"""JSON schemas: what is accepted, that nothing is fetched, and which changes admit all that was admitted before."""

from __future__ import annotations

import json
import socket

import pytest

from ingestd.registry import json_schema
from ingestd.registry.errors import SchemaError
from ingestd.registry.parsed import Source

INT = {"type": "integer"}
TEXT = {"type": "string"}


def form(schema: object) -> json_schema.JsonSchema:
    parsed: json_schema.JsonSchema = json_schema.parse(json.dumps(schema), ()).form
    return parsed


def closed(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


@pytest.mark.parametrize(
    "schema",
    [
        "true",
        "{}",
        '{"$schema":"http://json-schema.org/draft-04/schema#","id":"http://example.org/x","type":"object"}',
        '{"$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"#/$defs/a","$defs":{"a":{"type":"null"}}}',
        '{"properties":{"next":{"$ref":"#"}}}',
    ],
)
def test_accepted(schema: str) -> None:
    assert json_schema.parse(schema, ()).text == schema


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "[]",
        "1",
        '{"type":"int"}',
        '{"$ref":"#/definitions/none"}',
        '{"$ref":"none.json"}',
        '{"$schema":"http://example.org/other"}',
        '{"pattern":"("}',
        '{"pattern":"(a)\\\\1"}',
        '{"minimum":NaN}',
        '{"not":' * 900 + "{}" + "}" * 900,
    ],
)
def test_refused(schema: str) -> None:
    with pytest.raises(SchemaError):
        json_schema.parse(schema, ())


def test_nothing_is_ever_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x.json"
        for references in ((), [Source("a.json", json.dumps({"$ref": url}))]):
            with pytest.raises(SchemaError):
                json_schema.parse(json.dumps({"$ref": url if not references else "a.json"}), references)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_reference_is_found_by_its_name() -> None:
    sources = [
        Source("id.json", json.dumps(INT)),
        Source("order.json", '{"properties":{"id":{"$ref":"id.json"}}}'),
    ]
    parsed = json_schema.parse('{"$ref":"order.json"}', sources)
    assert json_schema.why_not(form({"properties": {"id": INT}}), parsed.form) == []
    assert json_schema.why_not(parsed.form, form({})) != []


@pytest.mark.parametrize(
    ("reader", "writer", "readable"),
    [
        (closed(a=INT, b=TEXT), closed(a=INT), True),
        (closed(a=INT), closed(a=INT, b=TEXT), False),
        ({"properties": {"a": INT}}, {}, False),
        (closed(a=INT), closed(a=INT) | {"required": ["a"]}, True),
        (closed(a=INT) | {"required": ["a"]}, closed(a=INT), False),
        (closed(a={"type": ["integer", "string"]}), closed(a=INT), True),
        ({"type": "number"}, INT, True),
        (TEXT | {"maxLength": 10}, TEXT | {"maxLength": 5}, True),
        (TEXT | {"maxLength": 5}, TEXT | {"maxLength": 10}, False),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, True),
        (TEXT | {"title": "A text"}, TEXT, True),
        (TEXT | {"pattern": "^a"}, TEXT | {"pattern": "^ab"}, False),  # it is so, but cannot be proven
        (INT, INT | {"$schema": "http://json-schema.org/draft-07/schema#"}, False),  # drafts are not compared
    ],
)
def test_admission(reader: object, writer: object, readable: bool) -> None:
    assert (json_schema.why_not(form(reader), form(writer)) == []) is readable
