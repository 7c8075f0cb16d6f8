"""Numbers as people read them."""

from __future__ import annotations

import pytest

from ingestd.terminal import figures


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, figures.UNKNOWN),
        (0, "0"),
        (0.0123456, "0.0123"),
        (0.00001, "0.00001"),
        (9.999, "10"),
        (123.4, "123"),
        (999.6, "1,000"),
        (12345.6, "12,346"),
    ],
)
def test_decimal(value: float | None, shown: str) -> None:
    assert figures.decimal(value) == shown


def test_speed() -> None:
    assert [figures.speed(value) for value in (None, 0, 0.2, 3.14159, 9.96, 1234567)] == [
        figures.UNKNOWN,
        "0",
        "0.2",
        "3.1",
        "10",
        "1,234,567",
    ]


def test_size() -> None:
    assert [figures.size(value) for value in (0, 999, 999_700, 1_500_000, 81_312_280_576, 5e18)] == [
        "0 B",
        "999 B",
        "1 MB",
        "1.5 MB",
        "81.3 GB",
        "5,000 PB",
    ]


def test_latency_and_duration() -> None:
    assert [figures.latency(value) for value in (0.0042, 0.25, 1.5)] == ["4.2 ms", "250 ms", "1.5 s"]
    assert [figures.duration(value) for value in (0.5, 59, 61, 3_700, 172_799, 172_800)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h 1 min",
        "47 h 59 min",
        "2 days",
    ]


def test_words() -> None:
    assert figures.plural(1, "worker") == "1 worker"
    assert figures.plural(1200, "worker") == "1,200 workers"
    assert figures.reasons({"rate_limit": 2, "backpressure": 3000}) == "backpressure 3,000, rate limit 2"
