from __future__ import annotations

from pathlib import Path

import msgspec
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
        (load(validation_ns=101.0), False),
        (load(verdict=Verdict(1000, 999, 1, 0, 0)), True),
        (load(verdict=Verdict(1000, 1000, 0, 1, 0)), True),
        (load("syslog TLS", format="syslog", cpu_us=1.71), False),
        (load("journald TLS", format="journald", cpu_us=3.9, records_per_s=199_999.0), False),
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


def test_the_default_rules_are_judged_where_they_were_timed(tmp_path: Path) -> None:
    made = outcome(tmp_path)
    made.loads = [load(cpu_us=0.8, validation_ns=4.0), load("mixed TLS", format="mixed", validation_ns=0.0)]
    (goal,) = [goal for goal in judge(made) if "default rules" in goal.name]
    assert (goal.name, goal.limit, goal.measured) == ("json TLS: default rules", "<= 10% of CPU", "0.50%")


def test_a_slow_start_and_a_busy_idle_worker_are_missed(tmp_path: Path) -> None:
    made = outcome(tmp_path)
    made.startups_s, made.idle_shares = [2.0], [0.001, 0.02]
    assert [goal.name for goal in judge(made) if not goal.met] == ["start to ready, median", "idle worker"]


def test_a_client_that_costs_its_caller_too_much_is_missed(tmp_path: Path) -> None:
    made = outcome(tmp_path)
    made.clients = [msgspec.structs.replace(made.clients[0], caller_us=0.51)]
    assert [goal.name for goal in judge(made) if not goal.met] == ["client library, send: CPU per record"]


def test_a_mixed_load_is_judged_by_the_weighted_mean_of_its_formats(tmp_path: Path) -> None:
    made = outcome(tmp_path)
    mixed = load("mixed TLS", format="mixed", cpu_us=1.6, by_format={"json": 750, "journald": 250})
    made.loads = [load(cpu_us=1.0), load("journald TLS", format="journald", cpu_us=3.0), mixed]
    (goal,) = [goal for goal in judge(made) if goal.name == "mixed TLS: CPU per record"]
    assert goal.limit.startswith("<= 1.65 us")  # 1.1 times 0.75 * 1.0 + 0.25 * 3.0
    assert goal.met


def test_a_mixed_load_without_one_of_its_formats_alone_has_nothing_to_be_judged_by(tmp_path: Path) -> None:
    made = outcome(tmp_path)
    made.loads = [load(), load("mixed TLS", format="mixed", by_format={"json": 750, "journald": 250})]
    assert not [goal for goal in judge(made) if goal.name == "mixed TLS: CPU per record"]
