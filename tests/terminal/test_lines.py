"""Records as lines: nothing that a terminal obeys, nothing lost for programs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestd.terminal.lines import LEVEL_STYLES, coloured, plain, render_json, render_text
from ingestd.terminal.selection import LEVELS, Line
from ingestd.visible import HIDDEN
from tests.terminal.segments import record


def line(**fields: object) -> Line:
    return Line("", json.dumps({**record(1), **fields}, ensure_ascii=False).encode())


def test_what_stands_in_a_line() -> None:
    shown = render_text(plain)(line(level="WARN", n=3, tags=["a", "b"], who="x y", empty="", hostname="vm"))
    assert shown == (
        '2026-11-21T00:00:01.000000Z WARN  api: message 1  n=3 tags=["a","b"] who="x y" empty=""'
    )
    assert render_text(plain)(line()) == "2026-11-21T00:00:01.000000Z INFO  api: message 1"


def test_each_level_has_a_colour_of_its_own() -> None:
    styles = {coloured(level, LEVEL_STYLES[level]).partition(level)[0] for level in LEVELS}
    assert len(styles) == len(LEVELS)


def test_hostile_records() -> None:
    hostile = line(
        message="\x1b[2J\x1b]0;owned\x07\r\nforged 2026 ERROR\u202e\x9b31m",
        service="\x1b[31mroot",
        **{"key\x1b[0m\u2066": "value\u200f\x7f"},
    )
    for render in (render_text(plain), render_json):
        assert not HIDDEN.search(render(hostile))
    text = render_text(plain)(hostile)
    assert r"\x1b[2J\x1b]0;owned\x07\r\nforged 2026 ERROR\u202e\x9b31m" in text
    assert r"key\x1b[0m\u2066=value\u200f\x7f" in text
    assert r"\x1b[31mroot:" in text


def test_in_colour_only_our_own_escapes_are_written() -> None:
    text = render_text(coloured)(line(message="a\x1b[2J\nb", level="FATAL"))
    assert "a\x1b[7m\\x1b\x1b[27m[2J\x1b[7m\\n\x1b[27mb" in text
    sequences = text.split("\x1b[")[1:]
    assert all(sequence.partition("m")[0].replace(";", "").isdigit() for sequence in sequences)


@pytest.mark.parametrize(
    "data", [b"\xff\x1b[2J", b"[1]", b'{"message": 5}', b"", b'"\\ud800"', b'{"a":' * 3000]
)
def test_what_is_no_record_is_shown_too(data: bytes) -> None:
    for render in (render_text(plain), render_text(coloured), render_json):
        shown = render(Line("", data))
        assert "\n" not in shown
        assert "\x1b[2J" not in shown


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none() | st.lists(st.text())))
def test_any_record(fields: dict[str, object]) -> None:
    given_line = line(**fields)
    assert not HIDDEN.search(render_text(plain)(given_line))
    shown = render_json(given_line)
    assert not HIDDEN.search(shown)
    assert json.loads(shown) == json.loads(given_line.data)
