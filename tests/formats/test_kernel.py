"""The kernels beside the ways in Python: they take what most senders send, and make the same of it."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import FORMATS, kernel
from formats import json as json_format
from formats.cores import ALL_COLUMNS, NO_COLUMNS, Joined, Search, Wanted
from formats.record import Encoded, Enrichment
from tests.formats.harness import CONTEXT, RECEIVED_AT, assert_same_both_ways, check, check_columns

pytestmark = pytest.mark.skipif(not kernel.COMPILED, reason="no C compiler when this was installed")

CORE = {"timestamp": "2026-11-20T12:00:00.000000Z", "level": "INFO", "service": "api", "message": "m"}


def line(**fields: Any) -> bytes:
    return json.dumps(CORE | fields, ensure_ascii=False).encode() + b"\n"


def is_taken(block: bytes) -> bool:
    return json_format._enrich(block, CONTEXT) is not None


TAKEN = {
    "many fields": line(a=1, b=-2.5e-7, c=True, d=False, e=None, f=[], g={}, h=[1, {"x": ["y", {}]}], i=""),
    "no blanks": line().replace(b" ", b""),
    "tabs and blanks": line(service="").replace(b": ", b" :\t").replace(b"{", b"{ \t").replace(b"}", b"\t }"),
    "escapes in the message": line(message='a "quoted"\n\ttext \\ \b\f\r/ \x1f'),
    "escaped characters": line().replace(b'"m"', rb'"\u00e4\u4e2d\/"'),
    "no last line feed": line() + line()[:-1],
    "not ASCII": line(message="Übergröße 中文 🎉", service="dienst-ü", name="ñ"),
    "a kind": line(kind="metric") + line(kind=None) + line(kind=3),
    "the word in another field": line(message="heartbeat", x="heartbeat"),
    "every level": b"".join(
        line(level=level) for level in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
    ),
    "a service that first comes at another level": b"".join(
        line(service=service, level=level)
        for service, level in (("a", "DEBUG"), ("b", "INFO"), ("b", "ERROR"), ("a", "INFO"))
    ),
    "more services than its table holds": b"".join(line(service=f"service-number-{i}-x") for i in range(300)),
    "several hours": b"".join(line(timestamp=f"2026-11-20T{hour:02}:59:59.999999Z") for hour in range(16)),
    "a name that only begins like one of the enrichment": line(hostname2=1, hostnam=1, source_iq=1),
}


@pytest.mark.parametrize("block", TAKEN.values(), ids=TAKEN.keys())
def test_the_json_kernel_takes_what_is_common(block: bytes) -> None:
    assert is_taken(block)
    assert_same_both_ways("json", block)


LEFT = {
    "a name escaped": line().replace(b'"level"', rb'"leve\u006c"'),
    "a core field twice": line().replace(b"}", b', "level": "WARN"}'),
    "a service escaped": line(service='a"b'),
    "a lone surrogate": line().replace(b'"m"', rb'"\ud800"'),
    "a pair of surrogates": line().replace(b'"m"', rb'"\ud83c\udf89"'),
    "a kind escaped": line().replace(b"}", rb', "kind": "heartbea\u0074"}'),
    "a heartbeat": line(kind="heartbeat"),
    "deep": line(x=json.loads("[" * 40 + "]" * 40)),
    "CRLF": line().replace(b"\n", b"\r\n"),
    "a field of the enrichment": line(hostname="own"),
    "no such day": line(timestamp="2026-02-30T12:00:00.000000Z"),
    "before 1970": line(timestamp="1969-12-31T23:59:59.999999Z"),
    "very many hours": b"".join(line(timestamp=f"2026-11-20T{hour:02}:00:00.000000Z") for hour in range(24)),
}


@pytest.mark.parametrize("block", LEFT.values(), ids=LEFT.keys())
def test_the_json_kernel_leaves_what_is_not(block: bytes) -> None:
    for blocks in (block, line() * 3 + block, block + line() * 3):
        assert not is_taken(blocks)
        assert_same_both_ways("json", blocks)


def test_enrichment_with_a_very_long_name() -> None:
    context = Enrichment({"x" * 65: b"1"}).at(RECEIVED_AT, "unknown", ALL_COLUMNS)
    assert_same_both_ways("json", line() + line(**{"x" * 65: 2}), context)


def test_columns_of_records_that_are_not_there() -> None:
    encoded = json_format._enrich(line() * 3, CONTEXT)
    assert encoded is not None
    for number in (-1, 3, 1 << 40):
        with pytest.raises(IndexError, match="no record"):
            encoded.columns.messages(np.array([number]))
        with pytest.raises(IndexError, match="no record"):
            encoded.columns.lines(np.array([number]))


def test_columns_of_more_services_than_are_told_apart_at_once() -> None:
    block = b"".join(line(service=f"s{number % 300}", level="WARN") for number in range(900))
    assert_same_both_ways("json", block)
    encoded = json_format._enrich(block, CONTEXT)
    assert encoded is not None
    for service in ("s0", "s63", "s64", "s255", "s299"):
        number = int(service[1:])
        assert encoded.columns.numbers({"WARN"}, service).tolist() == [number, number + 300, number + 600]
    assert encoded.columns.count({"WARN"}) == {"WARN": {f"s{number}": 3 for number in range(300)}}


def test_columns_of_blocks_behind_each_other() -> None:
    """Of one kind and of several, some records with escapes, and one block without a record."""
    blocks = [
        line(message="a", service="api") + line(message='say "b"', level="ERROR", service="db"),
        line(message="c", level="ERROR", service="api"),
        line(message="d\ne", service="db") * 2,
    ]
    joined, records = Joined(), []
    for block in blocks:
        for compiled in (True, True, False):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(kernel, "COMPILED", compiled)
                (encoded,) = json_format.encode(block, CONTEXT)
            records += check(encoded)
            joined.append(encoded.columns)
        joined.append(NO_COLUMNS)
    check_columns(joined, records)
    whole = Joined()
    whole.append(joined)
    check_columns(whole, records)
    for number, record in enumerate(records):
        stored = whole.lines(np.array([number]))
        assert stored is None or json.loads(stored) == record
    assert [json.loads(stored) for stored in (whole.lines(np.array([0, 2, 3])) or b"").splitlines()] == [
        records[number] for number in (0, 2, 3)
    ]
    assert whole.lines(np.array([0, 4])) is None  # of both kinds


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)
_name = st.sampled_from(["kind", "hostname", "received_at", "seq", "level", "message"]) | _text
_record = st.builds(
    lambda core, own, ascii: json.dumps(core | own, ensure_ascii=ascii).encode(),
    st.fixed_dictionaries(
        {
            "timestamp": st.datetimes().map(lambda time: time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")),
            "level": st.sampled_from(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]),
            "service": st.sampled_from(["api", "", "ü"]) | _text,
            "message": _text,
        }
    ),
    st.dictionaries(_name, _value, max_size=3),
    st.booleans(),
)


@given(st.lists(_record, min_size=1, max_size=6), st.booleans())
def test_both_ways_make_the_same_of_json(records: list[bytes], ended: bool) -> None:
    assert_same_both_ways("json", b"\n".join(records) + b"\n" * ended)


@given(st.lists(_record, min_size=1, max_size=3), st.integers(0, 2**32))
def test_both_ways_make_the_same_of_damaged_json(records: list[bytes], seed: int) -> None:
    rng = random.Random(seed)
    block = bytearray(b"\n".join(records) + b"\n")
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(block))
        what = rng.choice(
            (b"", b"\0", b'"', b"\\", b"{", b"}", b"[", b",", b"\n", b"\xff", b"\x1f", b"0", b"e", b".")
        )
        block[at : at + rng.randint(0, 2)] = what
    if block:
        assert_same_both_ways("json", bytes(block))


def test_messages_are_searched_some_at_a_time() -> None:
    """However long and many they are, and as they are meant."""
    messages = [
        "short",
        "x" * 300_000,
        'say "hi"\\\n',
        *(f"number {number}" for number in range(30_000)),
        "é" * 70_000,
    ]
    searched: list[bytes] = []

    def nothing(texts: memoryview) -> bool:
        searched.append(bytes(texts))
        return False

    encoded = searching(b"".join(line(message=message) for message in messages), nothing)
    assert not encoded.may_match
    assert b"".join(searched).decode() == "".join(message + "\n" for message in messages)
    assert 20 < len(searched) < 60
    assert all(texts.endswith(b"\n") for texts in searched)


def test_nothing_is_searched_for_once_something_is_found() -> None:
    times = []

    def something(_: memoryview) -> bool:
        times.append(1)
        return True

    assert searching(line(message="x" * 1000) * 1000, something).may_match
    assert len(times) == 1


def test_who_keeps_what_it_searches_has_nothing() -> None:
    """The memory is used again."""
    kept: list[memoryview] = []
    searching(line(), lambda texts: kept.append(texts) or False)
    with pytest.raises(ValueError, match="released"):
        kept[0].tobytes()


def test_a_search_that_fails_or_decodes_itself() -> None:
    def within(texts: memoryview) -> bool:
        assert not searching(
            line(message="inner") * 10, lambda inner: bytes(inner) != b"inner\n" * 10
        ).may_match
        return bytes(texts) != b"outer\n" * 10

    def fails(_: memoryview) -> bool:
        raise RuntimeError("search")

    for _ in range(3):
        with pytest.raises(RuntimeError, match="search"):
            searching(line() * 10, fails)
        assert not searching(line(message="outer") * 10, within).may_match


def searching(block: bytes, search: Search) -> Encoded:
    (encoded,) = json_format.encode(block, Enrichment({}).at(RECEIVED_AT, "unknown", Wanted(search=search)))
    return encoded


@pytest.mark.parametrize(
    ("format", "block"),
    [
        ("json", line()),
        ("raw", b"INFO api: text\n"),
        ("syslog", b"<14>1 2026-11-20T12:00:00Z web api 1 - - text\n"),
    ],
)
def test_a_search_alone_makes_columns_without_kernels(
    format: str, block: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody searches then; to find the messages in the lines again would take much longer."""
    monkeypatch.setattr(kernel, "COMPILED", False)
    (encoded,) = FORMATS[format].encode(
        block * 3, Enrichment({}).at(RECEIVED_AT, "unknown", Wanted(search=lambda _: False))
    )
    assert encoded.may_match
    assert len(encoded.columns) == 3
