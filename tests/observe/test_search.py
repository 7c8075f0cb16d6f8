"""The search finds what `re` finds, in each text by itself, whatever the neighbours are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.cores import Texts
from ingestd.observe.patterns import check_pattern
from ingestd.observe.search import Hits, Search

#: Anchors, classes that match line ends, alternatives, repeats, case.
PATTERNS = (
    "a",
    "ab+",
    r"a\sb",
    "[^a]b",
    r"\Wb",
    "^a",
    "b$",
    "^ab$",
    "a$|b",
    r"\bb\b",
    "(?i)A.b",
    "(?s)a.b",
    r"\d",
    "é",
    r"a[\s\S]b",
    r"b\n",
    "a{2,3}",
    "(a|b)c",
    r"\.",
    "a[[:space:]]b",
)
CRAMPED = st.text(st.sampled_from("abcAB \n\t\r.é1\0"), max_size=8)


def naive(pattern: str, texts: list[str]) -> list[int]:
    pattern = pattern.replace("[[:space:]]", r"\s")
    engine = re.compile(pattern, re.MULTILINE | re.ASCII)
    return [number for number, text in enumerate(texts) if engine.search(text)]


def test_these_patterns_are_good() -> None:
    assert [check_pattern(pattern) for pattern in PATTERNS] == [None] * len(PATTERNS)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=6, unique=True),
    st.lists(CRAMPED, min_size=1, max_size=40),
)
def test_it_finds_what_is_in_each_text(patterns: list[str], texts: list[str]) -> None:
    search = Search(patterns)
    for _ in range(2):
        found = {hits.pattern: hits for hits in search.find(Texts.of(texts))}
        for number, pattern in enumerate(patterns):
            hits = found.get(number, Hits(number, [], len(texts)))
            wanted = naive(pattern, texts)
            if hits.searched == len(texts):
                assert hits.texts == wanted, pattern
            else:
                assert set(hits.texts) <= set(wanted)


def test_a_storm_is_sampled_and_the_others_are_counted() -> None:
    texts = [f"request {number} failed" + (" badly" if not number % 400 else "") for number in range(1600)]
    search = Search(["failed", "badly", "never"])
    assert sorted(len(hits.texts) for hits in search.find(Texts.of(texts))) == [4, 1600]
    counted = 0.0
    for _ in range(50):
        by_pattern = {hits.pattern: hits for hits in search.find(Texts.of(texts))}
        assert by_pattern[1] == Hits(1, [0, 400, 800, 1200], 1600)
        assert by_pattern[0].searched == len(by_pattern[0].texts) <= 100
        assert by_pattern.keys() == {0, 1}
        counted += len(by_pattern[0].texts) / by_pattern[0].searched * 1600
    assert counted == 50 * 1600


def test_an_estimate_is_right_on_average() -> None:
    texts = [f"request {number} " + ("failed" if number % 4 == 0 else "served") for number in range(1600)]
    search = Search(["failed"])
    assert len(search.find(Texts.of(texts))[0].texts) == 400
    estimates = [
        len(hits.texts) / hits.searched * 1600 for _ in range(100) for hits in search.find(Texts.of(texts))
    ]
    assert sum(estimates) / 100 == pytest.approx(400, rel=0.1)


def test_a_storm_passes() -> None:
    stormy, quiet = ["failed"] * 1600, ["failed", *["served"] * 1599]
    search = Search(["failed"])
    search.find(Texts.of(stormy))
    calls = 0
    while search.find(Texts.of(quiet)) != [Hits(0, [0], 1600)]:
        calls += 1
        assert calls < 1000
    assert calls


def test_a_storm_that_goes_on_is_counted_whole_now_and_then() -> None:
    search = Search(["failed"])
    whole = [search.find(Texts.of(["failed"] * 1600))[0].searched == 1600 for _ in range(1000)]
    assert 2 <= sum(whole) <= 5


def test_texts_of_many_lines_are_bounded_and_not_overlooked() -> None:
    flood = "failed\n" * 100_000
    search = Search(["failed", "badly", "f"])
    for _ in range(3):
        found = {hits.pattern: hits for hits in search.find(Texts.of([flood, "served badly", flood]))}
        assert found.keys() == {0, 1, 2}
        assert found[1] == Hits(1, [1], 3)
        assert set(found[0].texts) <= {0, 2}
    assert [hits.texts for hits in Search(["failed"]).find(Texts.of([flood]))] == [[0]]


def test_a_flood_beside_a_storm_is_told_as_estimated() -> None:
    search = Search(["storm", "failed"])
    search.find(Texts.of(["storm"] * 1000))
    texts = ["storm"] * 1000 + ["failed\n" * 100_000] * 2
    found = {hits.pattern: hits for hits in search.find(Texts.of(texts))}
    assert found[1].texts[0] == 1000
    assert found[1].searched < len(texts)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("user banned", False),
        ("user 7 banned", True),
        ("user 7 allowed", False),
        ("PANIC", True),
        ("u", False),
    ],
)
def test_a_pattern_that_begins_as_others_do(text: str, found: bool) -> None:
    search = Search(["user [0-9]+ banned", "(?i)panic"])
    for texts in ([text], ["quiet", text], [text, "quiet"]):
        assert search.may_be_in(Texts.of(texts).data) is found
        assert bool(search.find(Texts.of(texts))) is found
