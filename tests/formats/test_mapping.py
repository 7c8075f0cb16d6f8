"""Mapping is tested through tests/data/json; here what a table of cases cannot say."""

import json

import pytest

from formats import mapping
from formats.errors import DecodeError
from formats.mapping import Mapper
from tests.formats.harness import CONTEXT

MAPPER = Mapper(CONTEXT, "json")


def test_values_stay_as_they_were_written() -> None:
    number = b"1" + b"0" * 9_999
    line = b'{"digits":%s,"exact":1.10e+05,"spaced":{ "a" : [ 1 ] },"escaped":"\\u0041\\/"}' % number
    row = MAPPER.row(line)
    for value in (number, b"1.10e+05", b'{ "a" : [ 1 ] }', b'"\\u0041\\/"'):
        assert value in row.line


def test_depth() -> None:
    deep = b"[" * 500 + b"]" * 500
    assert deep in MAPPER.row(b'{"a":%s}' % deep).line
    for bottomless in (b'{"a":' + b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000):
        with pytest.raises(DecodeError) as caught:
            MAPPER.row(bottomless)
        assert caught.value.reason == "too_deep"


def test_names_of_long_records_are_not_remembered() -> None:
    before = mapping._find_roles_again.cache_info().misses
    MAPPER.row(json.dumps({"x" * 10_000: 1}).encode())
    assert mapping._find_roles_again.cache_info().misses == before


def test_every_name_is_taken_alone() -> None:
    values = {"timestamp": "2026-11-20T12:00:00Z", "level": "error", "service": "s", "message": "m"}
    stored = values | {"timestamp": "2026-11-20T12:00:00.000000Z", "level": "ERROR"}
    for field, names in mapping._NAMES.items():
        for name in names.replace("?", "").split():
            record = json.loads(MAPPER.row(json.dumps({name.upper(): values[field]}).encode()).line)
            assert record[field] == stored[field]
            assert name.upper() not in record
