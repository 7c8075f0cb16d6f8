"""The schedule, by a clock turned by hand."""

import math

import pytest

from tests.loadgen.clock import ManualClock
from tools.loadgen.pacing import MAX_NAP_S, Pace


def never() -> bool:
    return False


def test_bursts_come_on_schedule() -> None:
    clock = ManualClock()
    pace = Pace(0.25, 1.0, clock, clock.sleep)
    begun = []
    while pace.wait(never, 2.0):
        begun.append(clock.now_s)
    assert begun == pytest.approx([1.0, 1.25, 1.5, 1.75])
    assert pace.owed(2.0) == 0
    assert max(clock.naps) <= MAX_NAP_S
    assert pace.latest_s == pytest.approx(0)


def test_the_schedule_does_not_slip() -> None:
    clock = ManualClock()
    pace = Pace(0.25, 0.0, clock, clock.sleep)
    assert pace.wait(never, math.inf)
    clock.now_s = 1.1  # the receiver was slow
    begun = []
    for _ in range(5):
        assert pace.wait(never, math.inf)
        begun.append(clock.now_s)
    assert begun == pytest.approx([1.1, 1.1, 1.1, 1.1, 1.25])
    assert pace.latest_s == pytest.approx(0.85)


def test_what_was_due_and_not_begun_is_owed() -> None:
    clock = ManualClock()
    pace = Pace(0.25, 0.0, clock, clock.sleep)
    assert pace.wait(never, 1.0)
    clock.now_s = 5.0
    assert not pace.wait(never, 1.0)
    assert pace.owed(1.0) == 3


def test_unpaced_is_always_due_and_owes_nothing() -> None:
    clock = ManualClock()
    pace = Pace(0.0, 0.0, clock, clock.sleep)
    assert all(pace.wait(never, 1.0) for _ in range(100))
    clock.now_s = 1.0
    assert not pace.wait(never, 1.0)
    assert pace.owed(1.0) == 0
    assert clock.naps == []


def test_a_stop_is_noticed_within_a_nap() -> None:
    clock = ManualClock()
    pace = Pace(10.0, 10.0, clock, clock.sleep)
    assert not pace.wait(lambda: clock.now_s >= 0.15, math.inf)
    assert clock.now_s <= 0.15 + MAX_NAP_S
