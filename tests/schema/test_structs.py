"""Generated Structs against jsonschema-rs: whatever a Struct decodes, the schema admits."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.schema.structs import decoder, has_struct

NAMES = ("a", "b", "é", "x.y", "")
PATTERNS = ("^a", "^[a-c]+$", "^a{2}$", "^[a-z]{1,3}-[0-9]*$", "^[^a]+$", "^\\.?b$")
COUNTS = st.integers(0, 3)
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, -1.5, 2.0, 1e300, -(2**53), 2**63, 10**25]))
TEXTS = st.text("abc-1.\né𝄞", max_size=4)


def maybe(**rules: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=rules)


def typed(name: str, **rules: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return maybe(**rules).map(lambda made: {"type": name, **made})


def objects(schemas: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return typed(
        "object",
        properties=st.dictionaries(st.sampled_from(NAMES), schemas, max_size=3),
        required=st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
        additionalProperties=st.booleans(),
    )


BOUNDS = {
    name: st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 2.0]))
    for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
}
CHOICES = st.one_of(st.none(), st.integers(-2, 2), TEXTS)
SCHEMAS = st.recursive(
    st.one_of(
        st.just(True),
        st.just({"title": "anything"}),
        typed("string", minLength=COUNTS, maxLength=COUNTS, pattern=st.sampled_from(PATTERNS)),
        typed("integer", **BOUNDS),
        typed("number", **BOUNDS),
        st.lists(
            st.sampled_from(["string", "integer", "number", "null", "boolean"]), min_size=1, unique=True
        ).map(lambda types: {"type": types}),
        st.lists(CHOICES, min_size=1, max_size=3, unique_by=repr).map(lambda values: {"enum": values}),
        CHOICES.map(lambda value: {"const": value}),
        st.lists(TEXTS, min_size=1, max_size=3, unique=True).map(
            lambda values: {"type": "string", "enum": values}
        ),
    ),
    lambda inner: st.one_of(typed("array", items=inner, minItems=COUNTS, maxItems=COUNTS), objects(inner)),
    max_leaves=6,
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=6,
)


def oracle(schema: Any) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True)


def decodes(made: msgspec.json.Decoder[Any], value: Any) -> bool:
    try:
        made.decode(json.dumps(value))
    except msgspec.DecodeError:
        return False
    return True


@given(objects(SCHEMAS), st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4), max_size=8))
def test_what_a_struct_decodes_the_schema_admits(schema: Any, values: list[Any]) -> None:
    made = decoder(schema)
    if made is None:
        return
    judge = oracle(schema)
    for value in values:
        assert not decodes(made, value) or judge.is_valid(value), (schema, value)


@given(st.data())
def test_a_struct_admits_good_records(data: st.DataObject) -> None:
    """Not all of them need be, but those of plain rules are: or good blocks would take the slow way."""
    value = {
        "a": data.draw(st.integers(0, 9)),
        "b": data.draw(st.text("abc", min_size=1)),
        "c": data.draw(st.lists(st.booleans(), max_size=3)),
        "d": {"e": data.draw(st.sampled_from(["x", 1, None]))},
        "more": data.draw(VALUES),
    }
    schema = {
        "properties": {
            "a": {"type": "integer", "minimum": 0, "exclusiveMaximum": 10},
            "b": {"type": ["string", "null"], "pattern": "^[a-c]+$"},
            "c": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
            "d": {"type": "object", "required": ["e"], "properties": {"e": {"enum": ["x", 1, None]}}},
        },
        "required": ["a", "b"],
    }
    made = decoder(schema)
    assert made is not None
    assert decodes(made, value)
    assert oracle(schema).is_valid(value)


@pytest.mark.parametrize(
    "schema",
    [
        True,
        False,
        {"type": "string"},
        {"$schema": "http://elsewhere/schema"},
        {"properties": {"a": {"$ref": "#"}}},
        {"properties": {"a": {"minLength": 1}}},  # says nothing of numbers
        {"properties": {"a": {"type": "string", "minimum": 1}}},
        {"properties": {"a": {"type": "string", "format": "email"}}},
        {"properties": {"a": {"type": "string", "pattern": "a.c"}}},
        {"properties": {"a": {"type": "integer", "minimum": 2**53}}},
        {"properties": {"a": {"type": "integer", "minimum": 0.5}}},
        {"properties": {"a": {"type": "number", "minimum": 1, "exclusiveMinimum": True}}},
        {"properties": {"a": {"type": "array", "items": [{"type": "string"}]}}},
        {"properties": {"a": {"type": "array", "uniqueItems": True}}},
        {"properties": {"a": {"enum": [1.5]}}},
        {"properties": {"a": {"enum": [True]}}},
        {"properties": {"a": {"const": {"b": 1}}}},
        {"properties": {"a": {"type": "string", "enum": [1]}}},
        {"properties": {'quote"': {"type": "string"}}},
        {"properties": {"a": False}},
        {"required": ["a"], "additionalProperties": False},
        {"additionalProperties": {"type": "string"}},
        {"allOf": [{"required": ["a"]}]},
    ],
)
def test_what_is_not_understood_has_no_struct(schema: Any) -> None:
    assert decoder(schema) is None


def test_a_huge_or_deep_schema_has_no_struct() -> None:
    assert decoder({"properties": {f"p{number}": True for number in range(2_001)}}) is None
    deep: Any = True
    for _ in range(500):
        deep = {"type": "object", "properties": {"a": deep}}
    assert decoder(deep) is None
    assert not has_struct("[" * 100_000)
    assert not has_struct("{")
