"""Times of syslog: the year that RFC 3164 leaves out, and columns against one time after another."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.syslog_times import bsd, bsd_column, iso, iso_column

_BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "received", "stored"),
    [
        ("Dec 31 23:59:59", "2027-01-01T00:00:01", "2026-12-31T23:59:59"),
        ("Jan  1 00:00:01", "2026-12-31T23:59:59", "2027-01-01T00:00:01"),
        ("Jan  1 00:00:01", "2026-12-31T00:00:01", "2027-01-01T00:00:01"),
        ("Jan  1 00:00:01", "2026-12-31T00:00:00", "2026-01-01T00:00:01"),
        ("Jun 15 12:00:00", "2026-06-15T12:00:00", "2026-06-15T12:00:00"),
        ("Jun 17 12:00:00", "2026-06-15T12:00:00", "2025-06-17T12:00:00"),
        ("Feb 29 12:00:00", "2028-02-29T12:00:00", "2028-02-29T12:00:00"),
        ("Feb 29 12:00:00", "2027-03-01T12:00:00", "2024-02-29T12:00:00"),
        ("Feb 29 12:00:00", "2103-03-01T12:00:00", "2096-02-29T12:00:00"),
        ("Dec 31 23:59:60", "2027-01-01T00:00:01", "2027-01-01T00:00:00"),
        ("Oct 11 2018 22:14:15", "2026-06-15T12:00:00", "2018-10-11T22:14:15"),
        ("2018 Oct 11 22:14:15", "2026-06-15T12:00:00", "2018-10-11T22:14:15"),
        ("Oct 11 22:14:15 EST", "2026-06-15T12:00:00", "2025-10-12T03:14:15"),
        ("Oct 11 22:14:15 CST 1987", "2026-06-15T12:00:00", "1987-10-12T04:14:15"),
        ("Oct 11 22:14:15 XYZ", "2026-06-15T12:00:00", "2025-10-11T22:14:15"),
    ],
)
def test_the_year_is_found(text: str, received: str, stored: str) -> None:
    moment = datetime.fromisoformat(received).replace(tzinfo=UTC)
    assert bsd(text, moment, UTC) == stored + ".000000Z"


def test_new_year_is_that_of_the_zone() -> None:
    received = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)  # half past midnight in Berlin
    assert bsd("Jan  1 00:29:00", received, _BERLIN) == "2026-12-31T23:29:00.000000Z"
    assert bsd("Dec 31 23:59:00", received, _BERLIN) == "2026-12-31T22:59:00.000000Z"


@pytest.mark.parametrize(
    "text", ["Oct 34 12:00:00", "Feb 30 12:00:00", "Oct 11 24:00:00", "Oct 11 12:60:00", "Okt 11"]
)
def test_no_such_time(text: str) -> None:
    assert bsd(text, datetime(2026, 6, 15, tzinfo=UTC), UTC) is None


def test_fractions_end_at_the_microsecond() -> None:
    received = datetime(2026, 11, 20, tzinfo=UTC)
    assert bsd("Nov  1 12:00:00.1", received, UTC) == "2026-11-01T12:00:00.100000Z"
    assert bsd("Nov  1 12:00:00,123456789", received, UTC) == "2026-11-01T12:00:00.123456Z"
    assert bsd_column(["Nov  1 12:00:00 ", "Nov  1 12:00:00x"], received, UTC) == [
        "2026-11-01T12:00:00.000000Z",
        None,
    ]


_offset = st.one_of(
    st.just("Z"), st.just(""), st.sampled_from(["+00:00", "-05:30", "+14:00", "-24:00", "x", "+1"])
)
_second = st.one_of(
    st.datetimes(min_value=datetime(1960, 1, 1)).map(lambda moment: moment.isoformat(timespec="seconds")),
    st.sampled_from(
        ["2026-11-20T12:00:00", "2026-11-20T12:00:01", "2026-02-30T12:00:00", "2016-12-31T23:59:60", "x" * 19]
    ),
)
_time = st.tuples(
    _second,
    st.sampled_from(["", ".1", ".123", ".123456", ".654321", ".123456789", ".", ".x", ".12é456"]),
    _offset,
).map("".join)
_like = st.tuples(
    st.lists(_second, min_size=1, max_size=20),
    st.sampled_from([".123", ".000001", ".999999999", ""]),
    _offset,
)


@given(
    st.lists(_time, min_size=1, max_size=20), st.sampled_from([UTC, _BERLIN, timezone(timedelta(hours=-3))])
)
def test_a_column_is_what_its_times_are(texts: list[str], zone: tzinfo) -> None:
    assert list(iso_column(texts, zone)) == [iso(text, zone) for text in texts]


@given(_like, st.sampled_from([UTC, _BERLIN]))
def test_a_column_of_one_width(like: tuple[list[str], str, str], zone: tzinfo) -> None:
    seconds, fraction, offset = like
    texts = [second + fraction + offset for second in seconds]
    assert list(iso_column(texts, zone)) == [iso(text, zone) for text in texts]


@given(
    st.datetimes(min_value=datetime(1971, 1, 1)),
    st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]),
)
def test_what_python_reads(moment: datetime, zone: tzinfo) -> None:
    aware = moment.replace(tzinfo=zone)
    if aware.year > 9998:
        return
    wanted = aware.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    assert iso(aware.isoformat(timespec="microseconds"), UTC) == wanted
    assert iso(moment.isoformat(timespec="microseconds"), zone) == wanted
