"""The kernel that tells kinds of lines beside the way in Python: it knows the usual ones, and says the same of them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import detect, kernel
from tests.formats.harness import DATA

if kernel.COMPILED:
    from formats.kernel import line_kinds

pytestmark = pytest.mark.skipif(not kernel.COMPILED, reason="no C compiler when this was installed")

LINES = [
    line + b"\n"
    for kind in detect.KINDS
    for line in (DATA / "detect" / f"{kind}.txt").read_bytes().split(b"\n")[:-1]
]
RAW = [
    b"2026-11-20 12:00:00,123 ERROR api: text",
    b"2026-11-20T12:00:00.123456Z [WARN] text of some length",
    b"192.0.2.7 - - [20/Nov/2026:12:00:00 +0000] text",
    b"[2026-11-20 12:00:00] text",
    b"Failed to start",
    b"* item",
    b'  File "x.py", line 1, in f',
    b"\t[ 1 ]",
    b"\xe4\xb8\xad\xe6\x96\x87",
    b"\0",
    b"Jan",
    b"*",
]
SYSLOG = [
    b"<14>1 2026-11-20T12:00:00.123456Z host app 1 - - text",
    b"<0>1 2026-11-20T12:00:00+01:00 host app - - - text",
    b"<191>Nov 20 12:00:00 host app[1]: text, and so on",
    b"<34>Nov  1 12:00:00 host app: text, and so on",
]
UNCLEAR = [
    b'{"a":1}',
    b'[{"a":1}]',
    b' \t[\x0b{"a":1}]',
    b"  {",
    b"<192>1 2026-11-20T12:00:00.123456Z host app 1 - - text",
    b"<014>1 2026-11-20T12:00:00.123456Z host app 1 - - text",
    b"<14>1 2026-21-20T12:00:00.123456Z host app 1 - - text",
    b"<14>app[1]: text and something that follows it",
    b"<14>text\0",
    b"<",
    b"Nov 20 12:00:00 host app[1]: text",
    b"*Nov 20 12:00:00.123: %SYS-5-CONFIG_I: text",
    b"2026-11-20T12:00:00.123456+01:00 h a: t",
]


def interpreted(block: bytes) -> list[tuple[str, bytes]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "COMPILED", False)
        return detect.lines_of(block)


@pytest.mark.parametrize(("kind", "lines"), [("raw", RAW), ("syslog", SYSLOG)])
def test_blocks_of_one_kind(kind: str, lines: list[bytes]) -> None:
    for block in (*lines, b"\n".join(lines), b"\n \r\n\n".join(lines) + b"\n", b"\r\n".join(lines)):
        assert line_kinds.one_kind(block) == kind
        assert interpreted(block) == detect.lines_of(block) == [(kind, block)]


@pytest.mark.parametrize("line", UNCLEAR)
def test_a_line_that_takes_a_closer_look(line: bytes) -> None:
    for block in (line, RAW[0] + b"\n" + line, line + b"\n" + SYSLOG[0] + b"\n"):
        assert line_kinds.one_kind(block) is None
        assert interpreted(block) == detect.lines_of(block)


def test_several_kinds() -> None:
    for block in (RAW[0] + b"\n" + SYSLOG[0], SYSLOG[0] + b"\n" + RAW[0], b"\n" + SYSLOG[0]):
        assert line_kinds.one_kind(block) is None
        assert interpreted(block) == detect.lines_of(block)


def test_blank_lines() -> None:
    for block in (b"\n", b" ", b"\r\n\t\n", b"\n" * 100):
        assert interpreted(block) == detect.lines_of(block) == [("raw", block)]
    assert line_kinds.one_kind(b"") is None


@pytest.mark.parametrize("line", [*LINES, *RAW, *SYSLOG, *UNCLEAR])
def test_a_line_cut_anywhere(line: bytes) -> None:
    for end in range(1, min(len(line), 80) + 1):
        for behind in (b"", b"\n", b"\n" + line):
            block = line[:end] + behind
            assert interpreted(block) == detect.lines_of(block)


@given(st.lists(st.sampled_from([*LINES, *RAW, *SYSLOG]), min_size=1, max_size=4), st.integers(0, 2**32))
def test_both_ways_tell_the_same_kinds_of_damaged_lines(lines: list[bytes], seed: int) -> None:
    rng = random.Random(seed)
    block = bytearray(b"\n".join(lines))
    for _ in range(rng.randint(0, 3)):
        at = rng.randrange(min(len(block), 48) + 1)
        what = rng.choice(
            (b"", b"\0", b"<", b">", b"{", b"[", b"\n", b"\r", b" ", b"*", b"0", b"9", b"Nov ", b"T")
        )
        block[at : at + rng.randint(0, 2)] = what
    if block:
        assert interpreted(bytes(block)) == detect.lines_of(bytes(block))
