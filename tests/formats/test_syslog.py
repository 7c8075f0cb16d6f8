"""Syslog: cases, both framings, properties against a reference encoder, and what other projects' suites know."""

import base64
import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import syslog
from formats.record import Enrichment
from formats.syslog_framing import Frames
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


def encode(block: bytes) -> Outcome:
    outcome = Outcome([], [])
    for encoded in syslog.encode(block, CONTEXT):
        check(encoded)
        for line in b"".join(encoded.chunks).splitlines():
            record = parse(line)
            assert record["format"] == encoded.format == ("raw" if _is_kept(record) else "syslog")
            outcome.records.append(_own(record))
        outcome.rejects.extend((reject.reason, reject.data) for reject in encoded.rejects)
    return outcome


def encode_cut(data: bytes, cuts: list[int]) -> Outcome:
    framer = Frames(_LIMIT_BYTES)
    outcome = Outcome([], [])
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        block = framer.feed(data[start:end])
        assert block == b"" or block.endswith(b"\n")
        _add(outcome, encode(block))
    _add(outcome, encode(framer.finish()))
    assert not framer.oversize and not framer.pending_bytes
    return outcome


def run(data: bytes) -> Outcome:
    """Encode whole, byte by byte and cut at random; all must agree."""
    whole = encode(data)
    assert encode_cut(data, list(range(1, len(data)))) == whole
    rng = random.Random(len(data))
    for _ in range(5):
        assert encode_cut(data, sorted(rng.sample(range(len(data) + 1), k=min(4, len(data))))) == whole
    return whole


def _is_kept(record: Record) -> bool:
    return str(record.get("parse_error", "")).startswith("invalid_syslog")


def _own(record: Record) -> Record:
    added = ADDED | {"received_at": RECEIVED_AT}
    return {name: value for name, value in record.items() if added.get(name) != value and name != "format"}


def _add(outcome: Outcome, more: Outcome) -> None:
    outcome.records.extend(more.records)
    outcome.rejects.extend(more.rejects)


def _counted(*messages: bytes) -> bytes:
    return b"".join(b"%d %b" % (len(message), message) for message in messages)


@pytest.mark.parametrize(
    "case", cases("syslog", "valid") + cases("syslog", "invalid"), ids=lambda case: case.stem
)
def test_case(case: Path) -> None:
    assert run(case.read_bytes()) == expected(case)


@pytest.mark.parametrize("case", cases("syslog", "valid"), ids=lambda case: case.stem)
def test_columns_say_what_single_messages_say(case: Path) -> None:
    """Repeated, so that each layout is cut into columns; alone, it is not."""
    lines = [line for line in case.read_bytes().split(b"\n") if line]
    rng = random.Random(1)
    many = lines * 20
    rng.shuffle(many)
    many = [line for line in many if not line[:1].isdigit() and b"\0" not in line]
    alone = [encode(line).records for line in many]
    assert encode(b"\n".join(many)).records == [record for one in alone for record in one]


_token = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
_name = st.text(st.sampled_from("abcXYZ019.@-_"), min_size=1, max_size=12)
_text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=30)
_data = st.dictionaries(_name, st.dictionaries(_name, _text, max_size=3), max_size=3)
_nil_or_token = st.one_of(st.just("-"), _token)
_message = st.tuples(
    st.integers(0, 191),
    st.datetimes(min_value=datetime(1971, 1, 1)),
    *[_nil_or_token] * 4,
    _data,
    _text,
)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _write(message: Any) -> tuple[str, Record]:
    """RFC 5424 by the letter, and the record it is."""
    pri, moment, host, application, process, message_id, data, text = message
    elements = "".join(
        f"[{name}" + "".join(f' {key}="{_escaped(value)}"' for key, value in parameters.items()) + "]"
        for name, parameters in data.items()
    )
    record: dict[str, Any] = {"timestamp": moment.isoformat(timespec="microseconds") + "Z"}
    record["level"] = ("FATAL", "FATAL", "FATAL", "ERROR", "WARN", "INFO", "INFO", "DEBUG")[pri % 8]
    record["service"] = "unknown" if application == "-" else application
    told = {"hostname": host, "procid": process, "msgid": message_id}
    record |= {name: value for name, value in told.items() if value != "-"}
    for name, parameters in data.items():
        for key, value in parameters.items():
            key = f"sd.{name}.{key}"
            record[key] = [record[key], value] if key in record else value
        if not parameters:
            record.setdefault(f"sd.{name}", True)
    record["message"] = text.removeprefix("\ufeff")
    header = f"<{pri}>1 {record['timestamp']} {host} {application} {process} {message_id} {elements or '-'}"
    return f"{header} {text}", record


@given(st.lists(_message, min_size=1, max_size=5), st.booleans())
def test_what_a_reference_writes(messages: list[Any], is_counted: bool) -> None:
    written = [_write(message) for message in messages] * 10
    lines = [line.encode() for line, _ in written]
    outcome = encode(_counted(*lines) if is_counted else b"\n".join(lines) + b"\n")
    assert outcome.rejects == []
    found = [
        {name: value for name, value in record.items() if name not in ("facility", "severity")}
        for record in outcome.records
    ]
    wanted = [record for _, record in written]
    assert [record["message"] for record in found] == [record["message"] for record in wanted]
    if not any(
        "." in name for message in messages for name in message[6]
    ):  # `a.b` and `c` may be `a` and `b.c`
        assert found == wanted


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    run(data)


@given(
    st.lists(
        st.sampled_from(
            [
                b"<13>",
                b"1 ",
                b"12 ",
                b"3",
                b"-",
                b" ",
                b"\n",
                b"\0",
                b"[a ",
                b'b="c"]',
                b"Nov 20 12:00:00 ",
                b"x: ",
            ]
        ),
        max_size=25,
    )
)
def test_any_pieces(pieces: list[bytes]) -> None:
    run(b"".join(pieces))


def test_fields_of_the_message_hide_the_enrichment() -> None:
    fields = dict.fromkeys(("hostname", "facility", "procid", "sd.a.b", "parse_error", "x"), b'"enriched"')
    context = Enrichment(fields).at(RECEIVED_AT, "unknown")
    block = b'<13>1 - h a 1 - [a b="c"] text\n<13>1 - - - - - -\nnothing\n'
    lines = b"".join(chunk for one in syslog.encode(block, context) for chunk in one.chunks).splitlines()
    for line, own in zip(
        lines, ({"facility", "hostname", "procid", "sd.a.b"}, {"facility"}, {"parse_error"}), strict=True
    ):
        pairs = json.loads(line, object_pairs_hook=list)
        assert len(pairs) == len(dict(pairs))
        assert {name for name, value in pairs if value == "enriched"} == fields.keys() - own


@pytest.mark.parametrize("number", [1, 40])
def test_a_word_in_capitals_behind_the_time_is_a_tag_unless_cisco_or_a_known_zone_say_otherwise(
    number: int,
) -> None:
    lines = b"<86>Nov 20 12:00:00 CRON: a\n<86>Nov 20 12:00:00 JST: %SYS-5-B: c\n<86>Nov 20 12:00:00 EST: tag: d\n"
    told = [
        (record["service"], record["timestamp"][11:19], record["message"])
        for record in encode(lines * number)[0]
    ]
    cron, cisco, est = ("CRON", "12:00:00", "a"), ("SYS", "12:00:00", "c"), ("tag", "17:00:00", "d")
    assert told == [cron, cisco, est] * number


def test_local_times_are_in_the_zone_of_the_settings() -> None:
    block = b"<13>Nov 20 12:00:00 h a: b\n<13>2026-07-01T12:00:00 h a: b\n<13>Nov 20 12:00:00 UTC: b\n"
    zone = ZoneInfo("Europe/Berlin")
    (encoded,) = syslog.encode(block, Enrichment({}, zone).at(RECEIVED_AT, "unknown"))
    times = [parse(line)["timestamp"][:19] for line in b"".join(encoded.chunks).splitlines()]
    assert times == ["2026-11-20T11:00:00", "2026-07-01T10:00:00", "2026-11-20T12:00:00"]
    assert zone is not UTC


@pytest.mark.parametrize(
    "message",
    [
        b"<13>1 - h a p m " + b"[example]" * 30 + b"invalid",
        b"<13>1 - h a p m " + b"[a" * 200_000,
        b'<13>1 - h a p m [a b="' + b"\\" * 500_000,
        b'<13>1 - h a p m [a b="' + b'\\"' * 250_000,
        b"<13>1 - " + b"- " * 300_000,
        b"<13>Nov 20 12:00:00 " + b"a" * 500_000,
        b"<13>Nov 20 12:00:00 " + b"a:" * 250_000,
        b"<13>Nov 20 12:00:00 " + b"a[" * 250_000,
        b"<13>" + b"%A-" * 150_000,
        b"<13>" + b"1: " * 150_000,
        b"<13>" + b" " * 500_000,
        b"<" * 500_000,
    ],
    ids=lambda message: message[:28].decode(),
)
def test_hostile_messages_take_linear_time(message: bytes) -> None:
    start = time.process_time()
    outcome = encode(message)
    assert len(outcome.records) == 1
    assert time.process_time() - start < 2  # a second try at each character would take hours


_THEIR_NAMES = {
    "appname": "service",
    "hostname": "hostname",
    "procid": "procid",
    "msgid": "msgid",
    "message": "message",
}
_NOT_BY_THE_RFC = {
    "M0511": "PRI 409",
    "M0644": "a space before a parameter's value",
    "M0650": "structured data is missing",
}


def _told(value: str | dict[str, str] | None) -> str:
    """A value of the corpus as ours: no BOM, and bytes that are not UTF-8 escaped."""
    if isinstance(value, dict):
        return base64.b64decode(value["b64"]).decode(errors="backslashreplace")
    return (value or "").lstrip("\ufeff")


def _corpus(name: str) -> Iterator[dict[str, Any]]:
    path = CORPORA / "syslog" / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def test_messages_of_other_suites() -> None:
    """Where they say what a message is, and it is within either RFC, ours says the same; no text is lost."""
    disagreements: set[str] = set()
    for row in _corpus("messages.jsonl"):
        message = base64.b64decode(row["raw_b64"]).rstrip(b"\r\n\0")
        if row["kind"] not in ("rfc5424", "rfc3164") or not message.strip():
            continue
        outcome = run(_counted(message))
        assert len(outcome.records) == 1 and not outcome.rejects, row["id"]
        (record,) = outcome.records
        assert message.decode(errors="backslashreplace").endswith(record["message"].lstrip("\ufeff")), row[
            "id"
        ]
        if row.get("error") or row["kind"] != "rfc5424":
            continue
        wanted = row["expect"]
        for theirs, ours in _THEIR_NAMES.items():
            known = record.get(ours)
            if (ours == "service" and known == "unknown") or known == "":
                known = None
            if theirs in wanted and _told(wanted[theirs]) != (known or ""):
                disagreements.add(row["id"])
        for name, parameters in wanted.get("structured_data") or ():
            for key, value in parameters:
                if value != record.get(f"sd.{name}.{key}"):
                    disagreements.add(row["id"])
    assert disagreements <= _NOT_BY_THE_RFC.keys()
