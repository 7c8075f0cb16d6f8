"""The kernel of lines of `journalctl -o json`: what it takes and leaves, and that it makes the same as Python alone."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import journald, kernel
from formats.cores import ALL_COLUMNS
from formats.record import Enrichment
from tests.formats.harness import CONTEXT, CORPORA, RECEIVED_AT, assert_same_both_ways, check
from tests.formats.test_kernel_journald import CORE, taken

pytestmark = pytest.mark.skipif(not kernel.COMPILED, reason="no C compiler when this was installed")


def line(**fields: object) -> bytes:
    """The fields of `CORE` and others, as systemd writes them; None is left out."""
    sent = {name: value for name, value in (CORE | fields).items() if value is not None}
    return json.dumps(sent, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


TAKEN = {
    "the usual": line() * 3,
    "names by turns": (line() + line(A="1") + b'{"A":"1"}\n') * 5,
    "blanks": line().replace(b'":"', b'"\t: "').replace(b'","', b'" , "').replace(b"{", b"{ ").replace(b"}", b"\t}"),
    "escapes": line(A='"\\\n\t\r\b\f\0\x1f/', MESSAGE='"\\\n\t\r\b\f\0\x1f/', _HOSTNAME='"'),
    "slashes": line(A="x", MESSAGE="y").replace(b"x", rb"\/\/").replace(b"y", rb"\/"),
    "escapes of control characters": line(A="x").replace(b"x", b"".join(b"\\u%04X" % byte for byte in range(32))),
    "not ASCII": line(A="ü中🎉", MESSAGE="\x7f\x80", SYSLOG_IDENTIFIER="ü", _HOSTNAME="ü"),
    "no core fields": b'{"A":"1"}\n',
    "empty fields": line(_HOSTNAME="", PRIORITY="", SYSLOG_IDENTIFIER="", _SYSTEMD_UNIT="", MESSAGE=""),
    "no service": line(SYSLOG_IDENTIFIER="") + line(SYSLOG_IDENTIFIER=None, _SYSTEMD_UNIT=None),
    "blank lines": line() + b"\n\n" + line() + b"\n",
    "no last line feed": line() + line()[:-1],
    "long": line(A='"' * 5000, MESSAGE="x" * 1023 + "\n" * 5000, B="\x01" * 1024 + "ü" * 3000),
}  # fmt: skip


@pytest.mark.parametrize("block", TAKEN.values(), ids=TAKEN.keys())
def test_what_is_common_is_taken(block: bytes) -> None:
    assert taken(block) == len(block)
    assert_same_both_ways("journald", block)


LEFT = {
    "null": line(A=1).replace(b":1", b":null"),
    "bytes": line(MESSAGE=list(b"\x1b[1m")),
    "several values": line(A=["1", "2"]),
    "an object": line(A={}),
    "a name twice": b'{"A":"1","A":"1"}\n',
    "no name": b'{"":"1"}\n',
    "a name in small letters": b'{"a":"1"}\n',
    "an escaped name": rb'{"\u0041":"1"}' + b"\n",
    "an escaped time": line().replace(b'"17', rb'"\u00317'),
    "an escaped service": line(SYSLOG_IDENTIFIER='"'),
    "an escaped unit": line(_SYSTEMD_UNIT="\\"),
    "an escaped character": line(A="x").replace(b"x", rb"\u00e4"),
    "an escape of what need not be": line(MESSAGE="x").replace(b"x", rb"\u0041"),
    "a lone surrogate": line(A="x").replace(b"x", rb"\ud800"),
    "no such escape": line(MESSAGE="x").replace(b"x", rb"\x"),
    "not UTF-8": line(A="x").replace(b"x", b"\xff"),
    "a control character": line(MESSAGE="x").replace(b"x", b"\x1f"),
    "nothing": b"{}\n",
    "a comma too many": b'{"A":"1",}\n',
    "two on a line": b'{"A":"1"}{"A":"1"}\n',
    "one on two lines": b'{"A":"1",\n"B":"1"}\n',
    "no end": b'{"A":"1"\n',
    "CRLF": b'{"A":"1"}\r\n',
    "no JSON": b"A=1\n",
}


@pytest.mark.parametrize("block", LEFT.values(), ids=LEFT.keys())
def test_what_is_unusual_is_left(block: bytes) -> None:
    for before in (b"{}\n", line() * 3):
        assert taken(before + block) < len(before + block)
        assert_same_both_ways("journald", before + block)
        assert_same_both_ways("journald", before + block + line() * 3)


def test_a_block_that_is_cut_off() -> None:
    block = line(A='1"23', MESSAGE="ü\0")
    for cut in range(1, len(block)):
        assert_same_both_ways("journald", block[:-cut])
        assert_same_both_ways("journald", line() + block[:-cut])


def test_only_what_is_unusual_goes_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journald, "_decode_lines", None)
    block = (line() * 20 + line(A=[1])) * 20
    assert sum(len(check(encoded)) for encoded in journald.encode(block, CONTEXT)) == 420


@pytest.mark.parametrize("every", [1, 2, 9, 50])
def test_what_follows_the_unusual_is_taken_again(every: int) -> None:
    assert_same_both_ways("journald", (line() * (every - 1) + line(A=[1])) * (400 // every))


def test_a_field_of_the_enrichment_is_not_added_again() -> None:
    context = Enrichment({"hostname": b'"added"', "CLUSTER": b'"added"'}).at(RECEIVED_AT, 'd"', ALL_COLUMNS)
    for block in (line(), line(CLUSTER="own"), line(_HOSTNAME=None), b'{"A":"1"}\n'):
        assert_same_both_ways("journald", line() + block + line(), context)


def test_genuine_journals() -> None:
    for path in sorted((CORPORA / "journald" / "real").glob("*.ndjson")):
        assert_same_both_ways("journald", path.read_bytes())


_names = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True) | st.sampled_from([*CORE, "A", "B", "a"])
_values = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.sampled_from(["", "6", "1763640000000001", "x" * 40 + '"', "\\\t\r\x7f\x1f/", None, ["1", [104]]]),
)
_lines = st.builds(
    lambda fields, is_ascii: json.dumps(fields, ensure_ascii=is_ascii).encode() + b"\n",
    st.dictionaries(_names, _values, max_size=8),
    st.booleans(),
)


@given(st.lists(_lines, min_size=1, max_size=8), st.integers(0, 2))
def test_both_ways_make_the_same_of_lines(lines: list[bytes], missing: int) -> None:
    block = b"".join(lines)
    assert_same_both_ways("journald", block[: len(block) - missing])


@given(st.lists(_lines, min_size=1, max_size=8), st.integers(0, 2**32))
def test_both_ways_make_the_same_of_damaged_lines(lines: list[bytes], seed: int) -> None:
    rng = random.Random(seed)
    block = bytearray(line() + b"".join(lines))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(1, len(block))
        what = rng.choice(
            (b"", b"\0", b'"', b"\\", b"\\u00", b"{", b"}", b"[", b",", b":", b"\n", b"\xff", b"\x1f", b"\r")
        )
        block[at : at + rng.randint(0, 2)] = what
    assert_same_both_ways("journald", bytes(block))
