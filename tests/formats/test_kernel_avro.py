"""The kernel of Avro beside the way in Python: it takes what most senders send, and makes the same of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from formats import avro, kernel
from formats.avro_program import compile_program
from formats.avro_schema import parse
from formats.cores import ALL_COLUMNS, NOTHING, Wanted
from formats.levels import LEVELS, NAMES
from formats.record import Enrichment
from tests.formats.avro_files import (
    CORE,
    LEVEL,
    MICROS,
    PLAIN,
    ROW,
    TIMESTAMP,
    core,
    files,
    of,
    own,
    takes,
    written,
)
from tests.formats.binary import block, header, zigzag
from tests.formats.harness import CONTEXT, RECEIVED_AT, assert_same_both_ways
from tools.loadgen.layouts import AVRO_SCHEMA

pytestmark = pytest.mark.skipif(not kernel.COMPILED, reason="no C compiler when this was installed")

PUBLISHED = json.loads((Path(avro.__file__).parent / "schemas" / "log_entry.avsc").read_text())
MOMENT = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIXED = {"type": "fixed", "name": "F", "size": 2}
INNER = of(a="long", b=["null", "string"]) | {"name": "Inner"}

TAKEN = {
    "what loadgen sends": written(AVRO_SCHEMA, [ROW | {"run": "ab12cd34", "seq": 1_000_000_000}] * 50),
    "the published schema": written(
        PUBLISHED, [ROW | {"timestamp": MOMENT, "run": run, "seq": seq} for run, seq in (("r", 7), (None, None))]
    ),
    "deflate": written(of(**CORE), [ROW] * 50, "deflate"),
    "zstandard": header(of(**CORE), "zstandard") + block(50, PLAIN * 50, "zstandard"),
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
    "a key twice": header(of(**CORE, own={"type": "map", "values": "string"}))
    + block(1, PLAIN + b"\x06\x02a\x02b\x02c\x02d\x02a\x02e\x00"),
    "items with their size": header(of(**CORE, own={"type": "array", "items": "string"}))
    + block(1, b"\x36" + TIMESTAMP.encode() + b"\x08INFO\x06api\x02m" + b"\x03\x08\x02a\x02b\x02\x02c\x00"),
}  # fmt: skip


@pytest.mark.parametrize("data", TAKEN.values(), ids=TAKEN.keys())
def test_the_avro_kernel_takes_what_is_common(data: bytes) -> None:
    for file in files(data):
        taken = takes(file)
        assert taken
        assert all(taken)
    assert_same_both_ways("avro", data)


@pytest.mark.parametrize("data", TAKEN.values(), ids=TAKEN.keys())
def test_a_block_cut_anywhere_is_left(data: bytes) -> None:
    """Of what would be read behind the end, the sanitizer of addresses tells more."""
    for file in files(data):
        head, position = avro.read_header(file, 0)
        part = avro.read_block(file, position, head.sync)
        plain = avro._decompress(part.data, head.codec)
        for size in range(max(0, len(plain) - 600), len(plain)):
            assert avro._encode_compiled(avro._check(head), plain[:size], part.records, CONTEXT) is None


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
    "a message that is not UTF-8": header(of(**CORE)) + block(2, PLAIN * 2).replace(b"\x02m", b"\x02\xff"),
    "a service that is not UTF-8": header(of(**CORE)) + block(2, PLAIN * 2).replace(b"api", b"ap\xe4"),
    "a level that is not UTF-8": header(of(**CORE)) + block(2, PLAIN * 2).replace(b"INFO", b"INF\xff"),
    "a surrogate": header(of(**CORE)) + block(2, PLAIN * 2).replace(b"api", b"\xed\xa0\x80"),
    "text of one's own that is not UTF-8": header(of(own="string", **CORE)) + block(1, b"\x02\xff" + PLAIN),
    "an item that is not UTF-8": header(of(**CORE, own={"type": "array", "items": "string"}))
    + block(1, PLAIN + b"\x02\x02\xff\x00"),
    "text of a record that is not UTF-8": header(of(**CORE, own=INNER)) + block(1, PLAIN + b"\x02\x02\x02\xff"),
    "bytes behind the last record": header(of(**CORE)) + block(2, PLAIN * 2 + b"\0"),
    "a record cut short": header(of(**CORE)) + block(2, (PLAIN * 2)[:-1]),
    "fewer records": header(of(**CORE)) + block(1, PLAIN * 2),
    "more records": header(of(**CORE)) + block(3, PLAIN * 2),
    "more records than bytes": header(of(**CORE)) + block(60, PLAIN),
    "no records": header(of(**CORE)) + block(0, b""),
    "a negative length": header(of(**CORE)) + block(1, b"\x01" + PLAIN),
    "a length over all": header(of(**CORE)) + block(1, zigzag(2**63 - 1) + PLAIN),
    "an endless varint": header(of(**CORE)) + block(1, b"\xff" * 30 + PLAIN),
    "a varint of 65 bits": header(of(**CORE, own="long")) + block(1, PLAIN + b"\x80" * 9 + b"\x02"),
    "no such symbol": header(of(**CORE, own=LEVEL)) + block(1, PLAIN + b"\x0a"),
    "no such branch": header(of(**CORE, own=["null", "long"])) + block(1, PLAIN + b"\x04"),
    "no boolean": header(of(**CORE, own="boolean")) + block(1, PLAIN + b"\x02"),
    "a double cut short": header(of(**CORE, own="double")) + block(1, PLAIN + bytes(7)),
    "more items than bytes": header(of(**CORE, own={"type": "array", "items": "string"}))
    + block(1, PLAIN + zigzag(2**62) + b"\0"),
    "a very negative count": header(of(**CORE, own={"type": "map", "values": "string"}))
    + block(1, PLAIN + zigzag(-(2**63)) + b"\0"),
    "a record within itself": header(of(**CORE, own=["null", "Log"])) + block(1, PLAIN + b"\0"),
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
@pytest.mark.parametrize("wanted", [NOTHING, ALL_COLUMNS])
def test_any_enrichment(fields: dict[str, bytes], wanted: Wanted) -> None:
    context = Enrichment(fields).at(RECEIVED_AT, "unknown", wanted)
    rows = [ROW | {"seq": 5, "format": "f", "received_at": None}]
    data = written(of(**CORE, seq="long", format="string", received_at="null"), rows)
    data += written(of(**CORE), [ROW] * 3)
    assert [takes(file, context) for file in files(data)] == [[True], [True]]
    assert_same_both_ways("avro", data, context)
