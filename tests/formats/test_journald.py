"""The journal: cases, framing, properties against a reference encoder, and genuine journals of both kinds."""

import base64
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import journald
from formats.errors import FrameError
from formats.journald_framing import DATA_LIMIT_BYTES, Journal
from formats.record import Enrichment
from tests.formats.harness import (
    ADDED,
    CONTEXT,
    CORPORA,
    RECEIVED_AT,
    Outcome,
    Record,
    cases,
    check,
    expected,
    parse,
)

pytestmark = pytest.mark.usefixtures("way")

_LIMIT_BYTES = 2_000_000
ENTRY = b"__REALTIME_TIMESTAMP=1763640000000001\nPRIORITY=3\nSYSLOG_IDENTIFIER=api\nMESSAGE=m\n\n"
STORED = {
    "timestamp": "2025-11-20T12:00:00.000001Z",
    "level": "ERROR",
    "service": "api",
    "message": "m",
    "PRIORITY": "3",
}


def encode(block: bytes) -> Outcome:
    outcome = Outcome([], [])
    for encoded in journald.encode(block, CONTEXT):
        check(encoded)
        for line in b"".join(encoded.chunks).splitlines():
            record = parse(line)
            assert record["format"] == encoded.format == ("raw" if "parse_error" in record else "journald")
            outcome.records.append(_own(record))
        outcome.rejects.extend((reject.reason, reject.data) for reject in encoded.rejects)
    return outcome


def encode_cut(data: bytes, cuts: list[int], limit_bytes: int = _LIMIT_BYTES) -> Outcome:
    framer = Journal(limit_bytes)
    outcome = Outcome([], [])
    try:
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            _add(outcome, encode(framer.feed(data[start:end])))
            assert framer.pending_bytes <= max(limit_bytes, 1024)  # an excerpt of what is skipped
        framer.feed(b"")
    except FrameError as error:
        outcome.rejects.append((error.reason, b""))
        return outcome
    _add(outcome, encode(framer.finish()))
    assert not framer.pending_bytes
    outcome.rejects.extend(("oversize", excerpt) for excerpt in framer.oversize)
    return outcome


def run(data: bytes, limit_bytes: int = _LIMIT_BYTES) -> Outcome:
    """Encode whole, byte by byte and cut at random; all must agree, but on the excerpts of what is oversize."""
    whole = encode_cut(data, [], limit_bytes)
    rng = random.Random(len(data))
    ways = [list(range(1, len(data)))]
    ways += [sorted(rng.sample(range(len(data) + 1), k=min(4, len(data)))) for _ in range(5)]
    for cuts in ways:
        cut = encode_cut(data, cuts, limit_bytes)
        assert cut.records == whole.records
        assert [_shown(reject) for reject in cut.rejects] == [_shown(reject) for reject in whole.rejects]
    return whole


def export(fields: list[tuple[str, bytes]]) -> bytes:
    """The reference: https://systemd.io/JOURNAL_EXPORT_FORMATS/ as journalctl writes it."""
    entry = b""
    for name, value in fields:
        if re.search(rb"[\x00-\x08\x0a-\x1f]", value) or not _is_utf8(value):
            entry += name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
        else:
            entry += name.encode() + b"=" + value + b"\n"
    return entry + b"\n"


def json_line(fields: list[tuple[str, bytes]]) -> bytes:
    """The same entry as `journalctl -o json --all` writes it."""
    columns: dict[str, list[object]] = {}
    for name, value in fields:
        columns.setdefault(name, []).append(value.decode() if _is_utf8(value) else list(value))
    return json.dumps({name: c[0] if len(c) == 1 else c for name, c in columns.items()}).encode() + b"\n"


@pytest.mark.parametrize("case", cases("journald", "valid"), ids=lambda case: case.stem)
def test_valid(case: Path) -> None:
    assert run(case.read_bytes()) == expected(case)


@pytest.mark.parametrize("case", cases("journald", "invalid"), ids=lambda case: case.stem)
def test_invalid(case: Path) -> None:
    assert run(case.read_bytes()) == expected(case)


@pytest.mark.parametrize("length", [10, 0x0A0A, 0x0A0A0A, 0x0D, 0x3D])
def test_lengths_that_look_like_line_ends(length: int) -> None:
    data = b"MESSAGE\n" + length.to_bytes(8, "little") + b"\n" * length + b"\n\n"
    assert [record["message"] for record in encode_cut(ENTRY + data + ENTRY, []).records] == [
        "m",
        "\n" * length,
        "m",
    ]
    if length < 10_000:
        run(ENTRY + data + ENTRY)


@pytest.mark.parametrize("length", [DATA_LIMIT_BYTES + 1, 1 << 40, 1 << 63, (1 << 64) - 256])
def test_a_length_that_systemd_would_not_take_ends_the_stream(length: int) -> None:
    data = ENTRY + b"A=1\nMESSAGE\n" + length.to_bytes(8, "little") + b"x" * 100
    assert run(data) == ([STORED], [("invalid_frame", b"")])


def test_data_without_its_line_feed_ends_the_stream() -> None:
    data = ENTRY + b"MESSAGE\n" + (3).to_bytes(8, "little") + b"abcd\n\n" + ENTRY
    assert run(data) == ([STORED], [("invalid_frame", b"")])


@pytest.mark.parametrize(
    "long",
    [
        b"A=" + b"x" * 500 + b"\n",
        b"x" * 500 + b"\n",
        b"A\n" + (500).to_bytes(8, "little") + b"\n" * 500 + b"\n",
        b"A\n" + (500).to_bytes(8, "little") + b"x\n\n=\0" * 100 + b"\n" + b"B=" + b"y" * 500 + b"\n",
        b"A=1\n" * 100,
        b"A=\0\n" * 100,
        b"A\n"
        + (90).to_bytes(8, "little")
        + b"\n" * 90
        + b"\nB\n"
        + (90).to_bytes(8, "little")
        + b"=" * 90
        + b"\n",
    ],
)
def test_an_entry_over_the_limit_is_skipped(long: bytes) -> None:
    outcome = run(ENTRY + long + b"\n" + ENTRY + b"C=1\n" + long + b"\n" + ENTRY, limit_bytes=150)
    assert outcome.records == [STORED] * 3
    assert [reason for reason, _ in outcome.rejects] == ["oversize"] * 2


def test_an_entry_of_the_limit_is_not() -> None:
    size = len(ENTRY) - 1
    assert run(ENTRY * 3, limit_bytes=size).records == [STORED] * 3
    assert [reason for reason, _ in run(ENTRY * 3, limit_bytes=size - 1).rejects] == ["oversize"] * 3


def test_single_bytes_cost_linear_time_and_bounded_memory() -> None:
    for data in (
        b"x" * 100_000,
        b"A\n" + (50_000).to_bytes(8, "little") + b"\n" * 100_000,
        b"A=\0\n" * 25_000,
    ):
        framer = Journal(20_000)
        for index in range(len(data)):
            framer.feed(data[index : index + 1])
            assert framer.pending_bytes <= 20_001 + 9  # a length after a name is waited for


def test_a_block_is_the_very_object_that_was_read() -> None:
    assert Journal(_LIMIT_BYTES).feed(block := ENTRY * 3) is block


@pytest.mark.parametrize("priority", range(8))
def test_levels(priority: int) -> None:
    level = ["FATAL"] * 3 + ["ERROR", "WARN", "INFO", "INFO", "DEBUG"]
    (record,) = encode(b"PRIORITY=%d\nMESSAGE=m\n\n" % priority).records
    assert (record["level"], record["PRIORITY"]) == (level[priority], str(priority))


def test_what_an_entry_carries_is_not_added() -> None:
    context = Enrichment({"hostname": b'"added"', "CLUSTER": b'"added"', "base64_fields": b"1"}).at(
        RECEIVED_AT, "d"
    )
    block = b"_HOSTNAME=own\nMESSAGE=m\n\nCLUSTER=own\nMESSAGE=m\n\nA\n\x01" + b"\0" * 7 + b"\xff\n\n"
    records = [
        json.loads(line)
        for encoded in journald.encode(block, context)
        for line in b"".join(encoded.chunks).splitlines()
    ]
    found = [(record["hostname"], record["CLUSTER"], record["base64_fields"]) for record in records]
    assert found == [("own", "added", 1), ("added", "own", 1), ("added", "added", ["A"])]


_names = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True) | st.sampled_from(
    ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT", "_HOSTNAME"]
)
_values = st.one_of(
    st.text(max_size=12).map(str.encode),
    st.binary(max_size=12),
    st.sampled_from([b"", b"\n\n", b"a=b", b"\n", b"\xff", b"6", b"A=1\n\nB\n", b"\0" * 9]),
)
_entries = st.lists(st.lists(st.tuples(_names, _values), min_size=1, max_size=6), min_size=1, max_size=8)


@given(_entries, st.integers(0, 2))
def test_any_entries_are_read_back_from_either_kind(
    entries: list[list[tuple[str, bytes]]], blanks: int
) -> None:
    data = b"".join(export(fields) + b"\n" * blanks for fields in entries)
    outcome = run(data)
    assert not outcome.rejects
    assert encode_cut(b"".join(map(json_line, entries)), []) == outcome
    for fields, record in zip(entries, outcome.records, strict=True):
        columns: dict[str, list[str]] = {}
        for name, value in fields:
            columns.setdefault(name, []).append(
                value.decode() if _is_utf8(value) else base64.b64encode(value).decode()
            )
        core = {"MESSAGE": "message", "SYSLOG_IDENTIFIER": "service", "_HOSTNAME": "hostname"}
        for name, values in columns.items():
            if name in core and values[0]:
                assert record.get(core[name], ADDED.get(core[name])) == values[0]
            if name not in core or len(values) > 1:
                assert record[name] == (values[0] if len(values) == 1 else values)
        assert record.get("base64_fields", []) == list(
            dict.fromkeys(core.get(n, n) for n, v in _grouped(fields) if not _is_utf8(v))
        )


@given(
    st.lists(
        st.sampled_from([b"A", b"=", b"\n", b"\n\n", b"\0" * 7, b"\1", b"\xff", b"{", b"}", b" ", b'"A":"b"', ENTRY,
                         b"x" * 70]),
        max_size=30,
    )
)  # fmt: skip
def test_any_bytes_give_the_same_however_they_are_cut(parts: list[bytes]) -> None:
    run(b"".join(parts), limit_bytes=300)


@given(
    st.lists(
        st.sampled_from([b"A", b"=", b"\n", b"\0" * 7, b"\1", b"\xff", b"{}", b"[", b"1", b",", b'"', ENTRY])
    )
)
def test_any_block_is_encoded(parts: list[bytes]) -> None:
    encode(b"".join(parts))


@pytest.mark.parametrize("name", ["rhel91", "fluent-plugin-systemd"])
def test_genuine_journals_are_the_same_in_either_kind(name: str) -> None:
    real = CORPORA / "journald" / "real"
    if not real.is_dir():
        pytest.skip(f"{real} is not there")
    exported = (real / f"{name}.export").read_bytes()
    lines = (real / f"{name}.json-all.ndjson").read_bytes()
    whole = encode_cut(exported, [])
    assert whole == encode_cut(lines, [])
    assert len(whole.records) == lines.count(b"\n") and not whole.rejects
    assert all(record["service"] and record["message"] for record in whole.records)
    assert encode_cut(exported, list(range(1000, len(exported), 1000))) == whole


def test_cases_of_others() -> None:
    path = CORPORA / "journald" / "cases.jsonl"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    for line in path.read_text().splitlines():
        case = json.loads(line)
        if case["kind"] != "journal_export":
            continue
        outcome = run(base64.b64decode(case["raw_b64"]))
        if case.get("error"):
            assert outcome.rejects and not outcome.records, case["source"]
            continue
        read = [record for record in outcome.records if "parse_error" not in record]
        for theirs, ours in zip(case["expect"]["records"], read, strict=True):
            assert ours["message"] == theirs.get("_msg", "")


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _grouped(fields: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The fields by name, in the order in which each name comes first."""
    order = list(dict.fromkeys(name for name, _ in fields))
    return sorted(fields, key=lambda field: order.index(field[0]))


def _own(record: Record) -> dict[str, Any]:
    added = ADDED | {"received_at": RECEIVED_AT}
    return {
        name: value
        for name, value in record.items()
        if (name not in added or added[name] != value)
        and (name != "format" or value not in ("journald", "raw"))
    }


def _shown(reject: tuple[str, bytes]) -> tuple[str, bytes]:
    return (reject[0], b"") if reject[0] == "oversize" else reject


def _add(outcome: Outcome, more: Outcome) -> None:
    outcome.records.extend(more.records)
    outcome.rejects.extend(more.rejects)
