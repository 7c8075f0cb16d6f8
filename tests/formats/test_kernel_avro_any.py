"""Any files, whole and damaged: the kernel of Avro and the way in Python make the same of them."""

from __future__ import annotations

import json
import random
import struct
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from formats import avro, kernel
from formats.levels import LEVELS
from tests.formats.avro_files import CORE, LEVEL, MICROS, PLAIN, TIMESTAMP, of, own, takes, written
from tests.formats.binary import block, header, zigzag
from tests.formats.harness import CONTEXT, assert_same_both_ways

pytestmark = pytest.mark.skipif(not kernel.COMPILED, reason="no C compiler when this was installed")

_ANY = st.integers(-(2**63), 2**63 - 1)
_EDGES = st.sampled_from([0, 253_402_300_799, 253_402_300_800, -62_135_596_800, -62_135_596_801, 951_782_400])


@given(
    st.sampled_from(["timestamp", "local-timestamp"]),
    st.sampled_from([("millis", 10**3), ("micros", 10**6), ("nanos", 10**9)]),
    st.lists(_EDGES | st.integers(-62_135_596_900, 253_402_300_900), min_size=1, max_size=40),
    st.integers(-1, 10**9),
)
@example("timestamp", ("micros", 10**6), [-1, 0, 951_782_399], -1)
def test_moments(family: str, unit: tuple[str, int], seconds: list[int], rest: int) -> None:
    name, per_second = unit
    type_ = {"type": "long", "logicalType": f"{family}-{name}"}
    moments = [second * per_second + rest % per_second for second in seconds]
    moments = [moment for moment in moments if -(2**63) <= moment < 2**63] or [0]
    head = header(of(**CORE, own=type_))
    file = head + block(len(moments), b"".join(PLAIN + zigzag(moment) for moment in moments))
    assert takes(file) == [True]
    assert_same_both_ways("avro", file)
    if family == "timestamp":
        rows = [zigzag(moment) + PLAIN[28:] for moment in moments]
        file = header(of(**CORE | {"timestamp": type_})) + block(len(rows), b"".join(rows))
        assert takes(file) == [all(0 <= moment < 253_402_300_800 * per_second for moment in moments)]
        assert_same_both_ways("avro", file)


def test_the_ends_of_every_february_and_every_year() -> None:
    days = [date(year, 3, 1).toordinal() - back for year in range(1, 10_000) for back in (2, 1, 0)]
    days += [date(year, 12, 31).toordinal() + more for year in range(1, 9_999) for more in (-1, 0, 1)]
    seconds = [(day - date(1970, 1, 1).toordinal()) * 86_400 for day in days]
    head = header(of(**CORE, own={"type": "long", "logicalType": "timestamp-millis"}))
    file = head + block(len(days), b"".join(PLAIN + zigzag(second * 1000) for second in seconds))
    assert takes(file) == [True]
    assert_same_both_ways("avro", file)


@given(
    st.floats(width=64)
    | st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
)
def test_doubles_are_written_as_msgspec_writes_them(value: float) -> None:
    data = own("double", value)
    (encoded,) = avro.encode(data, CONTEXT)
    assert takes(data) == [True]
    assert b'"own":' + msgspec.json.encode(value) + b"," in encoded.chunks[0]
    assert_same_both_ways("avro", data)


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_types: list[tuple[Any, Any]] = [
    ("string", _text),
    (["null", "string"], st.none() | _text),
    ("long", _ANY),
    ("int", st.integers(-(2**31), 2**31 - 1)),
    (["long", "null"], st.none() | _ANY),
    ("boolean", st.booleans()),
    ("double", st.floats()),
    ("float", st.floats(width=32)),
    ("bytes", st.binary(max_size=9) | _text.map(str.encode)),
    (MICROS, st.integers(-(10**15), 3 * 10**17)),
    ({"type": "array", "items": "string"}, st.lists(_text, max_size=4)),
    ({"type": "map", "values": "string"}, st.dictionaries(_text, _text, max_size=4)),
    ({"type": "array", "items": "long"}, st.lists(_ANY, max_size=4)),
    (["null", "long", "string"], st.none() | st.integers(-9, 9) | _text),
]
_times = st.datetimes().map(lambda time: time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")) | st.sampled_from(
    [
        TIMESTAMP,
        "2026-11-20 12:00:00",
        "2026-11-20T12:00:00.5+00:00",
        "2026-11-20T12:00:00+02:00",
        "never",
        "",
    ]
)
_core_types: dict[str, list[tuple[Any, Any]]] = {
    "timestamp": [
        ("string", _times),
        (MICROS, st.integers(-1, 3 * 10**17)),
        (["null", "string"], st.none() | _times),
    ],
    "level": [
        ("string", st.sampled_from([*LEVELS, "warn", "Error", "7", ""])),
        (LEVEL, st.sampled_from(LEVEL["symbols"])),
    ],
    "service": [("string", st.sampled_from(["api", "ü"]) | _text)],
    "message": [("string", _text), (["string", "null"], st.none() | _text)],
}
_NAMES = ["kind", "hostname", "received_at", "format", "a", "b", "c"]


@st.composite
def _any_file(draw: st.DrawFn) -> bytes:
    """A file by any schema with core fields, in any order."""
    fields = {name: draw(st.sampled_from(types)) for name, types in _core_types.items()}
    for name in draw(st.lists(st.sampled_from(_NAMES), max_size=4, unique=True)):
        fields[name] = draw(st.sampled_from(_types))
    names = draw(st.permutations(list(fields)))
    rows = draw(
        st.lists(st.fixed_dictionaries({name: fields[name][1] for name in names}), min_size=1, max_size=8)
    )
    schema = of(**{name: fields[name][0] for name in names})
    return written(schema, rows, draw(st.sampled_from(["null", "deflate"])), draw(st.integers(40, 2000)))


@given(_any_file())
def test_both_ways_make_the_same_of_avro(data: bytes) -> None:
    assert_same_both_ways("avro", data)


@given(_any_file(), st.integers(0, 2**32))
def test_both_ways_make_the_same_of_damaged_avro(data: bytes, seed: int) -> None:
    """Damaged behind the header: a schema is read by Python alone."""
    rng = random.Random(seed)
    head, position = avro.read_header(data, 0)
    while position < len(data):
        part = avro.read_block(data, position, head.sync)
        position = part.end
        plain = bytearray(avro._decompress(part.data, head.codec))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(plain) + 1)
            what = rng.choice(
                (b"", b"\0", b"\x01", b"\x02", b"\x80", b"\xff", b"\xff" * 11, b'"', b"\xe4", b"\x7f")
            )
            plain[at : at + rng.randint(0, 2)] = what
        count = part.records + rng.choice((0, 0, 0, 1, -1))
        assert_same_both_ways("avro", header(json.loads(head.schema)) + block(max(count, 0), bytes(plain)))
