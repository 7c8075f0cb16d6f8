"""Avro schemas: what is accepted, and which changes a reader survives (the specification's schema resolution)."""

from __future__ import annotations

import json

import pytest

from ingestd.registry import avro
from ingestd.registry.errors import SchemaError
from ingestd.registry.parsed import Source
from tests.registry.asked import record


def form(schema: object) -> avro.Schema:
    parsed: avro.Schema = avro.parse(json.dumps(schema), ()).form
    return parsed


@pytest.mark.parametrize(
    "schema",
    [
        '"int"',
        '["null","string"]',
        '{"type":"long","logicalType":"timestamp-micros"}',
        '{"type":"long","logicalType":"not-known-here"}',
        json.dumps(record("next:null", name="List")),
    ],
)
def test_accepted(schema: str) -> None:
    assert json.loads(avro.parse(schema, ()).text) == json.loads(schema)


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "{",
        "1",
        "null",
        '"Missing"',
        "{}",
        '{"type":"record"}',
        '{"type":"record","name":[],"fields":[]}',
        '{"type":"record","name":"A","fields":{}}',
        '{"type":"record","name":"A","fields":[1]}',
        '{"type":"enum","name":"A","symbols":["B","B"]}',
        '{"type":"fixed","name":"A","size":"8"}',
        '["int","int"]',
        '{"type":' * 400 + '"int"' + "}" * 400,
    ],
)
def test_refused(schema: str) -> None:
    with pytest.raises(SchemaError):
        avro.parse(schema, ())


def test_references_come_first_and_may_come_twice() -> None:
    inner = Source("a", json.dumps(record("id:int")))
    parsed = avro.parse('{"type":"array","items":"Order"}', [inner, inner._replace(name="b")])
    assert parsed.text == '{"type":"array","items":"Order"}'


RENAMED = {"type": "record", "name": "Bill", "aliases": ["Order"], "fields": [{"name": "id", "type": "int"}]}
ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
TREE = {
    "type": "record",
    "name": "T",
    "fields": [{"name": "v", "type": "int"}, {"name": "t", "type": ["null", "T"]}],
}


@pytest.mark.parametrize(
    ("reader", "writer", "readable"),
    [
        (record("id:int", "b:int=1"), record("id:int"), True),
        (record("id:int", "b:int"), record("id:int"), False),
        (record("id:int"), record("id:int", "b:int"), True),
        (record("id:long"), record("id:int"), True),
        (record("id:int"), record("id:long"), False),
        ("double", "float", True),
        ("float", "double", False),
        ("bytes", "string", True),
        (["null", "int"], "int", True),
        ("int", ["null", "int"], False),
        (["null", "int"], ["null", "int", "string"], False),
        (RENAMED, record("id:int"), True),
        (RENAMED | {"aliases": []}, record("id:int"), False),
        (ENUM, ENUM | {"symbols": ["A"]}, True),
        (ENUM, ENUM | {"symbols": ["A", "B", "C"]}, False),
        (ENUM | {"default": "A"}, ENUM | {"symbols": ["A", "B", "C"]}, True),
        ({"type": "fixed", "name": "F", "size": 4}, {"type": "fixed", "name": "F", "size": 8}, False),
        ({"type": "map", "values": "long"}, {"type": "map", "values": "int"}, True),
        (TREE, TREE, True),
        (TREE, json.loads(json.dumps(TREE).replace('"int"', '"string"')), False),
    ],
)
def test_schema_resolution(reader: object, writer: object, readable: bool) -> None:
    assert (avro.why_not(form(reader), form(writer)) == []) is readable


def test_the_place_is_told() -> None:
    assert avro.why_not(form(record("a:int", "b:int")), form(record("a:int", "b:string"))) == [
        "type_mismatch at /fields/1/type: reader type: int not compatible with writer type: string"
    ]
