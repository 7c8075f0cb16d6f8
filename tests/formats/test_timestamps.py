"""Timestamps: every accepted form to the stored one, exactly; blocks of stored ones checked soundly."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import timestamps
from formats.errors import DecodeError

GOOD = "2026-11-20T12:00:00.000000Z"


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00.000000Z"),
        ("2026-11-20t12:00:00z", "2026-11-20T12:00:00.000000Z"),
        ("2026-11-20 12:00:00", "2026-11-20T12:00:00.000000Z"),
        ("2026/11/20 12:00:00", "2026-11-20T12:00:00.000000Z"),
        ("2026-11-20 12:00:00,123", "2026-11-20T12:00:00.123000Z"),
        ("2026-11-20T12:00:00.1Z", "2026-11-20T12:00:00.100000Z"),
        ("2026-11-20T12:00:00.1234569Z", "2026-11-20T12:00:00.123456Z"),
        ("2026-11-20T12:00:00." + "9" * 500 + "Z", "2026-11-20T12:00:00.999999Z"),
        ("2026-11-20T12:00:00+01:30", "2026-11-20T10:30:00.000000Z"),
        ("2026-11-20T12:00:00.5-0130", "2026-11-20T13:30:00.500000Z"),
        ("2026-11-20 12:00:00 +01", "2026-11-20T11:00:00.000000Z"),
        ("2026-01-01T00:00:00+00:01", "2025-12-31T23:59:00.000000Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"),
        ("1969-12-31T23:30:00-01:00", "1970-01-01T00:30:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("0", "1970-01-01T00:00:00.000000Z"),
        ("1763640000", "2025-11-20T12:00:00.000000Z"),
        ("1763640000.123456999", "2025-11-20T12:00:00.123456Z"),
        ("1763640000.000001", "2025-11-20T12:00:00.000001Z"),
        ("1.763640000123456e9", "2025-11-20T12:00:00.123456Z"),
        ("1763640000123", "2025-11-20T12:00:00.123000Z"),
        ("1763640000123.456", "2025-11-20T12:00:00.123456Z"),
        ("1763640000123456", "2025-11-20T12:00:00.123456Z"),
        ("1763640000123456789", "2025-11-20T12:00:00.123456Z"),
        ("99999999999.9999999999999999999999999999999", "5138-11-16T09:46:39.999999Z"),
    ],
)
def test_parse(text: str, stored: str) -> None:
    assert timestamps.parse(text) == stored
    assert timestamps.bounds([stored]) == (stored, stored)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-20",
        "2026-11-20T12:00",
        "2026-11-20T12:00:00.Z",
        "2026-11-20T12:00:00ZZ",
        "2026-11-20T12:00:00+1:00",
        "2026-11-20T12:00:00+24:00",
        "2026-11-20T12:00:00+01:60",
        "2026-11-20T24:00:00Z",
        "2026-11-20T12:60:00Z",
        "2026-11-20T12:00:61Z",
        "2026-02-29T12:00:00Z",
        "2026-11/20T12:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:30:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "9999-12-31T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "２０２６-11-20T12:00:00Z",  # noqa: RUF001  full-width digits
        "٢026-11-20T12:00:00Z",
        "-1",
        "+1",
        "1_000",
        " 1",
        "NaN",
        "Infinity",
        "1e999",
        "1e-",
        "9" * 21,
        "1" * 10_000,
        "0x10",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        timestamps.parse(text)
    assert caught.value.reason == "invalid_timestamp"
    assert len(caught.value.detail) < 200


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)), st.integers(-1439, 1439))
def test_any_time_at_any_offset(moment: datetime, offset_min: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset_min)))
    stored = aware.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    assert timestamps.parse(aware.isoformat()) == stored
    assert timestamps.parse(aware.isoformat(" ", "microseconds").replace(".", ",")) == stored


@given(st.integers(0, 10**11 * 10**6 - 1))
def test_any_epoch_seconds(microseconds: int) -> None:
    seconds, fraction = divmod(microseconds, 10**6)
    stored = (datetime(1970, 1, 1) + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")
    assert timestamps.parse(f"{seconds}.{fraction:06d}") == stored + "Z"


@given(st.text())
def test_no_text_does_worse_than_be_refused(text: str) -> None:
    try:
        stored = timestamps.parse(text)
    except DecodeError:
        return
    assert timestamps.bounds([stored]) == (stored, stored)


@pytest.mark.parametrize("number", [1, 2, 1023, 1024, 1025, 5000])
def test_bounds(number: int) -> None:
    stamps = [f"2026-11-20T{index % 24:02d}:00:00.{index:06d}Z" for index in range(number)]
    assert timestamps.bounds(stamps) == (min(stamps), max(stamps))


@pytest.mark.parametrize(
    "bad",
    [
        "2026-11-20T12:00:00.00000ZZ",
        "2026-11-20 12:00:00.000000Z",
        "2026-11-20T12:00:60.000000Z",
        "2026-11-20T12:60:00.000000Z",
        "2026-11-20T24:00:00.000000Z",
        "2026-11-31T12:00:00.000000Z",
        "2026-13-20T12:00:00.000000Z",
        "2026-00-20T12:00:00.000000Z",
        "1969-11-20T12:00:00.000000Z",
        "0000-01-01T00:00:00.000000Z",
        "2026-11-20T12:00:00.00000:Z",
        "2026-11-20T12:00:00.00000/Z",
        "2026-11-20T12:00:00,000000Z",
        "2026-11-20T12:00:00.000000z",
        "2026-11-20T12:00:00.00000éZ",
        "２" * 27,  # noqa: RUF001
        "\x00" * 27,
    ],
)
def test_bounds_of_a_block_with_one_that_is_not_stored_form(bad: str) -> None:
    assert len(bad) == timestamps.WIDTH
    for stamps in ([bad], [GOOD, bad], [bad, GOOD], [GOOD] * 500 + [bad] + [GOOD] * 800):
        assert timestamps.bounds(stamps) is None


@given(st.text("0123456789-T:.Z ", min_size=27, max_size=27))
def test_bounds_is_sound(text: str) -> None:
    if timestamps.bounds([GOOD, text]) is not None:
        assert datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").year >= 1970


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)))
def test_bounds_is_complete(moment: datetime) -> None:
    text = moment.isoformat(timespec="microseconds") + "Z"
    assert timestamps.bounds([GOOD, text]) == (min(GOOD, text), max(GOOD, text))
