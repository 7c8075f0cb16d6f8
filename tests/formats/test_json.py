"""JSON: cases, attacks on the fast way, and properties of any input."""

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import json as json_format
from formats import mapping
from formats.mapping import Mapper
from tests.formats.harness import ADDED, CONTEXT, CORPORA, RECEIVED_AT, cases, encode, parse, run, run_case

pytestmark = pytest.mark.usefixtures("way")

RECORD = b'{"timestamp":"2026-11-20T12:00:00.000000Z","level":"INFO","service":"api","message":"m"}\n'


def record(**fields: Any) -> bytes:
    return json.dumps(json.loads(RECORD) | fields, separators=(",", ":")).encode() + b"\n"


def is_fast(block: bytes) -> bool:
    return json_format.encode_canonical(block, CONTEXT) is not None


@pytest.mark.parametrize("case", cases("json", "valid"), ids=lambda case: case.stem)
def test_valid(case: Path) -> None:
    run_case("json", case)


@pytest.mark.parametrize("case", cases("json", "invalid"), ids=lambda case: case.stem)
def test_invalid(case: Path) -> None:
    run_case("json", case)


@pytest.mark.parametrize(
    "block",
    [
        RECORD,
        RECORD[:-1],
        RECORD * 1000,
        RECORD * 1000 + RECORD[:-1],
        (RECORD * 50).replace(b"\n", b"\r\n"),
        RECORD.replace(b"{", b"{ ").replace(b"}", b',\t"a":[1, {}] }'),
        record(hostname="own", format=None) * 20,
        record(hostname=1, source_ip=2, format=3, received_at=4) * 2,
        "".join(
            json.dumps({**json.loads(RECORD), "x": "ü"}, ensure_ascii=False) + "\n" for _ in "ab"
        ).encode(),
    ],
)
def test_the_stored_form_goes_the_fast_way_and_keeps_its_bytes(block: bytes) -> None:
    assert is_fast(block)
    (encoded,) = json_format.encode(block, CONTEXT)
    output = b"".join(encoded.chunks)
    for line, stored in zip(block.splitlines(), output.split(b"\n"), strict=False):
        assert stored.endswith(line[1:])


ATTACKS = {
    "as many records as lines, one spread": RECORD[:-1] + b" " + RECORD + b'{"a":\n{"b":1}}\n',
    "canonical, one spread over two lines": RECORD[:-1] + RECORD + RECORD.replace(b",", b",\n", 1),
    "two on a line, then a blank line": RECORD[:-1] + RECORD + b"\n",
    "leading blank line": b"\n" + RECORD,
    "blank line between": RECORD + b"\n" + RECORD,
    "line feed in a string": RECORD.replace(b'"m"', b'"}\n{"'),
    "object in an object over lines": record(x={"a": 1})[:-2] + b'\n,"y":{}\n}\n',
    "no last line feed, two on a line": RECORD + RECORD[:-1] + RECORD[:-1],
    "garbage behind": RECORD + b"x",
    "empty object": RECORD + b"{}\n" + RECORD,
    "array": b"[" + RECORD[:-1] + b"]\n",
    "level as synonym": record(level="info"),
    "level null": record(level=None),
    "enrichment key once": RECORD + record(hostname="x") + RECORD,
    "enrichment key null": RECORD + record(source_ip=None),
    "enrichment key 0": RECORD + record(source_ip=0),
    "enrichment key escaped": RECORD + RECORD.replace(b"}", b',"\\u0066ormat":1}'),
    "timestamp of 27 others": record(timestamp="2026-11-20 12:00:00.000000Z"),
    "timestamps that are right only joined": record(timestamp="2026-11-20T12:00:00.000000Z2")
    + record(timestamp="026-11-20T12:00:00.000000Z"),
    "invalid UTF-8 in a field nobody reads": RECORD.replace(b"}", b',"x":"\xff"}'),
    "control character in a field nobody reads": RECORD.replace(b"}", b',"x":"\x01"}'),
    "bad number in a field nobody reads": RECORD.replace(b"}", b',"x":01}'),
    "bottomless": RECORD.replace(b"}", b',"x":' + b"[" * 10**5 + b"}"),
    "mixed line ends": RECORD + RECORD.replace(b"\n", b"\r\n"),
    "CR as whitespace": RECORD.replace(b",", b",\r", 1),
    "CR CR LF": RECORD.replace(b"\n", b"\r\r\n"),
    "CR CR at the end": RECORD + RECORD[:-1] + b"\r\r",
    "CR in a string": RECORD.replace(b'"m"', b'"\r"'),
    "CR alone between": RECORD.replace(b"\n", b"\r") + RECORD,
}


@pytest.mark.parametrize("block", ATTACKS.values(), ids=ATTACKS.keys())
def test_what_is_not_the_stored_form_is_found(block: bytes) -> None:
    assert not is_fast(block)
    assert not is_fast(RECORD * 40 + block + (b"" if block.endswith(b"x") else RECORD * 40))
    if len(block) < 10_000:
        run("json", block)


def test_one_bad_record_costs_only_itself() -> None:
    good = [record(seq=index) for index in range(1000)]
    for position in (0, 1, 499, 998, 999):
        outcome = encode("json", b"".join([*good[:position], b"bad\n", *good[position:]]))
        assert [int(stored["seq"]) for stored in outcome.records] == list(range(1000))
        assert outcome.rejects == [("invalid_json", b"bad")]


def test_few_bad_records_leave_most_to_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    mapped = []
    row = Mapper.row
    monkeypatch.setattr(Mapper, "row", lambda self, data: mapped.append(data) or row(self, data))
    good = [record(seq=index) for index in range(2000)]
    encode("json", b"".join([*good[:1234], b"bad\n", *good[1234:]]))
    assert 0 < len(mapped) <= 64


@pytest.mark.parametrize("number", [1, 2, 3, 31, 32, 33, 64, 257, 300])
def test_every_line_bad(number: int) -> None:
    assert encode("json", b"{\n" * number).rejects == [("invalid_json", b"{")] * number


def test_nothing_comes_of_blank_lines() -> None:
    for block in (b"", b"\n", b"\n" * 5000, b" \r\n" * 100, b"\t"):
        assert encode("json", block) == ([], [])


def test_a_bottomless_line_leaves_its_neighbours() -> None:
    for bottomless in (b"[" * 100_000, b'{"a":' * 100_000, b'[{"a":' * 100_000):
        outcome = encode("json", RECORD + bottomless + b"\n" + RECORD)
        assert len(outcome.records) == 2
        assert outcome.rejects == [("too_deep", bottomless)]


def test_numbers_of_ten_thousand_digits_are_kept() -> None:
    number = "7" * 10_000
    for line in (RECORD.replace(b"}", b',"n":%s}\n' % number.encode()), b'{"n":%s}' % number.encode()):
        assert encode("json", line).records[0]["n"] == number


_names = st.one_of(
    st.text(max_size=8),
    st.sampled_from([*ADDED, "format", "received_at", "timestamp", "level", "service", "message"]),
    st.sampled_from(" ".join(mapping._NAMES.values()).replace("?", "").split()).map(str.title),
)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
_values = st.recursive(
    _scalars | st.sampled_from(["error", "2026-11-20T12:00:00Z", "1763640000"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_canonical = st.fixed_dictionaries(
    {
        "timestamp": st.sampled_from(["2026-11-20T12:00:00.000000Z", "2027-01-01T00:00:00.999999Z"]),
        "level": st.sampled_from(["INFO", "ERROR"]),
        "service": st.text(max_size=5),
        "message": st.text(max_size=20),
    },
    optional={"extra": _values, "hostname": _values},
)
_objects = st.dictionaries(_names, _values, max_size=6) | _canonical


def _render(objects: list[dict[str, Any]], ascii_only: bool, end: str) -> bytes:
    return "".join(json.dumps(object_, ensure_ascii=ascii_only) + end for object_ in objects).encode()


@given(st.lists(_objects, max_size=40), st.booleans(), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_any_objects(objects: list[dict[str, Any]], ascii_only: bool, end: str) -> None:
    block = _render(objects, ascii_only, end)
    outcome = encode("json", block)
    assert len(outcome.records) + len(outcome.rejects) == len(objects)
    refused = [parse(data) for _, data in outcome.rejects]
    as_written = [parse(json.dumps(object_).encode()) for object_ in objects]
    accepted = [object_ for object_ in as_written if object_ not in refused]
    for sent, stored in zip(accepted, outcome.records, strict=True):
        assert {*ADDED, "format", "received_at", "timestamp", "level", "service", "message"} <= set(stored)
        for name, value in sent.items():
            if mapping._ROLES.get(name.lower()) is None:
                assert stored[name] == value
        for name, value in {**ADDED, "received_at": RECEIVED_AT, "format": "json"}.items():
            assert stored[name] == sent.get(name, value)


@given(st.lists(_canonical, min_size=1, max_size=40), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_the_fast_way_and_the_careful_way_agree(
    objects: list[dict[str, Any]], ascii_only: bool, end: str
) -> None:
    block = _render(objects, ascii_only, end)
    mapper = Mapper(CONTEXT, "json")
    careful = [parse(mapper.row(line.encode()).line) for line in block.decode().split(end)[:-1]]
    assert encode("json", block) == (careful, [])


@given(st.lists(st.sampled_from([b"{", b"}", b"\n", b'"', b":", b",", b"[", b"]", b"\r", b" ", b"1", RECORD,
                                 RECORD[:-1], b'"a"', b"\xff", b"}\n{"]), max_size=30))  # fmt: skip
def test_any_bytes_are_accounted_for_by_lines(parts: list[bytes]) -> None:
    """Each line alone gives what it gives among the others."""
    block = b"".join(parts)
    whole = encode("json", block)
    alone = [encode("json", line) for line in block.split(b"\n")]
    assert whole.records == [stored for outcome in alone for stored in outcome.records]
    assert whole.rejects == [reject for outcome in alone for reject in outcome.rejects]
    assert all(outcome != ([], []) for outcome, line in zip(alone, block.split(b"\n"), strict=True)
               if line.strip(b"[] \r"))  # fmt: skip


def test_random_damage() -> None:
    rng = random.Random(7)
    block = b"".join(record(seq=index, text="ü}{") for index in range(60))
    for _ in range(300):
        damaged = bytearray(block)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        outcome = encode("json", bytes(damaged))
        lines = [line for line in bytes(damaged).split(b"\n") if line.strip()]
        assert len(outcome.records) + len(outcome.rejects) == len(lines)


def test_json_test_suite() -> None:
    suite = CORPORA / "json" / "JSONTestSuite"
    if not suite.is_dir():
        pytest.skip(f"no {suite}")
    verdicts = 0
    for path in sorted((suite / "test_parsing").iterdir()):
        value = path.read_bytes()
        if b"\n" in value.rstrip(b"\n"):
            continue  # is more than one line here
        value = value.rstrip(b"\n")
        wrapped = encode("json", b'{"x":' + value + b"}\n")
        plain = encode("json", value)  # whatever it is, nothing but records and rejects comes of it
        is_object = plain.rejects == [] and value.strip().startswith(b"{")
        match path.name[0]:
            case "y":
                assert len(wrapped.records) == 1, path.name
                assert not plain.rejects or all(reason != "invalid_json" for reason, _ in plain.rejects)
            case "n" if value.strip():
                assert not is_object, path.name
                if path.name != "n_structure_close_unopened_array.json":
                    assert wrapped.records == [], path.name
        verdicts += 1
    assert verdicts > 300


def test_ndjson_of_others() -> None:
    corpus = CORPORA / "json" / "ndjson_cases.jsonl"
    if not corpus.is_file():
        pytest.skip(f"no {corpus}")
    for line in corpus.read_text().splitlines():
        case = json.loads(line)
        outcome = run("json", base64.b64decode(case["raw_b64"]))
        assert len(outcome.records) == len(case.get("expect", {}).get("records", []))
