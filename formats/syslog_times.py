"""The times of syslog messages: RFC 3339 in columns, and the many spellings of RFC 3164's.

`iso_column` takes the times of a block at once: those of one width are laid out as a matrix, what they have in common
is read once for each run of equal seconds and offsets, and numpy does the rest. A time without an offset is local: it
is in the zone of the settings. RFC 3164 has no year: it is the one that puts the time nearest before the receipt, or
up to a day after it (clocks differ; a December's message arrives in January).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from formats import timestamps
from formats.errors import DecodeError

ISO = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MONTH = "(?:" + "|".join(MONTHS) + ")"
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
# RFC 5322 section 4.3; other abbreviations mean different zones to different people.
_ZONES = {"Z": 0, "UT": 0, "UTC": 0, "GMT": 0, "EDT": -4, "EST": -5, "CDT": -5, "CST": -6, "MDT": -6}
_ZONES |= {"MST": -7, "PDT": -7, "PST": -8}
# RFC 3164 itself; Cisco puts the year before or behind the date, and a zone behind the clock, ended by a colon; the
# fourth example of RFC 3164 has a zone and a year. `CRON:` behind the clock is no zone, but a tag.
_ZONE = rf"(?:{'|'.join(_ZONES)})(?=:)|[A-Z]{{1,5}}(?=:[ ]{{0,8}}+%)|[A-Z]{{1,5}}[ ][0-9]{{4}}(?=[ :])"
BSD = rf"(?:[0-9]{{4}}[ ])?{_MONTH}[ ]{{1,2}}[0-9]{{1,2}}[ ](?:[0-9]{{4}}[ ])?{_CLOCK}(?:[ ](?:{_ZONE}))?"
_BSD = re.compile(
    rf"(?:([0-9]{{4}})[ ])?({_MONTH})[ ]{{1,2}}([0-9]{{1,2}})[ ](?:([0-9]{{4}})[ ])?"
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[ ]([A-Z]{1,5}))?(?:[ ]([0-9]{4}))?"
)
_FRACTION = re.compile(r"[.,]([0-9]{1,9})")
_ISO = re.compile(ISO)
_TAIL = re.compile(r"(?:\.([0-9]{1,9}))?(?:Z|[+-][0-9]{2}:[0-9]{2})?")
_SECOND_WIDTH = 19
_AHEAD = timedelta(days=1)


def iso(text: str, zone: tzinfo) -> str | None:
    """The stored form of one RFC 3339 time, None if it is none."""
    tail = _TAIL.fullmatch(text, _SECOND_WIDTH)
    if tail is None:
        return None
    fraction = tail[1] or ""
    second = _second(text[:_SECOND_WIDTH] + text[tail.end(1) if fraction else _SECOND_WIDTH :], zone)
    return None if second is None else f"{second}.{fraction[:6]:0<6}Z"


def iso_column(texts: Sequence[str], zone: tzinfo) -> Sequence[str | None]:
    """The same of many. Those of one width are taken together; NIL (`-`) and what is no time are None."""
    widths = list(map(len, texts))
    distinct = set(widths)
    if len(distinct) == 1:
        return _of_one_width(texts, zone)
    column: list[str | None] = [None] * len(texts)
    for width in distinct:
        if _SECOND_WIDTH <= width <= _SECOND_WIDTH + 16:
            indexes = [index for index, other in enumerate(widths) if other == width]
            times = _of_one_width([texts[index] for index in indexes], zone)
            for index, time in zip(indexes, times, strict=True):
                column[index] = time
    return column


def _of_one_width(texts: Sequence[str], zone: tzinfo) -> Sequence[str | None]:
    tail = _TAIL.fullmatch(texts[0], _SECOND_WIDTH)
    joined = "".join(texts)
    if tail is None or not joined.isascii():
        return [iso(text, zone) for text in texts]
    digits = len(tail[1] or "")
    matrix = np.frombuffer(joined.encode(), np.uint8).reshape(len(texts), -1)
    fraction_end = _SECOND_WIDTH + digits + (digits > 0)
    fraction = matrix[:, _SECOND_WIDTH + 1 : fraction_end]
    if digits and not ((matrix[:, _SECOND_WIDTH] == ord(".")).all() and (fraction - ord("0") < 10).all()):
        return [iso(text, zone) for text in texts]
    starts, seconds = _seconds(texts, matrix, fraction_end, zone)
    if "" in seconds:
        return [iso(text, zone) for text in texts]
    if (
        digits == 6
        and texts[0].endswith("Z")
        and all(second == texts[start][:_SECOND_WIDTH] for second, start in zip(seconds, starts, strict=True))
    ):
        return texts
    stored = np.full((len(texts), timestamps.WIDTH), ord("0"), np.uint8)
    lengths = np.diff([*starts, len(texts)])
    stored[:, :_SECOND_WIDTH] = np.repeat(
        np.frombuffer("".join(seconds).encode(), np.uint8).reshape(-1, _SECOND_WIDTH), lengths, axis=0
    )
    stored[:, _SECOND_WIDTH] = ord(".")
    stored[:, _SECOND_WIDTH + 1 : _SECOND_WIDTH + 1 + min(digits, 6)] = fraction[:, :6]
    stored[:, -1] = ord("Z")
    text = stored.tobytes().decode()
    return [text[start : start + timestamps.WIDTH] for start in range(0, len(text), timestamps.WIDTH)]


def _seconds(
    texts: Sequence[str], matrix: NDArray[np.uint8], fraction_end: int, zone: tzinfo
) -> tuple[list[int], list[str]]:
    """Where runs of equal seconds and offsets begin, and the second of each in UTC, empty if it is none."""
    changes = (matrix[1:, :_SECOND_WIDTH] != matrix[:-1, :_SECOND_WIDTH]).any(axis=1)
    changes |= (matrix[1:, fraction_end:] != matrix[:-1, fraction_end:]).any(axis=1)
    starts: list[int] = [0, *(np.flatnonzero(changes) + 1).tolist()]
    return starts, [
        _second(texts[at][:_SECOND_WIDTH] + texts[at][fraction_end:], zone) or "" for at in starts
    ]


@lru_cache(4096)
def _second(text: str, zone: tzinfo) -> str | None:
    """`YYYY-MM-DDTHH:MM:SS` in UTC of a second and its offset, in the zone if it has none."""
    if not _ISO.fullmatch(text):
        return None
    try:
        second = timestamps.parse_iso(text)
        if second is None:
            return None
        if len(text) > _SECOND_WIDTH or zone is UTC:
            return second[:_SECOND_WIDTH]
        return _utc(datetime.fromisoformat(second[:_SECOND_WIDTH]), zone)
    except (DecodeError, ValueError, OverflowError):
        return None


def bsd(text: str, received: datetime, zone: tzinfo) -> str | None:
    """The stored form of a time that matches `BSD`, None if there is no such time. `received` is aware."""
    fraction = _FRACTION.search(text)
    if fraction is None:
        second = _bsd_second(text, received, zone)
        return second and f"{second}.000000Z"
    second = _bsd_second(text[: fraction.start()] + text[fraction.end() :], received, zone)
    return second and f"{second}.{fraction[1][:6]:0<6}Z"


@lru_cache(4096)
def _bsd_second(text: str, received: datetime, zone: tzinfo) -> str | None:
    match = _BSD.fullmatch(text)
    if match is None:
        return None
    first_year, month, day, second_year, hour, minute, second, abbreviation, last_year = match.groups()
    year = first_year or second_year or last_year
    hours = _ZONES.get(abbreviation)
    if hours is not None:
        zone = timezone(timedelta(hours=hours))
    leap = second == "60"
    clock = (int(hour), int(minute), 59 if leap else int(second))
    date = (MONTHS.index(month) + 1, int(day))
    try:
        local = datetime(int(year), *date, *clock) if year else _nearest(date, clock, received, zone)
        if local is None:
            return None
        moment = _utc(local + timedelta(seconds=leap), zone)
    except (ValueError, OverflowError):
        return None
    return None if moment < "1970" else moment


def bsd_column(texts: Sequence[str], received: datetime, zone: tzinfo) -> Sequence[str | None]:
    """The same of many, each with the space behind it."""
    known = {text: bsd(text[:-1], received, zone) if text.endswith(" ") else None for text in set(texts)}
    return list(map(known.__getitem__, texts))


def _nearest(
    date: tuple[int, int], clock: tuple[int, int, int], received: datetime, zone: tzinfo
) -> datetime | None:
    """The last such time that is not more than a day ahead. Eight years have a 29 February, 1900 or not."""
    latest = received + _AHEAD
    this_year = latest.astimezone(zone).year
    for year in range(this_year, this_year - 9, -1):
        try:
            local = datetime(year, *date, *clock)
        except ValueError:
            continue
        if local.replace(tzinfo=zone) <= latest:
            return local
    return None


def _utc(local: datetime, zone: tzinfo) -> str:
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    return moment.replace(tzinfo=None).isoformat()
