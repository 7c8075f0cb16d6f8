"""What is kept of what workers tell: for as long as it says something of the present, and bounded."""

from __future__ import annotations

from ingestd.observe.messages import Observation, Rejected
from ingestd.sidecar.facts import Facts, Source, Speed


def rejected(number: int, reason: str = "schema") -> Rejected:
    return Rejected(
        reason, f"number {number}", "{}", "json", "tcp", "192.0.2.1", "2026-11-20T12:00:00.000000Z"
    )


def test_services_are_counted_over_the_last_minute() -> None:
    facts = Facts()
    for second in range(30):
        facts.hear(Observation(second % 2, services={"api": 100, "mail": 10}), second)
    assert facts.services(5, 30) == [Speed("api", 100.0), Speed("mail", 10.0)]
    assert facts.services(1, 30) == [Speed("api", 100.0)]
    assert facts.services(5, 200) == []


def test_names_beyond_the_bound_are_counted_together() -> None:
    facts = Facts()
    for number in range(3000):
        facts.hear(Observation(0, services={f"service-{number}": 1}), 1.0)
    speeds = facts.services(5000, 2.0)
    assert len(speeds) == 1001
    assert speeds[0] == Speed("", 2000.0)


def test_a_count_is_estimated_as_long_as_a_part_of_it_is() -> None:
    facts = Facts()
    facts.hear(Observation(0, services={"api": 100}, estimated=True), 1.0)
    facts.hear(Observation(1, services={"api": 100}), 2.0)
    assert facts.estimated
    for second in range(7, 80, 5):
        facts.hear(Observation(1, services={"api": 100}), second)
    assert not facts.estimated


def test_a_long_name_is_cut() -> None:
    facts = Facts()
    facts.hear(Observation(0, services={"x" * 100_000: 1}), 1.0)
    assert facts.services(5, 2.0) == [Speed("x" * 200, 1.0)]


def test_sources_are_those_of_the_workers_that_are_there() -> None:
    facts = Facts()
    facts.hear(Observation(0, sources={"192.0.2.1": 3, "192.0.2.2": 1}))
    facts.hear(Observation(1, sources={"192.0.2.2": 4}))
    facts.hear(Observation(1))
    assert facts.sources(5, {0, 1}) == [Source("192.0.2.2", 5), Source("192.0.2.1", 3)]
    facts.hear(Observation(1, sources={}))
    assert facts.sources(5, {0, 1}) == [Source("192.0.2.1", 3), Source("192.0.2.2", 1)]
    assert facts.sources(5, {1}) == []


def test_the_newest_examples_of_each_reason_are_kept() -> None:
    facts = Facts()
    for number in range(100):
        facts.hear(Observation(0, rejects=[rejected(number), rejected(number, "oversize")]))
    assert [one.detail for one in facts.examples("schema")] == [f"number {n}" for n in range(99, 79, -1)]
    assert facts.example_counts() == {"schema": 20, "oversize": 20}
    assert facts.examples("truncated") == []
