"""What patterns are taken, and what is said of the others."""

from __future__ import annotations

import re
import resource

import pytest

from ingestd.observe.patterns import MAX_PATTERN_CHARS, check_pattern


@pytest.mark.parametrize(
    "text",
    [
        "timeout",
        r"connection (refused|reset)",
        r"(?i)out of memory",
        r"status=5\d\d\b",
        "^panic: .*unreachable$",
        r"failed\s+payment",
        r"[0-9a-f]{8}-[0-9a-f]{4}",
        "naïve 😀",
        r"\\Applied",
        "(a+)+b",
        "(?s)a.b",
    ],
)
def test_it_takes_regular_expressions(text: str) -> None:
    assert check_pattern(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "leave it out"),
        (".*", "leave it out"),
        ("a|", "leave it out"),
        ("^$", "without a character"),
        ("$", "without a character"),
        ("(", "parenthesis"),
        (r"(a)\1", "Back-references"),
        ("a(?=b)", "look-around"),
        ("(?<!a)b", "look-around"),
        ("a++", "Possessive"),
        (r"\Aa", r"use \^ and \$"),
        (r"a\z", r"use \^ and \$"),
        (r"\\\Za", r"use \^ and \$"),
        ("(?i-m)^a", "flag -m"),
        ("(*UTF8)a", "verbs"),
        ("a\0b", "zero byte"),
        ("a\ud800", "surrogate"),
        ("x" * (MAX_PATTERN_CHARS + 1), "longer than"),
        ("a{0,100000}", "too large"),
    ],
)
def test_it_says_what_is_wrong(text: str, said: str) -> None:
    fault = check_pattern(text)
    assert fault is not None
    assert re.search(said, fault), fault


@pytest.mark.parametrize("text", [r"(a.{0,500}){20}", r"\p{L}{1,200}\p{N}{1,200}", "a.{32000}b"])
def test_what_takes_long_to_compile_is_refused_soon(text: str) -> None:
    before_s = spent_s()
    fault = check_pattern(text)
    assert fault is not None
    assert "counted repeats" in fault
    assert spent_s() - before_s < 5  # of CPU; by itself it takes 9 s to half a minute


def spent_s() -> float:
    """CPU time of children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
