"""Which patterns Python may judge, that it judges them as Rust does, and that it never takes long."""

from __future__ import annotations

import re

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.schema.patterns import portable

ATOMS = ["a", "b", "-", "\\.", "[ab]", "[^a]", "[a-c_]", "[0-9]", " "]
QUANTIFIERS = ["", "", "+", "*", "?", "{2}", "{1,3}", "{0,}"]


@given(
    st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from(QUANTIFIERS)).map("".join), max_size=4).map(
        "".join
    ),
    st.booleans(),
    st.lists(st.text("abc-._0\n\ré", max_size=6), max_size=8),
)
def test_python_and_rust_agree(body: str, ended: bool, texts: list[str]) -> None:
    pattern = f"^{body}{'$' if ended else ''}"
    made = portable(pattern)
    if made is None:
        return
    judge = jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions())
    for text in texts:
        assert (re.search(made, text) is not None) == judge.is_valid(text), (pattern, text)


@pytest.mark.parametrize(
    "pattern", ["^", "^$", "^[a-z]+$", "^[a-z]+-[0-9]{4}$", "^ORD[0-9]{1,9}$", "^[^/]+/[a-z]+$", "^/api/"]
)
def test_plain_ones_pass(pattern: str) -> None:
    assert portable(pattern) is not None


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a",
        "a$",
        "^(a|b)$",
        "^a|b",
        "^(a+)+$",
        "^.*$",
        "^\\d+$",
        "^\\w",
        "^[\\s]",
        "^a\\b",
        "^[a--b]",
        "^[[a]]",
        "^[a&&b]",
        "^[z-a]$",
        "^a+?b",
        "^a{3,1}b",
        "^a$b",
        "^é",
        "^[a-z]+[a-m]+$",
        "^a*a*a*b",
        "^[^a]+[^b]$",
        "^a+b?c",
    ],
)
def test_others_are_left_to_rust(pattern: str) -> None:
    assert portable(pattern) is None


def test_a_hostile_text_takes_linear_time() -> None:
    """Were it a square, this would take an hour."""
    for pattern, text in (
        ("^[a-z]+-[0-9]+$", "a" * 1_000_000),
        ("^[^/]+/[a-z]+$", "a" * 999_999 + "/" + "b" * 99 + "/"),
    ):
        made = portable(pattern)
        assert made is not None
        assert re.search(made, text) is None
