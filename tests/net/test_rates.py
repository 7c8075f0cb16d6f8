"""Token buckets, by a clock that stands still until it is moved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.net.rates import Bucket, RateLimits, Rates
from tests.fakes import ManualClock


def test_a_burst_is_free_and_a_debt_is_waited_for() -> None:
    bucket = Bucket(1000, 2.0, 0.0)
    assert bucket.take(2000, 0.0) == 0
    assert bucket.take(500, 0.0) == pytest.approx(0.5)
    assert bucket.take(0, 0.5) == 0
    assert bucket.take(2000, 100.0) == 0  # it never holds more than the burst
    assert bucket.take(1000, 100.0) == pytest.approx(1.0)


@given(st.lists(st.tuples(st.integers(1, 300_000), st.floats(0, 3)), min_size=1, max_size=50))
def test_who_waits_as_told_keeps_the_rate(reads: list[tuple[int, float]]) -> None:
    rate, now_s, taken = 1000, 0.0, 0
    bucket = Bucket(rate, 1.0, now_s)
    for nbytes, pause_s in reads:
        now_s += bucket.take(nbytes, now_s) + pause_s
        taken += nbytes
    assert taken <= rate * (now_s + 1.0) + 1


def test_connections_of_a_source_share_its_bucket() -> None:
    clock = ManualClock()
    rates = Rates(RateLimits(connection=100, source=150), clock)
    (own, shared), (other, also) = rates.buckets("a"), rates.buckets("a")
    assert shared is also
    assert own is not other
    assert rates.buckets("b")[1] is not shared


def test_no_limit_is_no_bucket() -> None:
    rates = Rates(RateLimits(), ManualClock())
    assert rates.buckets("a") == []
    assert rates.allows("a", 1 << 40)


def test_datagrams_are_allowed_until_the_bucket_is_overdrawn() -> None:
    clock = ManualClock()
    rates = Rates(RateLimits(source=1000), clock)
    assert rates.allows("a", 1500)
    assert not rates.allows("a", 1)
    assert rates.allows("b", 1)
    clock.now_s += 0.6
    assert rates.allows("a", 1)
