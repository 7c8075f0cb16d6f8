"""A sliding sum."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingestd.alerts.window import STEPS, Window


@given(
    st.floats(1, 1e5),
    st.lists(st.tuples(st.floats(0, 100), st.integers(1, 1000)), max_size=200),
)
def test_it_is_the_sum_of_what_came_within_the_span_give_or_take_a_step(
    span_s: float, steps: list[tuple[float, int]]
) -> None:
    window, now_s = Window(span_s), 1.8e9
    added: list[tuple[float, int]] = []
    for pause_s, amount in steps:
        now_s += pause_s
        window.add(amount, now_s)
        added.append((now_s, amount))
        total = window.turn(now_s)
        step_s = span_s / STEPS
        # A microsecond: what floats of that size cannot tell apart.
        surely = sum(each for then_s, each in added if then_s > now_s - span_s + step_s + 1e-6)
        possibly = sum(each for then_s, each in added if then_s >= now_s - span_s - 1e-6)
        assert surely <= total <= possibly


def test_it_holds_no_more_than_its_steps() -> None:
    window = Window(60.0)
    for n in range(10_000):
        window.add(1, n / 10)
    assert len(window._steps) <= STEPS + 1


def test_it_is_empty_after_its_span() -> None:
    window = Window(10.0)
    window.add(5, 100.0)
    assert window.turn(109.0) == 5
    assert window.turn(110.2) == 0
