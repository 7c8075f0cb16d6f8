"""The kernel of Avro beside the way in Python: it takes what most senders send, and makes the same of it."""

from __future__ import annotations

import io
import json
import random
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import avro, kernel
from formats.avro_program import compile_program
from formats.avro_schema import parse
from formats.levels import LEVELS, NAMES
from formats.record import Context, Enrichment
from tests.formats.binary import block, header, zigzag
from tests.formats.harness import CONTEXT, RECEIVED_AT, assert_same_both_ways
from tools.loadgen.layouts import AVRO_SCHEMA

pytestmark = pytest.mark.skipif(not kernel.COMPILED, reason="no C compiler when this was installed")

TIMESTAMP = "2026-11-20T12:00:00.000001Z"
ROW = {"timestamp": TIMESTAMP, "level": "INFO", "service": "api", "message": "m"}
CORE = dict.fromkeys(ROW, "string")
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
LEVEL = {"type": "enum", "name": "Level", "symbols": ["TRACE", "debug", "Information", "WARNING", "ERR"]}


def of(**types: Any) -> dict[str, Any]:
    """The schema of a record with these fields."""
    fields = [{"name": name, "type": each} for name, each in types.items()]
    return {"type": "record", "name": "Log", "fields": fields}


def written(schema: Any, rows: list[dict[str, Any]], codec: str = "null", block_bytes: int = 16_000) -> bytes:
    """A container file made by the reference encoder."""
    file = io.BytesIO()
    fastavro.writer(file, schema, rows, codec=codec, sync_interval=block_bytes)
    return file.getvalue()


def own(type_: Any, *values: Any) -> bytes:
    """Records with a field of their own, of each of these values."""
    return written(of(**CORE, own=type_), [ROW | {"own": value} for value in values])


def core(**values: Any) -> bytes:
    return written(of(**CORE), [ROW, ROW | values, ROW])


def takes(data: bytes, context: Context = CONTEXT) -> list[bool]:
    """Of each block of a file, whether the kernel takes it."""
    head, position = avro.read_header(data, 0)
    records = avro._check(head)
    taken = []
    while position < len(data):
        part = avro.read_block(data, position, head.sync)
        position = part.end
        plain = avro._decompress(part.data, head.codec)
        taken.append(avro._encode_compiled(records, plain, part.records, context) is not None)
    return taken


PUBLISHED = json.loads((Path(avro.__file__).parent / "schemas" / "log_entry.avsc").read_text())
MOMENT = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIXED = {"type": "fixed", "name": "F", "size": 2}
INNER = of(a="long", b=["null", "string"]) | {"name": "Inner"}

_PLAIN = b"\x36" + TIMESTAMP.encode() + b"\x08INFO\x06api\x02m"  # ROW

TAKEN = {
    "what loadgen sends": written(AVRO_SCHEMA, [ROW | {"run": "ab12cd34", "seq": 1_000_000_000}] * 50),
    "the published schema": written(
        PUBLISHED, [ROW | {"timestamp": MOMENT, "run": run, "seq": seq} for run, seq in (("r", 7), (None, None))]
    ),
    "deflate": written(of(**CORE), [ROW] * 50, "deflate"),
    "zstandard": header(of(**CORE), "zstandard") + block(50, _PLAIN * 50, "zstandard"),
    "many blocks": written(of(**CORE), [ROW] * 50, block_bytes=100),
    "more than is reserved": written(of(**CORE), [ROW | {"message": "\x01" * 50_000}] * 3),
    "other fields before the core": written(
        of(**dict.fromkeys(("seq", "y"), "long"), message="string", x=["null", "string"], level="string",
           service="string", timestamp="string", z="int"),
        [ROW | {"seq": seq, "x": x, "y": -seq, "z": 2} for seq, x in ((1, None), (2, "ü"), (3, "\x01" * 5000))],
    ),
    "nullable core": written(
        of(timestamp=["null", "string"], level=[LEVEL, "null"], service=["string", "null"], message=["null", "string"]),
        [ROW | {"level": "ERR", "message": message} for message in ("", "m")],
    ),
    "other names of levels": b"".join(core(level=level) for level in ("warn", " error ", "INFO2", "30", "critical")),
    "symbols as levels": written(of(**CORE | {"level": LEVEL}), [ROW | {"level": it} for it in LEVEL["symbols"]]),
    "more names of levels than its memo holds": written(of(**CORE), [ROW | {"level": it.lower()} for it in NAMES] * 2),
    "every level": written(of(**CORE), [ROW | {"level": level} for level in LEVELS]),
    "many services": written(of(**CORE), [ROW | {"service": f"service-{i}-x"} for i in range(300)]),
    "many hours": written(
        of(**CORE), [ROW | {"timestamp": f"2026-11-0{1 + hour // 24}T{hour % 24:02}:00:00Z"} for hour in range(48)]
    ),
    "text": b"".join(
        core(message=text, service=text) for text in ("Übergröße 中文 🎉", '"\\\n\r\t\b\f\x1f\x7f/', "\0")
    ),
    "forms of time": written(
        of(**CORE),
        [
            ROW | {"timestamp": "2026-11-20" + rest}
            for rest in (
                "T12:00:00Z", "T12:00:00.1Z", "T12:00:00.123456789Z", "T12:00:00", " 12:00:00", " 12:00:00.5",
                "T12:00:00+00:00", "T12:00:00.000001+00:00", "T12:00:00.000002Z", "T12:00:00.000003Z",
            )
        ],
    ),
    "numbers": own("long", 0, -1, 9, 10, 63, 64, -(2**63), 2**63 - 1, 10**18, -(10**18)) + own("int", -5, 2**31 - 1),
    "nothing": own("null", None),
    "booleans": own("boolean", True, False),
    "doubles": own("double", 0.0, -0.0, 1.5, 1e300, 1e-7, 123456789.0, float("nan"), float("inf"), 5e-324, 0.1),
    "floats": own("float", 0.0, 1.5, 0.1, 3e38),
    "nullable numbers": own(["null", "double"], None, 1.5) + own(["long", "null"], None, 1),
    "nullable moments": own(["null", MICROS], None, MOMENT) + own([MICROS, "null"], None, MOMENT),
    "bytes": own("bytes", b"", b"text", "ü".encode(), b"\xff", b"heartbeat"),
    "symbols": own(LEVEL, "TRACE", "ERR") + own(["null", LEVEL], None, "ERR"),
    "arrays": own({"type": "array", "items": "string"}, [], ["a"], ["a", 'b"', "ü"]),
    "maps": own({"type": "map", "values": "string"}, {}, {"a": "b"}, {'"': "ü", "": "", "c": "\n"}),
    "a map of many": own({"type": "map", "values": "string"}, {str(number): "x" * number for number in range(90)}),
    "other arrays and maps": own({"type": "map", "values": "long"}, {}, {"a": 1})
    + own({"type": "array", "items": ["null", "double"]}, [1.5, None]),
    "unions": own(["null", "string", "long"], None, "a", 5) + own(["string", "long"], "a", 5),
    "fixed": own(FIXED, b"ab", b"\xff\xff"),
    "records": own(INNER, {"a": 1, "b": None}, {"a": 2, "b": "ü"}),
    "dates": own({"type": "int", "logicalType": "date"}, 0, 20_000, -800_000),
    "a decimal": own({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, b"\x01\x00"),
    "an unknown logical type": own({"type": "long", "logicalType": "seconds"}, 5),
    "kinds": written(of(**CORE, kind="string"), [ROW | {"kind": kind} for kind in ("", "metric", "heartbeats")]),
    "other kinds": written(of(**CORE, kind=["null", LEVEL]), [ROW | {"kind": None}, ROW | {"kind": "ERR"}])
    + written(of(**CORE, kind={"type": "array", "items": "string"}), [ROW | {"kind": ["heartbeat"]}]),
    "fields of the enrichment": written(
        of(**CORE, hostname="string", received_at="null", format="long"),
        [ROW | {"hostname": "own", "received_at": None, "format": 1}],
    ),
    "varints longer than they must be": header(of(**CORE, own="long"))
    + block(1, b"\xb6\x00" + TIMESTAMP.encode() + b"\x88\x80\x00INFO\x06api\x02m" + b"\x82" + b"\x80" * 8 + b"\x00"),
    "items with their size": header(of(**CORE, own={"type": "array", "items": "string"}))
    + block(1, b"\x36" + TIMESTAMP.encode() + b"\x08INFO\x06api\x02m" + b"\x03\x08\x02a\x02b\x02\x02c\x00"),
}  # fmt: skip


def _files(data: bytes) -> list[bytes]:
    starts = [at for at in range(len(data)) if data.startswith(b"Obj\x01", at)]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


@pytest.mark.parametrize("data", TAKEN.values(), ids=TAKEN.keys())
def test_the_avro_kernel_takes_what_is_common(data: bytes) -> None:
    for file in _files(data):
        taken = takes(file)
        assert taken
        assert all(taken)
    assert_same_both_ways("avro", data)


_ANY = st.integers(-(2**63), 2**63 - 1)
_EDGES = st.sampled_from([0, 253_402_300_799, 253_402_300_800, -62_135_596_800, -62_135_596_801, 951_782_400])


@given(
    st.sampled_from(["timestamp", "local-timestamp"]),
    st.sampled_from([("millis", 10**3), ("micros", 10**6), ("nanos", 10**9)]),
    st.lists(_EDGES | st.integers(-62_135_596_900, 253_402_300_900), min_size=1, max_size=40),
    st.integers(-1, 10**9),
)
def test_moments(family: str, unit: tuple[str, int], seconds: list[int], rest: int) -> None:
    name, per_second = unit
    type_ = {"type": "long", "logicalType": f"{family}-{name}"}
    moments = [second * per_second + rest % per_second for second in seconds]
    moments = [moment for moment in moments if -(2**63) <= moment < 2**63] or [0]
    head = header(of(**CORE, own=type_))
    file = head + block(len(moments), b"".join(_PLAIN + zigzag(moment) for moment in moments))
    assert takes(file) == [True]
    assert_same_both_ways("avro", file)
    if family == "timestamp":
        rows = [zigzag(moment) + _PLAIN[28:] for moment in moments]
        file = header(of(**CORE | {"timestamp": type_})) + block(len(rows), b"".join(rows))
        assert takes(file) == [all(0 <= moment < 253_402_300_800 * per_second for moment in moments)]
        assert_same_both_ways("avro", file)


LEFT = {
    "an empty level": core(level=""),
    "an empty service": core(service=""),
    "an empty timestamp": core(timestamp=""),
    "an unknown level": core(level="LOUD"),
    "a long level": core(level="x" * 40),
    "no time": core(timestamp="never"),
    "no such day": core(timestamp="2026-02-30T12:00:00.000000Z"),
    "no such hour": core(timestamp="2026-11-20T24:00:00Z"),
    "a leap second": core(timestamp="2026-12-31T23:59:60Z"),
    "before 1970": core(timestamp="1969-12-31T23:59:59.999999Z"),
    "a point without digits": core(timestamp="2026-11-20T12:00:00.Z"),
    "an offset": core(timestamp="2026-11-20T12:00:00+01:00"),
    "NUL for a time": core(timestamp="\0" * 27),
    "no such day among many hours": written(
        of(**CORE), [ROW | {"timestamp": f"2026-02-{day}T12:00:00Z"} for day in range(10, 31)]
    ),
    "null for a message": written(of(**CORE | {"message": ["null", "string"]}), [ROW, ROW | {"message": None}]),
    "null for a level": written(of(**CORE | {"level": ["null", "string"]}), [ROW, ROW | {"level": None}]),
    "a heartbeat": written(of(**CORE, kind="string"), [ROW | {"kind": "heartbeat"}]),
    "a heartbeat in bytes": written(of(**CORE, kind="bytes"), [ROW | {"kind": b"heartbeat"}]),
    "a heartbeat in a symbol": written(
        of(**CORE, kind={"type": "enum", "name": "E", "symbols": ["heartbeat"]}), [ROW | {"kind": "heartbeat"}]
    ),
    "a heartbeat in a union": written(of(**CORE, kind=["null", "long", "string"]), [ROW | {"kind": "heartbeat"}]),
    "no service": written(of(timestamp="string", level="string", message="string"), [ROW]),
    "time as a number": written(of(**CORE | {"timestamp": "long"}), [ROW | {"timestamp": 1_700_000_000}]),
    "nullable time as a number": written(of(**CORE | {"timestamp": ["null", MICROS]}), [ROW | {"timestamp": MOMENT}]),
    "a message in bytes": written(of(**CORE | {"message": "bytes"}), [ROW | {"message": b"m"}]),
    "a message that is not UTF-8": header(of(**CORE)) + block(2, _PLAIN * 2).replace(b"\x02m", b"\x02\xff"),
    "a service that is not UTF-8": header(of(**CORE)) + block(2, _PLAIN * 2).replace(b"api", b"ap\xe4"),
    "a level that is not UTF-8": header(of(**CORE)) + block(2, _PLAIN * 2).replace(b"INFO", b"INF\xff"),
    "a surrogate": header(of(**CORE)) + block(2, _PLAIN * 2).replace(b"api", b"\xed\xa0\x80"),
    "text of one's own that is not UTF-8": header(of(own="string", **CORE)) + block(1, b"\x02\xff" + _PLAIN),
    "an item that is not UTF-8": header(of(**CORE, own={"type": "array", "items": "string"}))
    + block(1, _PLAIN + b"\x02\x02\xff\x00"),
    "text of a record that is not UTF-8": header(of(**CORE, own=INNER)) + block(1, _PLAIN + b"\x02\x02\x02\xff"),
    "bytes behind the last record": header(of(**CORE)) + block(2, _PLAIN * 2 + b"\0"),
    "a record cut short": header(of(**CORE)) + block(2, (_PLAIN * 2)[:-1]),
    "fewer records": header(of(**CORE)) + block(1, _PLAIN * 2),
    "more records": header(of(**CORE)) + block(3, _PLAIN * 2),
    "more records than bytes": header(of(**CORE)) + block(60, _PLAIN),
    "no records": header(of(**CORE)) + block(0, b""),
    "a negative length": header(of(**CORE)) + block(1, b"\x01" + _PLAIN),
    "a length over all": header(of(**CORE)) + block(1, zigzag(2**63 - 1) + _PLAIN),
    "an endless varint": header(of(**CORE)) + block(1, b"\xff" * 30 + _PLAIN),
    "a varint of 65 bits": header(of(**CORE, own="long")) + block(1, _PLAIN + b"\x80" * 9 + b"\x02"),
    "no such symbol": header(of(**CORE, own=LEVEL)) + block(1, _PLAIN + b"\x0a"),
    "no such branch": header(of(**CORE, own=["null", "long"])) + block(1, _PLAIN + b"\x04"),
    "no boolean": header(of(**CORE, own="boolean")) + block(1, _PLAIN + b"\x02"),
    "a double cut short": header(of(**CORE, own="double")) + block(1, _PLAIN + bytes(7)),
    "more items than bytes": header(of(**CORE, own={"type": "array", "items": "string"}))
    + block(1, _PLAIN + zigzag(2**62) + b"\0"),
    "a very negative count": header(of(**CORE, own={"type": "map", "values": "string"}))
    + block(1, _PLAIN + zigzag(-(2**63)) + b"\0"),
    "a record within itself": header(of(**CORE, own=["null", "Log"])) + block(1, _PLAIN + b"\0"),
}  # fmt: skip


@pytest.mark.parametrize("data", LEFT.values(), ids=LEFT.keys())
def test_the_avro_kernel_leaves_what_is_not(data: bytes) -> None:
    assert not any(takes(data))
    assert_same_both_ways("avro", data)


def test_schemas_nested_deep_are_left() -> None:
    type_: Any = "long"
    for depth in range(1, 40):
        type_ = {"type": "array", "items": type_}
        program = compile_program(parse(json.dumps(of(**CORE, own=type_)).encode()))
        assert (program is None) == (depth > 14)


def test_a_schema_that_doubles_is_told_at_once() -> None:
    """Each record holds two of the one before: 2^60 in all."""
    type_: Any = of(a="long") | {"name": "R0"}
    for number in range(1, 60):
        type_ = of(a=type_, b=f"R{number - 1}") | {"name": f"R{number}"}
    assert compile_program(parse(json.dumps(of(**CORE, own=type_)).encode())) is None


@pytest.mark.parametrize("fields", [{}, {'a"\n': b'"x"'}, {"ü": b"[1]"}, {"hostname": b"{}", "seq": b"1"}])
@pytest.mark.parametrize("columns", [True, False])
def test_any_enrichment(fields: dict[str, bytes], columns: bool) -> None:
    context = Enrichment(fields).at(RECEIVED_AT, "unknown", columns)
    rows = [ROW | {"seq": 5, "format": "f", "received_at": None}]
    data = written(of(**CORE, seq="long", format="string", received_at="null"), rows)
    data += written(of(**CORE), [ROW] * 3)
    assert [takes(file, context) for file in _files(data)] == [[True], [True]]
    assert_same_both_ways("avro", data, context)


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
