"""The words: shares of levels, texts that need no escaping, durations of a given width."""

from collections import Counter
from random import Random

import pytest

from tools.loadgen import text


def test_levels_have_their_shares() -> None:
    counts = Counter(text.levels(10_000, Random(1)))
    assert counts == {"ERROR": 500, "WARN": 1_000, "INFO": 7_000, "DEBUG": 1_500}


def test_info_takes_the_rounding() -> None:
    assert text.levels(3, Random(1)) == ["INFO"] * 3


@pytest.mark.parametrize("level", text.LEVEL_SHARES)
def test_messages_vary_and_need_no_escaping(level: str) -> None:
    rng = Random(1)
    messages = {text.message(level, rng) for _ in range(500)}
    assert len(messages) > 250
    assert not any(set(message) & set('"\\=') or not message.isprintable() for message in messages)
    assert all(message.isascii() for message in messages)


@pytest.mark.parametrize("digits", range(1, 8))
def test_a_duration_has_its_digits(digits: int) -> None:
    made = text.duration(digits, Random(digits))
    assert len(made) == text.DURATION_OVERHEAD_BYTES + digits
    assert made.startswith(" in ")
    assert made.endswith("us")
