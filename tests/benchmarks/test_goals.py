from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.goals import judge
from benchmarks.load import Verdict
from tests.benchmarks.made import load, outcome


def test_a_good_run_meets_all(tmp_path: Path) -> None:
    goals = judge(outcome(tmp_path))
    assert goals
    assert all(goal.met for goal in goals)


@pytest.mark.parametrize(
    ("changed", "exactness"),
    [
        (load(records_per_s=999_999.0), False),
        (load(cpu_us=1.2), False),
        (load(verdict=Verdict(1000, 999, 1, 0, 0)), True),
        (load(verdict=Verdict(1000, 1000, 0, 1, 0)), True),
        (load("json UDP", records_per_s=500_000.0, kernel_drops=1), True),
        (load("json UDP overload", datagrams=10, received_datagrams=7, kernel_drops=2, verdict=None), True),
        (load("json TLS, slow writer", backpressure_pauses=0), False),
        (load("json TLS, slow writer", peak_rss_bytes=200_000_000), False),
    ],
)
def test_a_missed_figure_misses_one_goal(tmp_path: Path, changed: object, exactness: bool) -> None:
    made = outcome(tmp_path)
    made.loads = [changed]  # type: ignore[list-item]
    missed = [goal for goal in judge(made) if not goal.met]
    assert len(missed) == 1
    assert missed[0].exactness == exactness


def test_a_slow_start_and_a_busy_idle_worker_are_missed(tmp_path: Path) -> None:
    made = outcome(tmp_path)
    made.startups_s, made.idle_shares = [2.0], [0.001, 0.02]
    assert [goal.name for goal in judge(made) if not goal.met] == ["start to ready, median", "idle worker"]
