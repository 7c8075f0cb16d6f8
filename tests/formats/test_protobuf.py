"""Protobuf: cases, the fast way against the careful one, a reference encoder, and any bytes."""

import json
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import Format, protobuf
from formats.delimited import Delimited, cut
from formats.record import Enrichment
from formats.schemas.log_entry_pb2 import LogEntry
from tests.formats.binary import cases, frame, run, run_case, run_cut
from tests.formats.harness import ADDED, CONTEXT, CORPORA, RECEIVED_AT, parse

pytestmark = pytest.mark.usefixtures("way")

PROTOBUF = Format("protobuf", Delimited, protobuf.encode)
ENTRY: dict[str, Any] = {
    "timestamp": "2026-11-20T12:00:00.000000Z",
    "level": "INFO",
    "service": "api",
    "message": "m",
    "run": "r",
    "seq": 1,
}


def message(**fields: Any) -> bytes:
    return frame(LogEntry(**fields).SerializeToString())


def is_fast(data: bytes) -> bool:
    block, rest = cut(data)
    return rest == b"" and protobuf._read_columns(block) is not None


@pytest.fixture(params=["few", "many"], autouse=True)
def how_many_are_few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test twice: blocks are short, and would hardly ever go the fast way."""
    if request.param == "many":
        monkeypatch.setattr(protobuf, "_FEW", 1)


@pytest.mark.parametrize("case", cases("protobuf", "valid"), ids=lambda case: case.stem)
def test_valid(case: Path) -> None:
    run_case(PROTOBUF, case)


@pytest.mark.parametrize("case", cases("protobuf", "invalid"), ids=lambda case: case.stem)
def test_invalid(case: Path) -> None:
    run_case(PROTOBUF, case)


def test_generated_code_is_current(tmp_path: Path) -> None:
    schemas = Path(protobuf.__file__).parent / "schemas"
    sources = sorted(schemas.glob("*.proto"))
    arguments = ["-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    names = [str(source.relative_to(schemas.parents[1])) for source in sources]
    command = [sys.executable, "-m", "grpc_tools.protoc", *arguments, *names]
    subprocess.run(command, cwd=schemas.parents[1], check=True)
    for made in sorted((tmp_path / "formats" / "schemas").iterdir()):
        committed = (schemas / made.name).read_text()
        # Newer compilers write the same code with another version of themselves on it.
        assert _without_version(committed) == _without_version(made.read_text()), f"run: {' '.join(command)}"
    assert len(sources) == 2


def _without_version(code: str) -> list[str]:
    return [
        line
        for line in code.splitlines()
        if not line.startswith("# Protobuf Python Version") and not line.strip(" ,").isdecimal()
    ]


@pytest.mark.parametrize(
    "fields",
    [
        ENTRY,
        {name: ENTRY[name] for name in ("timestamp", "level", "service", "message")},
        {"message": "only"},
        {"timestamp": ENTRY["timestamp"], "seq": 2**64 - 1},
        ENTRY | {"message": "x" * 100},
        ENTRY | {"message": "x" * 5000},
        ENTRY | {"message": "x" * 16_383},
        ENTRY | {"message": "ü" * 60, "service": "s" * 127},
    ],
)
def test_entries_that_are_alike_go_the_fast_way(fields: dict[str, Any]) -> None:
    assert is_fast(message(**fields)) == (protobuf._FEW == 1)
    assert is_fast(message(**fields) * 300)
    outcome = run(PROTOBUF, message(**fields) * 10)
    assert len(outcome.records) == 10
    assert {name: outcome.records[9][name] for name in fields} == fields | (
        {"seq": str(fields["seq"])} if "seq" in fields else {}
    )


ATTACKS = {
    "one without level": message(**ENTRY | {"level": ""}),
    "one with attributes": message(**ENTRY, attributes={"a": "b"}),
    "one empty": frame(b""),
    "a field twice": frame(LogEntry(**ENTRY).SerializeToString() + b"\x38\x05"),
    "a field twice, one missing": frame(b'\x12\x01I\x12\x01I\x1a\x01a"\x01m'),
    "another order": frame(b'"\x01m' + LogEntry(**ENTRY | {"message": ""}).SerializeToString()),
    "a text that ends in the next": frame(LogEntry(**ENTRY).SerializeToString()[:-5] + b"\x32\x05r\x38\x01"),
    "a varint that ends in the next": frame(LogEntry(**ENTRY).SerializeToString()[:-1] + b"\x81"),
    "a varint of two, shorter than it seems": frame(
        LogEntry(**ENTRY).SerializeToString()[:-1] + b"\x01\x48\x01"
    ),
    "an unknown field that hides the next": frame(LogEntry(**ENTRY).SerializeToString() + b"\x4a\x30"),
    "a filler": frame(b"\x78\x00" + LogEntry(**ENTRY).SerializeToString()),
    "a packed seq": frame(LogEntry(**ENTRY | {"seq": 0}).SerializeToString() + b"\x3a\x01\x05"),
    "seq alone": message(seq=3),
    "a length of four bytes": b"\x83\x80\x80\x00\x22\x01a",
    "run behind the end": frame(b"\x32\x7f"),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_the_fast_way_is_not_fooled(attack: bytes) -> None:
    good = message(**ENTRY)
    for data in (good + attack + good, attack + good * 2, good * 40 + attack + good * 40):
        assert not is_fast(data)
        alone = run(PROTOBUF, attack)
        outcome = run(PROTOBUF, data)
        assert len(outcome.records) + len(outcome.rejects) == len(cut(data)[0].starts)
        assert outcome.rejects == alone.rejects
        for stored in alone.records:
            assert stored in outcome.records


def test_one_bad_message_costs_only_itself() -> None:
    good = [message(**ENTRY | {"seq": 1 + index}) for index in range(1000)]
    for position in (0, 1, 499, 998, 999):
        data = b"".join([*good[:position], frame(b"bad"), *good[position:]])
        outcome = run_cut(PROTOBUF, data, [])
        assert [int(stored["seq"]) for stored in outcome.records] == list(range(1, 1001))
        assert outcome.rejects == [("invalid_protobuf", b"bad")]


def test_few_bad_messages_leave_most_to_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    single = []
    encode_one = protobuf._encode_one
    monkeypatch.setattr(
        protobuf, "_encode_one", lambda *arguments: single.append(arguments) or encode_one(*arguments)
    )
    run_cut(PROTOBUF, message(**ENTRY) * 1234 + frame(b"bad") + message(**ENTRY) * 766, [])
    assert 0 < len(single) <= 64


def test_enrichment_never_overwrites_what_is_sent() -> None:
    context = Enrichment({"run": b'"enriched"', 'odd "name': b"1"}).at(RECEIVED_AT, "unknown")
    for fields, run_ in ((ENTRY, "r"), ({"message": "m"}, "enriched")):
        (encoded,) = protobuf.encode(message(**fields), context)
        pairs = json.loads(b"".join(encoded.chunks), object_pairs_hook=list)
        assert [value for name, value in pairs if name == "run"] == [run_]
        assert ('odd "name', 1) in map(tuple, pairs)


_text = st.text(max_size=10) | st.text(min_size=100, max_size=200)
_entries = st.fixed_dictionaries(
    {},
    optional={
        "timestamp": st.sampled_from(
            ["2026-11-20T12:00:00.000001Z", "2026-11-20T12:00:00Z", "1763640000", ""]
        ),
        "level": st.sampled_from(["INFO", "ERROR", "warning", ""]),
        "service": _text,
        "message": _text,
        "run": _text,
        "seq": st.integers(0, 2**64 - 1) | st.just(0),
        "attributes": st.dictionaries(
            st.sampled_from(["a", "level", "hostname", "attributes.level"]) | _text, _text
        ),
    },
)
_READ = {"2026-11-20T12:00:00Z": "2026-11-20T12:00:00.000000Z", "1763640000": "2025-11-20T12:00:00.000000Z"}


def stored(entry: dict[str, Any]) -> dict[str, Any]:
    """What becomes of an entry, by the schema's own words; its attributes apart."""
    timestamp = entry.get("timestamp") or RECEIVED_AT
    record = {
        "timestamp": _READ.get(timestamp, timestamp),
        "level": {"warning": "WARN"}.get(level := entry.get("level") or "INFO", level),
        "service": entry.get("service") or "unknown",
        "message": entry.get("message", ""),
    }
    if entry.get("run"):
        record["run"] = entry["run"]
    if entry.get("run") or entry.get("seq"):
        record["seq"] = str(entry.get("seq", 0))
    return record


@given(st.lists(_entries, max_size=40), st.booleans())
def test_any_entries(entries: list[dict[str, Any]], alike: bool) -> None:
    if alike and entries:
        entries = [entries[0]] * len(entries)
    outcome = run_cut(PROTOBUF, b"".join(message(**entry) for entry in entries), [])
    assert outcome.rejects == []
    for entry, record in zip(entries, outcome.records, strict=True):
        expected = stored(entry)
        attributes = entry.get("attributes", {})
        assert {name: record[name] for name in expected} == expected
        own = {name for name in attributes if name not in protobuf._OWN}
        renamed = sorted(value for name, value in attributes.items() if name in protobuf._OWN)
        assert {name: record[name] for name in own} == {name: attributes[name] for name in own}
        added = ADDED | {"received_at": RECEIVED_AT, "format": "protobuf"}
        assert {name: record[name] for name in added.keys() - own} == {
            name: added[name] for name in added.keys() - own
        }
        rest = record.keys() - expected.keys() - own - added.keys()
        assert sorted(record[name] for name in rest) == renamed


@given(
    st.lists(_entries, min_size=1, max_size=10),
    st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=3),
)
def test_damage_is_told_as_one_by_one(entries: list[dict[str, Any]], damage: list[tuple[int, int]]) -> None:
    data = bytearray().join(message(**entry) for entry in entries)
    for position, byte in damage:
        data[position % len(data)] = byte
    whole, _ = cut(bytes(data))
    (together,) = protobuf.encode(whole, CONTEXT)
    bounds = [*whole.starts.tolist(), len(whole)]
    alone = [protobuf.encode(whole[start:end], CONTEXT)[0] for start, end in pairwise(bounds)]
    lines = b"".join(chunk for encoded in alone for chunk in encoded.chunks).splitlines()
    assert list(map(parse, b"".join(together.chunks).splitlines())) == list(map(parse, lines))
    assert together.rejects == [reject for encoded in alone for reject in encoded.rejects]
    assert together.records + len(together.rejects) == len(whole.starts)


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    run_cut(PROTOBUF, data, [])
    protobuf.encode(data, CONTEXT)


def test_random_damage_to_many() -> None:
    rng = random.Random(7)
    block = b"".join(message(**ENTRY | {"seq": index + 1}) for index in range(200))
    for _ in range(100):
        damaged = bytearray(block)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        run_cut(PROTOBUF, bytes(damaged), [])


def test_wire_format_of_others() -> None:
    corpus = CORPORA / "protobuf" / "protobuf_wire.jsonl"
    if not corpus.is_file():
        pytest.skip(f"no {corpus}")
    verdicts = 0
    for line in corpus.read_text().splitlines():
        case = json.loads(line)
        if not case.get("raw_hex"):
            continue
        raw = bytes.fromhex(case["raw_hex"])
        outcome = run(PROTOBUF, message(**ENTRY) + frame(raw) + message(**ENTRY))
        assert len(outcome.records) + len(outcome.rejects) == 3
        if case["ref_python_protobuf_as_Empty"] == "reject":  # then it is no message of any type
            assert [data for _, data in outcome.rejects] == [raw]
            verdicts += 1
    assert verdicts > 50
