"""Raw text: cases, and properties of any lines."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import raw
from formats.record import Enrichment
from tests.formats.harness import (
    CONTEXT,
    CORPORA,
    RECEIVED_AT,
    cases,
    check,
    encode,
    own,
    parse,
    run,
    run_case,
)

pytestmark = pytest.mark.usefixtures("way")


@pytest.mark.parametrize("case", cases("raw", "valid"), ids=lambda case: case.stem)
def test_valid(case: Path) -> None:
    run_case("raw", case)


@pytest.mark.parametrize("case", cases("raw", "invalid"), ids=lambda case: case.stem)
def test_invalid(case: Path) -> None:
    run_case("raw", case)


def test_order_is_kept_across_both_ways() -> None:
    lines = [
        f"2026-11-20 12:00:{index % 60:02d},{index % 1000:03d} INFO api: {index}"
        if index % 3
        else f"plain {index}"
        for index in range(500)
    ]
    outcome = encode("raw", "\n".join(lines).encode())
    assert [record["message"].removeprefix("plain ") for record in outcome.records] == [
        str(i) for i in range(500)
    ]
    assert [record["level"] for record in outcome.records] == ["INFO"] * 500


def test_enrichment_does_not_hide_the_process_id() -> None:
    context = Enrichment({"pid": b'"enriched"', "parse_error": b'"enriched"'}).at(RECEIVED_AT, "unknown")
    (encoded,) = raw.encode(
        b"2026-11-20 12:00:00 INFO api[42]: one\n2026-11-20 12:00:00 INFO api: two\n", context
    )
    first, second = [
        json.loads(line, object_pairs_hook=list) for line in b"".join(encoded.chunks).splitlines()
    ]
    assert ("pid", 42) in first and ("pid", "enriched") not in first
    assert ("pid", "enriched") in second
    kept = json.loads(raw.Kept(context).row(b"x", "why").line, object_pairs_hook=list)
    assert [value for name, value in kept if name == "parse_error"] == ["why"]


def test_a_line_kept_whole() -> None:
    row = raw.Kept(CONTEXT).row('{"é":\x00 "'.encode(), 'invalid_json: "quoted"')
    record = parse(row.line)
    assert own(record) == {
        "timestamp": RECEIVED_AT,
        "level": "INFO",
        "service": "unknown",
        "message": '{"é":\x00 "',
        "parse_error": 'invalid_json: "quoted"',
    }
    assert (row.timestamp, row.level, row.service) == (RECEIVED_AT, "INFO", "unknown")


def test_nothing_comes_of_blank_lines() -> None:
    for block in (b"", b"\n", b"\n" * 1000, b" \r\n\t\n", b"\x0b\x0c\r", b" \xc2\xa0\n"[:1]):
        assert encode("raw", block) == ([], [])


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=30), max_size=20))
def test_any_text_is_kept(lines: list[str]) -> None:
    outcome = encode("raw", "\n".join(lines).encode())
    texts = [line.removesuffix("\r") for line in lines if line.strip(" \t\r\v\f")]
    assert outcome.rejects == []
    assert len(outcome.records) == len(texts)
    for text, record in zip(texts, outcome.records, strict=True):
        assert text.endswith(record["message"])


@given(st.binary(max_size=200))
def test_any_bytes_are_accounted_for_by_lines(block: bytes) -> None:
    outcome = encode("raw", block)
    lines = [line for line in block.split(b"\n") if line.strip()]
    assert len(outcome.records) + len(outcome.rejects) == len(lines)
    alone = [encode("raw", line) for line in block.split(b"\n")]
    assert outcome.records == [record for one in alone for record in one.records]
    assert outcome.rejects == [reject for one in alone for reject in one.rejects]


def test_logs_of_others() -> None:
    files = [path for path in (CORPORA / "logs").rglob("*") if path.is_file()]
    if not files:
        pytest.skip(f"no {CORPORA / 'logs'}")
    for path in files:
        block = path.read_bytes()
        (encoded,) = raw.encode(block, CONTEXT)
        check(encoded)
        lines = [line for line in block.split(b"\n") if line.strip()]
        assert encoded.records + len(encoded.rejects) == len(lines), path
        if not encoded.rejects:
            for line, stored in zip(lines, b"".join(encoded.chunks).splitlines(), strict=True):
                assert line.removesuffix(b"\r").endswith(parse(stored)["message"].encode())


def test_a_real_shape() -> None:
    outcome = run("raw", b"2026-11-20 12:00:00,123 ERROR payments: card refused\n" * 3)
    assert [own(record) for record in outcome.records] == [
        {
            "timestamp": "2026-11-20T12:00:00.123000Z",
            "level": "ERROR",
            "service": "payments",
            "message": "card refused",
        }
    ] * 3
