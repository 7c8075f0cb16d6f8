"""The rings: what is put in is got out, until its time is over; several hands, and other programs, may hold them."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestd.memory import Memory
from ingestd.rings import RESOLUTIONS, Point, Resolution, Rings

SECONDS, TENS, MINUTES = RESOLUTIONS
NOW_S = 1_800_000_000


def point(number: float) -> Point:
    return Point(*[number] * len(Point._fields))


def test_the_spans_are_those_that_the_page_offers() -> None:
    assert [(one.name, one.step_s, one.span_s) for one in RESOLUTIONS] == [
        ("1s", 1, 900),
        ("10s", 10, 7200),
        ("1m", 60, 86_400),
    ]


def test_points_come_back_oldest_first_and_gaps_stay_gaps() -> None:
    rings = Rings()
    for ago_s in (1, 5, 3):
        rings.put(SECONDS, NOW_S - ago_s, point(ago_s))
    assert rings.last(SECONDS, NOW_S) == [(NOW_S - ago_s, point(ago_s)) for ago_s in (5, 3, 1)]
    assert rings.last(SECONDS, NOW_S, 3) == [(NOW_S - 1, point(1))]
    assert rings.last(TENS, NOW_S) == []


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(RESOLUTIONS), st.lists(st.integers(0, 5000), min_size=1, max_size=60, unique=True))
def test_a_ring_holds_exactly_what_is_within_its_span(resolution: Resolution, steps: list[int]) -> None:
    rings = Rings()
    ends = [NOW_S + step * resolution.step_s for step in sorted(steps)]
    for end_s in ends:
        rings.put(resolution, end_s, point(end_s))
    newest = ends[-1]
    within = [end_s for end_s in ends if end_s > newest - resolution.span_s]
    assert rings.last(resolution, newest) == [(end_s, point(end_s)) for end_s in within]


def test_another_program_goes_on_in_the_same_rings() -> None:
    rings = Rings()
    rings.put(MINUTES, NOW_S, point(7))
    after = Rings(Memory.inherited(os.dup(rings.memory.fd)))
    assert after.get(MINUTES, NOW_S) == point(7)
    after.put(MINUTES, NOW_S + 60, point(8))
    assert rings.get(MINUTES, NOW_S + 60) == point(8), "while both are there, they are one"


def test_what_is_laid_out_otherwise_is_left_alone() -> None:
    other = Memory("test", 4096)
    other.bytes[:5] = b"other"
    rings = Rings(other)
    rings.put(SECONDS, NOW_S, point(1))
    assert rings.get(SECONDS, NOW_S) == point(1)
    assert other.bytes[:5] == b"other"
