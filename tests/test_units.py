"""Sizes and durations: what is read, what is refused, and that what is written reads back the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("4096", 4096),
        ("10B", 10),
        ("1KB", 1000),
        ("1KiB", 1024),
        ("50MB", 50_000_000),
        ("1MiB", 1_048_576),
        ("1.5 MB", 1_500_000),
        (" 2gb ", 2_000_000_000),
        ("1TiB", 1024**4),
        ("0.1KB", 100),
    ],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "1 PB", "1ib", "1M", "1e3", "1.MB", "½MB", "9" * 5000])
def test_what_is_not_a_size(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("1us", 0.000001),
        ("250ms", 0.25),
        ("1s", 1.0),
        ("1.5s", 1.5),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("7d", 604800.0),
    ],
)
def test_durations(text: str, duration_s: float) -> None:
    assert parse_duration(text) == duration_s


@pytest.mark.parametrize("text", ["", "s", "10", "1.5", "-1s", "1 year", "1H", "1s2", "9" * 5000 + "s"])
def test_what_is_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0"), (1, "1"), (1000, "1KB"), (1024, "1KiB"), (50_000_000, "50MB"), (1001, "1001")],
)
def test_a_size_is_written_in_its_largest_whole_unit(size_bytes: int, text: str) -> None:
    assert format_size(size_bytes) == text


@pytest.mark.parametrize(
    ("duration_s", "text"), [(0.0, "0s"), (0.25, "250ms"), (90.0, "90s"), (3600.0, "1h"), (86400.0, "1d")]
)
def test_a_duration_is_written_in_its_largest_whole_unit(duration_s: float, text: str) -> None:
    assert format_duration(duration_s) == text


@given(st.integers(0, 10**12 - 1))
def test_sizes_read_back(size_bytes: int) -> None:
    assert parse_size(format_size(size_bytes)) == size_bytes


@given(st.integers(0, 10**12 - 1))
def test_durations_read_back(duration_us: int) -> None:
    assert parse_duration(format_duration(duration_us / 1_000_000)) == duration_us / 1_000_000
