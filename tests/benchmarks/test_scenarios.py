from __future__ import annotations

import pytest

from benchmarks.scenarios import median, quantile

INF = float("inf")


def test_a_quantile_lies_within_its_bucket() -> None:
    before = {0.1: 5.0, 1.0: 5.0, INF: 5.0}
    after = {0.1: 5.0, 1.0: 15.0, INF: 15.0}
    assert quantile(0.5, before, after) == pytest.approx(0.1 + 0.9 / 2)


def test_the_first_bucket_begins_at_zero() -> None:
    assert quantile(0.5, {}, {0.2: 10.0, INF: 10.0}) == pytest.approx(0.1)


def test_what_lies_beyond_the_last_bound_is_given_as_that_bound() -> None:
    assert quantile(0.99, {}, {1.0: 1.0, INF: 100.0}) == 1.0


def test_of_nothing_the_quantile_and_the_median_are_zero() -> None:
    assert quantile(0.5, {1.0: 7.0, INF: 7.0}, {1.0: 7.0, INF: 7.0}) == 0.0
    assert median([]) == 0.0
