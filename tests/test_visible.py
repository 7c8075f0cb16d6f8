"""What a terminal would obey is shown instead, and JSON keeps its meaning."""

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestd.visible import HIDDEN, json_line, visible

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain \\ text, ü, 日本, 🙂", "plain \\ text, ü, 日本, 🙂"),
        ("one\ntwo\r\tthree\0", r"one\ntwo\r\tthree\x00"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("user\u202ecod.exe\u2066", r"user\u202ecod.exe\u2066"),
        ("\ufeffa\u200bb\u2028c\u00ad", r"\ufeffa\u200bb\u2028c\xad"),
        ("\U000e0041\ud800", r"\U000e0041\ud800"),
        ("👩\u200d🔬", "👩\u200d🔬"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_every_control_and_bidirectional_character_is_hidden() -> None:
    for number in range(0x110000):
        character = chr(number)
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or (
            unicodedata.bidirectional(character) in BIDI
        ):
            assert HIDDEN.match(character), f"U+{number:04X}"


@settings(deadline=None)
@given(st.text())
def test_nothing_hidden_is_left(text: str) -> None:
    assert not HIDDEN.search(visible(text))
    assert visible(visible(text)) == visible(text)


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.text()))
def test_json_means_the_same(value: dict[str, str]) -> None:
    for ascii_only in (True, False):
        line = json.dumps(value, ensure_ascii=ascii_only)
        assert json.loads(json_line(line)) == value
        assert not HIDDEN.search(json_line(line))
