"""The table of nodes."""

from __future__ import annotations

import pytest

from ingestd.alerts.nodes import ASSUMED_INTERVAL_S, Nodes, view
from ingestd.alerts.view import NodeCounts
from ingestd.observe.messages import Heartbeat
from tests.alerts.made import START_S, beat


@pytest.fixture
def nodes() -> Nodes:
    return Nodes(interval_missed=3, forget_after_s=3600.0, limit=100)


def states(nodes: Nodes, now_s: float) -> list[str]:
    nodes.tick(now_s)
    return [node.state for node in nodes]


def test_from_ok_over_late_to_failed_by_the_interval_that_is_told(nodes: Nodes) -> None:
    nodes.hear(beat(interval_s=10.0), START_S)
    assert states(nodes, START_S + 15) == ["ok"]
    assert states(nodes, START_S + 15.1) == ["late"]
    assert states(nodes, START_S + 29.9) == ["late"]
    assert states(nodes, START_S + 30) == ["failed"]
    nodes.hear(beat(at_s=START_S + 31, interval_s=10.0), START_S + 31)
    assert states(nodes, START_S + 31) == ["ok"]


def test_an_interval_that_is_not_told_is_learned(nodes: Nodes) -> None:
    nodes.hear(beat(), START_S)
    (node,) = nodes
    assert node.interval_s == ASSUMED_INTERVAL_S
    assert view(node, START_S).interval_seconds is None
    for n in range(1, 20):
        nodes.hear(beat(at_s=START_S + 5 * n), START_S + 5 * n)
    assert view(node, START_S + 95).interval_seconds == pytest.approx(5.0)
    assert states(nodes, START_S + 95 + 15.1) == ["failed"]


def test_an_outage_teaches_no_interval(nodes: Nodes) -> None:
    for n in range(3):
        nodes.hear(beat(at_s=START_S + 5 * n), START_S + 5 * n)
    nodes.tick(START_S + 1000)
    nodes.hear(beat(at_s=START_S + 1000), START_S + 1000)
    (node,) = nodes
    assert node.interval_s == pytest.approx(5.0)


def test_a_sender_that_claims_to_send_all_the_time_is_not_failed_by_jitter(nodes: Nodes) -> None:
    nodes.hear(beat(interval_s=1e-9), START_S)
    assert states(nodes, START_S + 0.2) == ["ok"]


def test_what_another_worker_tells_late_changes_nothing(nodes: Nodes) -> None:
    nodes.hear(beat(at_s=START_S + 10), START_S + 10)
    nodes.hear(Heartbeat("n1", "web", "", int(START_S * 1e9), 99.0, "old"), START_S + 10)
    (node,) = nodes
    assert (node.seen_s, node.told_s, node.version) == (START_S + 10, 0.0, "1.0")


def test_the_skew_of_a_clock(nodes: Nodes) -> None:
    nodes.hear(Heartbeat("a", "", "2027-01-15T08:00:07.500000Z", int(START_S * 1e9)), START_S)
    nodes.hear(Heartbeat("b", "", "no time", int(START_S * 1e9)), START_S)
    assert [view(node, START_S).clock_skew_seconds for node in nodes] == [7.5, 0.0]


def test_the_table_is_bounded_and_forgets(nodes: Nodes) -> None:
    for n in range(150):
        nodes.hear(beat(f"n{n}", interval_s=1.0), START_S)
    assert (len(nodes), nodes.dropped) == (100, 50)
    nodes.tick(START_S + 3599)
    assert nodes.counts() == NodeCounts(failed=100)
    nodes.tick(START_S + 3601)
    assert len(nodes) == 0


def test_one_missed_interval_may_be_enough() -> None:
    nodes = Nodes(interval_missed=1, forget_after_s=3600.0)
    nodes.hear(beat(interval_s=10.0), START_S)
    assert states(nodes, START_S + 9.9) == ["ok"]
    assert states(nodes, START_S + 10) == ["failed"]
