"""The plain texts within patterns: none that a match may be without."""

from __future__ import annotations

import string
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.cores import Texts
from ingestd.observe.literals import literal_of, pairs_of
from ingestd.observe.search import Search


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        ("panic:", "panic:"),
        ("(?i)oom.?kill", "(?i)oom"),
        ("segfault at [0-9a-f]+", "segfault at"),
        ("abcd+", "abcd"),
        ("abcd?", "abc"),
        ("abcd*", "abc"),
        ("abcd{0,2}", "abc"),
        ("abcd(e|f)", ""),
        ("abcd|efgh", ""),
        ("(abc)def", ""),
        ("(?s)abcd", ""),
        ("^abcd", ""),
        ("ab", ""),
        ("abc?", ""),
    ],
)
def test_a_text_that_begins_every_match(pattern: str, literal: str) -> None:
    assert literal_of(pattern) == literal


@pytest.mark.parametrize(
    ("patterns", "pairs"),
    [
        (["panic:"], b"c:"),
        (["PANIC:"], b"c:"),
        (["(?i)oom.?kill"], b"oo"),
        (["payment declined", "refused"], b"ymfu"),
        (["no space left|disk .*full"], b"ftsk"),
        (["(?i)ok, sky|full"], b", fu"),
        (["(?i)ksksk"], b""),
        (["payment declined", "[0-9]+"], b""),
        (["payment|x"], b""),
        (["payment(declined|refused)"], b""),
        (["pay[|]ment"], b""),
        (["payment\\|declined"], b""),
        ([], b""),
    ],
)
def test_pairs_that_a_match_has_one_of(patterns: list[str], pairs: bytes) -> None:
    assert pairs_of(patterns) == pairs


_words = st.text(string.ascii_letters + string.digits + " :/-", min_size=1, max_size=6)
_patterns = st.lists(
    st.tuples(st.sampled_from(["", "(?i)"]), _words, st.sampled_from(["", "?", "*", "{2}", ".x", "|end"])),
    min_size=1,
    max_size=4,
)


@given(_patterns, st.lists(_words, max_size=8), st.booleans())
def test_what_is_found_has_one(parts: list[tuple[str, str, str]], words: list[str], is_swapped: bool) -> None:
    patterns = ["".join(part) for part in parts]
    text = "".join([*words, *[word for _, word, _ in parts], "end"])
    text = text.swapcase() if is_swapped else text
    pairs = pairs_of(patterns)
    folded = text.lower().encode()
    has_pair = any(pairs[at : at + 2] in folded for at in range(0, len(pairs), 2))
    if pairs and Search(patterns).may_be_in(Texts.of([text]).data):
        assert has_pair


def test_letters_that_are_others_without_regard_to_case() -> None:
    """Only of those that are known to be is there a form that is not ASCII: a pair would not be found there."""
    others = [chr(code) for code in range(0x80, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    texts = Texts.of(others)
    for letter in string.ascii_lowercase:
        found = [others[place] for hits in Search([f"(?i){letter}"]).find(texts) for place in hits.texts]
        assert found == {"k": ["\u212a"], "s": ["\u017f"]}.get(letter, [])
