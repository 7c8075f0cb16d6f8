"""Heads: the two ways to read them agree, and no input takes long. Cases are in tests/data/raw."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from formats.raw_head import CutReader, Said, read

_TIMES = [
    "2026-11-20 12:00:00,123",
    "2026-11-20 12:00:00",
    "2026-11-20T12:00:00Z",
    "2026-11-20T12:00:00.1",
    "2026-11-20 12:00:00 +0100",
    "2026-11-20 12:00:00 -05",
    "[2026-11-20 12:00:00]",
    "2026-13-20 12:00:00",
    "1763640000",
    "1763640000.5",
    "1763640000123",
]
_PIECES = [
    *_TIMES, " ", "  ", "\t", " - ", "-", ":", ": ", "[", "]", "ERROR", "error", "Info", "[WARN]", "[ e ]", "INFO",
    "api", "a.b-c", "api[42]", "Zed[12]", "Z", "z", "+01", "-05", "text", "7", "WARNING:", "CRITICAL",
]  # fmt: skip


@given(st.lists(st.lists(st.sampled_from(_PIECES), max_size=8).map("".join), min_size=1, max_size=6))
@example(["2026-11-20 12:00:00 Zed[12]: text", "2026-11-20 12:00:00.1ed[12]: text"])
@example(["2026-11-20T12:00:00.1Z Z[12]: a", "2026-11-20T12:00:00.12 Z[12]: a"])
def test_a_cut_head_says_what_the_line_says(lines: list[str]) -> None:
    reader = CutReader()
    for line in lines:
        head, separator, message = line.partition(": ")
        found = reader.read(head)
        if separator and found is not None:
            assert read(line) == (*found, message)


@given(st.lists(st.sampled_from(_PIECES), max_size=10).map("".join))
def test_text_is_what_remains(line: str) -> None:
    timestamp, said, text = read(line)
    assert line.endswith(text)
    if timestamp is None and said == Said(None, None, None):
        assert text == line


@pytest.mark.parametrize("time", ["", "2026-11-20 12:00:00", "2026-11-20 12:00:00 ERROR", "1763640000"])
@pytest.mark.parametrize(
    "filler",
    [" ", "\t", "a", "-", " -", "- ", "[", "]", ":", ": ", "1", "[ ", "INFO ", "INFO - ", "a - ", "a[1]"],
)
def test_no_line_takes_long(time: str, filler: str) -> None:
    """A megabyte each: with a quadratic pattern this would run into the time limit."""
    line = time + filler * (1_000_000 // len(filler))
    _, _, text = read(line)
    assert line.endswith(text)
    CutReader().read(line)


@pytest.mark.parametrize("letter", "\u0130\u0131\u017f")
def test_letters_that_are_like_those_of_ascii_are_text(letter: str) -> None:
    """A dotted capital i, a dotless small one and a long s: to `re` they are i and s in any case."""
    word = ("severe" if letter == "\u017f" else "info").replace("s", letter).replace("i", letter)
    for head in (f"{word}: ", f"[{word}] ", f"[{letter}] "):
        assert read(head + "text") == (None, Said(None, None, None), head + "text")
    for rest in (f"api - {word} - text", f"[{word}] text", f"{word}: text", f"{word} - text"):
        _, said, text = read(f"2026-11-20 12:00:00 {rest}")
        assert (said.level, text) == (None, rest)
