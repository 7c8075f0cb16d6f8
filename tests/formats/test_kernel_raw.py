"""The kernel of raw lines beside the way in Python: it takes them all, and makes the same of them."""

from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from formats import kernel, raw
from formats.cores import ALL_COLUMNS
from formats.levels import NAMES
from formats.record import Enrichment
from tests.formats.harness import CONTEXT, RECEIVED_AT, assert_same_both_ways

pytestmark = pytest.mark.skipif(not kernel.COMPILED, reason="no C compiler when this was installed")

TIME = b"2026-11-20 12:00:00,123 "
BLOCKS = {
    "log4j": TIME + b"ERROR api: text\n" + TIME + b"INFO api[0042]: text\n" + TIME + b"DEBUG [x]: text\n",
    "python": TIME + b"- api.views - WARNING - text\n" + TIME + b"- root - INFO - a: b\n",
    "go": b"2026/11/20 12:00:00 text: more\n2026/11/20 12:00:00.123456 main.go:23: text\n",
    "nginx": b"2026/11/20 12:00:00 [error] 12#0: *1 open() failed\n",
    "apache": b'192.0.2.7 - - [20/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "Mozilla/5.0"\n',
    "squid": b"1763640000.123    456 10.0.0.1 TCP_MISS/200\n",
    "cri": b"2026-11-20T12:00:00.123456789+01:00 stdout F text\n",
    "brackets": b"[2026-11-20T12:00:00Z] [ warn ] text\n[INFO] text\n[I]: text\n[1] text\n",
    "levels first": b"ERROR: text\nerror:text\nNotice: text\nI: text\nERROR text\nFINE: text\n",
    "plain": b"text\n  indented: more\n\ttab\n: text\n- text\nerror 5: text\n\xe4\xb8\xad\xe6\x96\x87\n7\n",
    "a traceback": b'Traceback (most recent call last):\n  File "x.py", line 1, in f\nKeyError: "k"\n',
    "CRLF and blank lines": b"\r\n" + TIME + b"INFO api: a\r\n \t\r\n\nplain\r\r\n\x0b\nx\r",
    "NUL and controls": b"\0\n" + TIME + b"INFO\0api: \0\x01\x1f\x7f\n" + TIME[:15] + b"\0\nINFO\0: x\n",
    "heads without a text": TIME + b"INFO api:\n" + TIME + b"\n" + TIME[:-1] + b"\n[INFO]\nINFO:\n" + TIME + b"INFO",
    "a leap second": b"2026-12-31T23:59:60Z INFO text\n",
    "no such time": b"2026-02-29 12:00:00 text\n2026-11-20 24:00:00 text\n1969-12-31T23:59:59Z x\n",
    "offsets at the ends": b"1969-12-31T23:00:00-01:00 x\n1970-01-01T00:00:00+01:00 x\n9999-12-31T23:00:00-01:00 x\n",
    "very many hours": b"".join(b"2026-11-%02d %02d:00:00 x\n" % (d, h) for d in range(1, 31) for h in range(24)),
    "very many processes": b"".join(TIME + b"INFO api-%d[%d]: x\n" % (index, index) for index in range(500)),
}  # fmt: skip


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_the_raw_kernel_takes_all_lines(block: bytes) -> None:
    for each in (block, block.removesuffix(b"\n"), block * 3):
        assert raw._compiled(each, CONTEXT) is not None
        assert_same_both_ways("raw", each)


def test_lines_that_are_not_utf8_are_refused_and_the_others_taken() -> None:
    block = TIME + b"INFO api: a\n\xff\r\n\xc3\n" + TIME + b"INFO api: b\n\xff"
    assert_same_both_ways("raw", block)
    (encoded,) = raw.encode(block, CONTEXT)
    assert (encoded.records, len(encoded.rejects)) == (2, 3)


@pytest.mark.parametrize("block", [b"", b"\n", b"\n\r\n \t\x0b\x0c\r\n", b"\xff\n", b"\r"])
def test_no_record_is_nothing_to_take(block: bytes) -> None:
    assert_same_both_ways("raw", block)


def test_any_service_and_any_enrichment() -> None:
    block = TIME + b"INFO api[7]: a\n" + TIME + b"INFO api: b\nplain\n"
    for service, fields in product(
        ("", 'ü"\n', "x" * 5000), ({}, {"pid": b'"p"', "a": b'"' + b"x" * 5000 + b'"'})
    ):
        context = Enrichment(fields).at(RECEIVED_AT, service, ALL_COLUMNS)
        for each in (block, b"a\n" * 300 + block * 200):
            assert_same_both_ways("raw", each, context)


def test_what_needs_many_escapes_finds_room() -> None:
    for text in (b'"', b"\\", b"\0", b'aaaaaaaaaaaaaaaaaaaaaaaa"', b"x" * 100 + b"\x01" * 100):
        for number in (1, 15, 16, 17, 1000, 40_000):
            assert_same_both_ways("raw", (text * number)[:40_000])
            lines = b"\n".join([text] * min(number, 2_000))
            assert_same_both_ways("raw", (text * number)[:40_000] + b"\n" + lines)


def test_a_block_at_every_place_of_its_buffer() -> None:
    """No byte behind a line has a say in it, nor one behind the block."""
    line = TIME[:-1] + b"+0100 api[1] - INFO - x\n" + TIME + b"[INFO] api[1] - x"
    for end in range(1, len(line)):
        for behind in (b"", b"\n", b"\r\n", b"\r", b"\n0", b"\n]: "):
            assert_same_both_ways("raw", line[:end] + behind)


@pytest.mark.parametrize("name", NAMES)
def test_every_level(name: str) -> None:
    shapes = (
        "{}: x", "[{}] x", "[{}]: x", "[ {}]x", "{} x", "t {}: x", "t {} - x", "t a - {} - x", "t {} a: x",
        "t {}a: x", "t a{}: x", "t [{}] a[1]: x", "t [{}]a: x", "t - {} a - x", "t {}", "t {}:", "t {}\tx",
    )  # fmt: skip
    time = TIME.decode()
    for shape, spelt in product(shapes, (name, name.lower(), name.title())):
        assert_same_both_ways("raw", shape.format(spelt).replace("t ", time, 1).encode())


_PIECES = [
    " ", "  ", "\t", " - ", "-", ":", ": ", "[", "]", ".", ",", "+01", "-0530", "+05:30", "+24:00", "Z", "z", "T", "0",
    "12", "ERROR", "error", "Info", "[WARN]", "[ e ]", "W", "INFORMATIONAL", "FINE", "api", "a.b-c", "api[42]",
    "[00]", "[12345678901]", "x" * 130, "\r", "\0", '"', "é", "\u0130", "\u0131",
]  # fmt: skip
_digits = st.text("0123456789", max_size=21)
_time = st.one_of(
    st.sampled_from(["2026-11-20 12:00:00", "2024-02-29T23:59:59", "2023/02/29 00:00:00", "9999-12-31 23:59:60"]),
    st.builds("{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}".format, st.integers(0, 9999) | st.integers(1968, 1972),
              st.integers(0, 13), st.integers(0, 32), st.sampled_from("Tt _"), st.integers(0, 25),
              st.integers(0, 61), st.integers(0, 62)),
    st.builds("{}/{}/{}".format, _digits, _digits, _digits),
)  # fmt: skip
_behind = st.builds(
    "{}{}{}".format,
    st.builds("{}{}".format, st.sampled_from(".,"), _digits) | st.just(""),
    st.sampled_from(["", " ", "  "]),
    st.sampled_from(["", "Z", "z", "+00", "-00:00", "+0160", "+2359", "-24", "+1", "+01:", "-01:3"]),
)
_clock = st.builds("{}{}".format, _time, _behind) | st.builds("{}{}".format, _digits, _behind)
_head = st.one_of(st.just(""), _clock, st.builds("[{}]".format, _clock))
_line = st.builds("{}{}".format, _head, st.lists(st.sampled_from(_PIECES), max_size=8).map("".join))


@given(st.lists(_line, min_size=1, max_size=6), st.booleans())
@example(["2026-11-20 12:00:00 Zed[12]: text", "2026-11-20 12:00:00 +01x[1]: text"], True)
@example(["2026-11-20 12:00:00+01 a", "2026-11-20 12:00:00 a"], True)
def test_both_ways_make_the_same_of_raw_lines(lines: list[str], ended: bool) -> None:
    assert_same_both_ways("raw", "\n".join(lines).encode() + b"\n" * ended)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
def test_both_ways_make_the_same_of_any_text(lines: list[str]) -> None:
    assert_same_both_ways("raw", "\n".join(lines).encode())


@given(st.sampled_from(list(BLOCKS.values())), st.integers(0, 2**32))
def test_both_ways_make_the_same_of_damaged_raw_lines(block: bytes, seed: int) -> None:
    rng = random.Random(seed)
    damaged = bytearray(block[:2000])
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(damaged) + 1)
        what = (
            b"",
            b"\0",
            b'"',
            b"\\",
            b"\r",
            b"\n",
            b"\xff",
            b"[",
            b"]",
            b": ",
            b" ",
            b" - ",
            b"0",
            b"9",
            b"Z",
            b"+",
        )
        damaged[at : at + rng.randint(0, 2)] = rng.choice(what)
    assert_same_both_ways("raw", bytes(damaged))
