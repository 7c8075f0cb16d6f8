"""Avro: cases, a reference encoder, hostile schemas and blocks, any bytes."""

import io
import json
import random
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import Format, avro
from formats.avro_records import Records
from formats.avro_schema import SchemaError
from tests.formats.binary import Outcome, block, cases, header, run, run_case, run_cut, zigzag
from tests.formats.harness import CONTEXT, CORPORA

pytestmark = pytest.mark.usefixtures("way")

AVRO = Format("avro", avro.framer, avro.encode)
TEXTS = {
    "type": "record",
    "name": "Log",
    "fields": [{"name": name, "type": "string"} for name in ("timestamp", "level", "service", "message")],
}
TIMESTAMP = "2026-11-20T12:00:00.000001Z"
ROW = {"timestamp": TIMESTAMP, "level": "INFO", "service": "api", "message": "m"}


def written(schema: Any, records: list[Any], codec: str = "null", block_bytes: int = 16_000) -> bytes:
    """A container file made by the reference encoder."""
    file = io.BytesIO()
    fastavro.writer(file, schema, records, codec=codec, sync_interval=block_bytes)
    return file.getvalue()


def of(**types: Any) -> dict[str, Any]:
    """The schema of a record with these fields."""
    return {
        "type": "record",
        "name": "Log",
        "fields": [{"name": name, "type": each} for name, each in types.items()],
    }


@pytest.mark.parametrize("case", cases("avro", "valid"), ids=lambda case: case.stem)
def test_valid(case: Path) -> None:
    run_case(AVRO, case)


@pytest.mark.parametrize("case", cases("avro", "invalid"), ids=lambda case: case.stem)
def test_invalid(case: Path) -> None:
    run_case(AVRO, case)


def is_fast(schema: Any, records: list[Any]) -> bool:
    data = written(schema, records)
    head, position = avro.read_header(data, 0)
    part = avro.read_block(data, position, head.sync)
    reader = Records(head.schema)
    return avro._encode_columns(reader, reader.read(part.data, part.records).columns, CONTEXT) is not None


LEVEL = {"type": "enum", "name": "Level", "symbols": ["INFO", "ERROR"]}
MOMENT = datetime(2026, 11, 20, 12, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize("logical", ["timestamp-millis", "timestamp-micros", "timestamp-nanos"])
def test_core_fields_by_name_go_the_fast_way(logical: str) -> None:
    assert is_fast(TEXTS, [ROW])
    schema = of(
        timestamp={"type": "long", "logicalType": logical},
        level=["null", LEVEL],
        service=["string", "null"],
        message="string",
        extra={"type": "array", "items": "double"},
    )
    nanos = int((MOMENT - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000
    per_unit = {"millis": 10**6, "micros": 10**3, "nanos": 1}[logical.split("-")[1]]
    rows = [ROW | {"timestamp": nanos // per_unit, "extra": [1.5, float("nan")]}] * 40
    assert is_fast(schema, rows)
    outcome = run(AVRO, written(schema, rows))
    assert outcome.records[39]["timestamp"] == TIMESTAMP.replace(
        "000001", "000000" if "milli" in logical else "000001"
    )
    assert outcome.records[39]["extra"] == ["1.5", None]


@pytest.mark.parametrize("text", ["ascii", "ü", "\x80", "€\x00", "𝄞", "\r\n", "x" * 200, "ü" * 3000])
def test_text(text: str) -> None:
    rows = [ROW, ROW | {"message": text, "service": text}, ROW]
    assert is_fast(TEXTS, rows)
    outcome = run(AVRO, written(TEXTS, rows))
    assert [record["message"] for record in outcome.records] == ["m", text, "m"]


def _number_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) else value


_types: list[tuple[Any, Any, Any]] = [
    ("string", st.text(max_size=150), lambda value: value),
    ("boolean", st.booleans(), lambda value: value),
    ("int", st.integers(-(2**31), 2**31 - 1), str),
    ("long", st.integers(-(2**63), 2**63 - 1), str),
    ("double", st.floats(allow_nan=False, allow_infinity=False), lambda value: pytest.approx(value)),
    ("bytes", st.text(max_size=9).map(str.encode), bytes.decode),
    (["null", "string"], st.none() | st.text(max_size=9), lambda value: value),
    (["null", "long", "string"], st.none() | st.integers(-9, 9) | st.text(), _number_as_text),
    ({"type": "array", "items": "long"}, st.lists(st.integers(-99, 99)), lambda value: list(map(str, value))),
    ({"type": "map", "values": "string"}, st.dictionaries(st.text(max_size=5), st.text(max_size=5)), dict),
]


@st.composite
def _files(draw: st.DrawFn) -> tuple[Any, list[dict[str, Any]], list[dict[str, Any]]]:
    """A schema with records for it, and what is to become of each field."""
    chosen = draw(st.lists(st.sampled_from(_types), max_size=6))
    fields = {f"f{index}": each for index, each in enumerate(chosen)}
    core = {"timestamp": "string", "level": "string", "service": "string", "message": "string"}
    if draw(st.booleans()):
        del core[draw(st.sampled_from(sorted(core)))]
    names = draw(st.permutations([*core, *fields]))
    schema = of(**{name: core[name] if name in core else fields[name][0] for name in names})
    rows, expected = [], []
    for _ in range(draw(st.integers(0, 20))):
        values = {name: draw(strategy) for name, (_, strategy, _) in fields.items()}
        rows.append(values | {name: ROW[name] for name in core})
        expected.append(
            {name: fields[name][2](value) for name, value in values.items()}
            | {name: ROW[name] for name in core}
        )
    return schema, rows, expected


@given(_files(), st.sampled_from(["null", "deflate"]), st.integers(20, 500))
def test_any_records(file: tuple[Any, Any, Any], codec: str, block_bytes: int) -> None:
    schema, rows, expected = file
    outcome = run_cut(AVRO, written(schema, rows, codec, block_bytes), [])
    assert outcome.rejects == []
    for record, each in zip(outcome.records, expected, strict=True):
        found = {name: record[name] for name in each}
        for name, value in found.items():
            if not isinstance(each[name], (str, bool, type(None), list, dict)):
                found[name] = float(value)
        assert found == each


@given(
    st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=4),
    st.sampled_from(["null", "deflate"]),
)
def test_any_damage(damage: list[tuple[int, int]], codec: str) -> None:
    schema = of(
        timestamp={"type": "long", "logicalType": "timestamp-micros"},
        level=LEVEL,
        message="string",
        inner=["null", {"type": "map", "values": "bytes"}, {"type": "array", "items": "Level"}],
        n="double",
    )
    rows = [
        {"timestamp": MOMENT, "level": "ERROR", "message": "ü", "inner": inner, "n": 1.5}
        for inner in (None, {"a": b"\xff"}, ["INFO"])
    ]
    data = bytearray(written(schema, rows * 3, codec, 40))
    for position, byte in damage:
        data[position % len(data)] = byte
    run_cut(AVRO, bytes(data), [])
    avro.encode(bytes(data), CONTEXT)


@given(st.binary(max_size=200), st.integers(0, 10))
def test_any_bytes_in_a_block(data: bytes, count: int) -> None:
    schema = of(a="string", b="long", c=["null", "string"], d=LEVEL, e={"type": "array", "items": "bytes"})
    outcome = run_cut(AVRO, header(schema) + block(count, data), [])
    assert len(outcome.records) <= count
    assert outcome.rejects or len(outcome.records) == count


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    for begin in (b"", b"Obj\x01"):
        run_cut(AVRO, begin + data, [])
        avro.encode(begin + data, CONTEXT)


def test_one_bad_record_leaves_those_before_it_and_other_blocks() -> None:
    schema = of(message="string")
    data = header(schema) + block(3, b"\x02a\x02b\x01") + block(1, b"\x02c")
    outcome = run(AVRO, data)
    assert [record["message"] for record in outcome.records] == ["a", "b", "c"]
    assert outcome.rejects == [("invalid_avro", b"\x01")]


NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("string", "not one of a record"),
        (of(), "no bytes"),
        (of(a="null"), "no bytes"),
        (of(a="int", b={"type": "array", "items": "null"}), "no bytes"),
        (of(a="int", b={"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}), "no bytes"),
        (of(a="int", b=of() | {"name": "Empty"}), "no bytes"),
        (of(a={"type": "array"}), "no type of the name 'array'"),
        (of(a={"typ": "int"}), "not a type"),
        (of(a=["null", ["int"]]), "union within a union"),
        (of(a={"type": "enum", "name": "E", "symbols": []}), "incomplete enum"),
        (of(a={"type": "fixed", "name": "E", "size": -1}), "incomplete fixed"),
        (of(a={"type": "fixed", "name": "E", "size": True}), "incomplete fixed"),
        (of(a=LEVEL, b=LEVEL), "twice"),
        (of(a="Unknown"), "no type"),
        (of(**{'a"b': "int"}), "not a field"),
        ({"type": "record", "name": "a b", "fields": []}, "proper name"),
        ({"type": "record", "name": "A", "fields": [{"name": "a", "type": "int"}] * 2}, "twice"),
        (of(**{f"f{index}": "int" for index in range(20_000)}), "bytes"),
        (17, "not a type"),
    ],
)
def test_hostile_and_broken_schemas(schema: Any, says: str) -> None:
    with pytest.raises(SchemaError, match=says):
        Records(json.dumps(schema).encode())


@pytest.mark.parametrize("schema", [b"", b"{", b"\xff", b'"\\ud800"', b"[" * 100_000, b"[]", b"null"])
def test_what_is_no_schema(schema: bytes) -> None:
    with pytest.raises(SchemaError):
        Records(schema)


def test_records_within_records_are_not_followed_forever() -> None:
    schema = of(message="string", list=NODE)
    assert (
        run(AVRO, header(schema) + block(1, b"\x02a" + b"\x02" * 50 + b"\x00")).records[0]["message"] == "a"
    )
    outcome = run_cut(AVRO, header(schema) + block(1, b"\x02a" + b"\x02" * 200_000 + b"\x00"), [])
    assert outcome.records == []
    assert [reason for reason, _ in outcome.rejects] == ["invalid_avro"]
    endless = of(message="string", self="Log")
    assert run_cut(AVRO, header(endless) + block(1, b"\x02a" * 5000), []).records == []


@pytest.mark.parametrize("depth", [*range(50, 1000, 30), 5000, 100_000])
def test_nested_schemas(depth: int) -> None:
    nested = '{"type":"array","items":' * depth + '"int"' + "}" * depth
    schema = json.dumps(of(message="string", a="@")).replace('"@"', nested)
    try:
        reader = Records(schema.encode())
    except SchemaError as error:
        assert re.search("deep|JSON|bytes", str(error))
        assert depth > 100
        return
    block_ = reader.read(b"\x02a" + b"\x02" * depth + b"\x07" + bytes(depth), 1)
    assert block_.rows == 1 or "recursion" in block_.error


def test_a_doubling_schema_is_refused() -> None:
    """Each record holds two of the one before: 2^40 values of no bytes."""
    schema: Any = {"type": "record", "name": "R0", "fields": [{"name": "a", "type": "null"}]}
    for level in range(1, 40):
        fields = [{"name": "a", "type": schema}, {"name": "b", "type": f"R{level - 1}"}]
        schema = {"type": "record", "name": f"R{level}", "fields": fields}
    with pytest.raises(SchemaError, match="no bytes"):
        Records(json.dumps(of(message="string", x=schema)).encode())


BOMBS: dict[str, tuple[Any, str, int, bytes]] = {
    "deflate": (of(message="string"), "deflate", 10_000, bytes(10_000_000)),
    "zstandard": (of(message="string"), "zstandard", 1, bytes(50_000_000)),
    "records of one byte": (of(message="string"), "deflate", 50_000, bytes(50_000)),
    "items of an array": (
        of(message="string", a={"type": "array", "items": "boolean"}),
        "null",
        1,
        b"\0" + zigzag(10**18) + bytes(100),
    ),
    "text": (of(message="string"), "null", 1, zigzag(2**40) + b"x"),
    "text of negative length": (of(message="string"), "null", 1, zigzag(-(2**40)) + b"x"),
    "a long name": (of(**{"n" * 100_000: "int"}), "null", 20_000, bytes(20_000)),
    "a long symbol": (
        of(a={"type": "array", "items": {"type": "enum", "name": "E", "symbols": ["s" * 100_000]}}),
        "null",
        1,
        zigzag(100_000) + bytes(100_001),
    ),
    "a long decimal": (
        of(a={"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}),
        "null",
        1,
        zigzag(200_000) + b"\x7f" * 200_000,
    ),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_bombs(bomb: tuple[Any, str, int, bytes]) -> None:
    schema, codec, count, data = bomb
    start = time.process_time()
    outcome = run_cut(AVRO, header(schema, codec) + block(count, data, codec) + block(0, b"", codec), [])
    assert time.process_time() - start < 20
    assert outcome.records == []
    assert [reason in ("invalid_avro", "oversize") for reason, _ in outcome.rejects] == [True]


def test_many_bombs_share_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block of a kilobyte is 3 MB of JSON."""
    monkeypatch.setattr("formats.avro._JSON_BYTES", 8 << 20)
    schema = of(**{"n" * 3000: "int"})
    outcome = run_cut(AVRO, header(schema) + block(1000, bytes(1000)) * 8, [])
    assert 0 < len(outcome.records) < 4_000
    assert {reason for reason, _ in outcome.rejects} == {"oversize"}


def test_a_window_larger_than_the_block_is_no_bomb() -> None:
    data = b"".join(b"\x10" + random.Random(index).randbytes(4).hex().encode() for index in range(20_000))
    outcome = run_cut(AVRO, header(of(message="string"), "zstandard") + block(20_000, data, "zstandard"), [])
    assert len(outcome.records) == 20_000


def test_files_of_goavro() -> None:
    folder = CORPORA / "avro" / "goavro"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    outcomes: dict[str, Outcome] = {}
    for path in sorted(folder.glob("*.avro")):
        outcomes[path.stem] = run(AVRO, path.read_bytes())
    assert {name: len(outcome.records) for name, outcome in outcomes.items() if outcome.records} == {
        "quickstop-deflate": 6001,
        "quickstop-null": 6001,
    }
    null = folder / "quickstop-null.avro"
    with null.open("rb") as file:
        reference = list(fastavro.reader(file))
    for record, expected in zip(outcomes["quickstop-null"].records, reference, strict=True):
        for name, value in expected.items():
            if isinstance(value, str) and name not in ("message", "text"):
                assert value in record.values()
    bad = [name for name, outcome in outcomes.items() if outcome.error or outcome.rejects or outcome.oversize]
    assert {"bad-header", "quickstop-snappy", "syncMarkerMismatch", "blockSizeExceedsMaxBlockSize"} <= set(
        bad
    )


def test_the_published_schema_goes_the_fast_way() -> None:
    schema = json.loads((Path(avro.__file__).parent / "schemas" / "log_entry.avsc").read_text())
    rows = [
        ROW | {"timestamp": MOMENT, "run": "r", "seq": 7},
        ROW | {"timestamp": MOMENT, "run": None, "seq": None},
    ]
    assert is_fast(schema, rows)
    outcome = run(AVRO, written(schema, rows))
    assert [record["seq"] for record in outcome.records] == ["7", None]
    assert outcome.records[0]["timestamp"] == TIMESTAMP
