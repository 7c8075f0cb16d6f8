"""What is told, when, and how much of it at most."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

import formats.heartbeats
from formats import kernel
from formats.cores import ALL_LEVELS
from ingestd.observe.condition import Condition
from ingestd.observe.gathered import MAX_SERVICES
from ingestd.observe.messages import OTHERS, SAMPLE_BYTES, Heartbeat
from ingestd.observe.observer import MAX_HEARTBEATS, MAX_REJECTS, MAX_SOURCES, TELL_AGAIN
from tests.observe.made import Observed, block, errors, record


class Sender(NamedTuple):
    transport: str = "tcp"
    source: str = "192.0.2.1"


def test_nothing_is_told_of_nothing() -> None:
    observed = Observed(Condition("errors", "ERROR"))
    observed.observer.look_around()
    assert not observed.timers
    assert not observed.teller.told


def test_many_blocks_are_one_observation() -> None:
    observed = Observed(Condition("errors", "ERROR"))
    for _ in range(10):
        observed.take(block([*errors(4, ["api", "db"]), record()]))
    assert len(observed.timers) == 1
    observed.flush()
    assert observed.counts == {("errors", "api"): 20, ("errors", "db"): 20}
    assert observed.services == {"api": 30, "db": 20}
    assert len(observed.teller.told) == 1
    assert not observed.timers


def test_without_room_it_gathers_on() -> None:
    observed = Observed(Condition("errors", "ERROR"))
    observed.teller.has_room = False
    for _ in range(3):
        observed.take(block(errors(2, ["api"])))
        observed.flush()
    assert not observed.teller.told
    observed.teller.has_room = True
    observed.flush()
    assert observed.counts == {("errors", "api"): 6}


def test_a_sample_is_whole_or_cut() -> None:
    observed = Observed(Condition("errors", "ERROR"))
    observed.take(block([record("ERROR", "api", "short"), record("ERROR", "db", "😀" * SAMPLE_BYTES)]))
    observed.flush()
    short, long = sorted(observed.matches, key=lambda match: match.service)
    assert json.loads(short.sample)["message"] == "short"
    assert SAMPLE_BYTES - 4 < len(long.sample.encode()) <= SAMPLE_BYTES


def test_services_beyond_the_limit_are_told_together() -> None:
    observed = Observed(Condition("errors", "ERROR"), Condition("failed", pattern="failed"))
    names = [f"service-{number}" for number in range(MAX_SERVICES + 10)]
    for start in range(0, len(names), 10):
        observed.take(block(errors(10, names[start : start + 10])))
    observed.flush()
    for rule in ("errors", "failed"):
        counts = {service: count for (name, service), count in observed.counts.items() if name == rule}
        assert len(counts) == MAX_SERVICES + 1
        assert counts[OTHERS] == 10
    assert observed.services[OTHERS] == 10
    assert len(observed.services) == MAX_SERVICES + 1
    assert observed.cut()["match_service"] == 20
    assert observed.cut()["service"] == 10


def test_a_service_that_a_rule_names_is_always_told_apart() -> None:
    observed = Observed(Condition("errors", "ERROR"), Condition("last", "ERROR", "last"))
    for number in range(MAX_SERVICES):
        observed.take(block(errors(1, [f"service-{number}"])))
    observed.take(block(errors(3, ["last"])))
    observed.flush()
    assert observed.counts["last", "last"] == 3


def test_samples_are_bounded_all_together() -> None:
    observed = Observed(Condition("errors", "ERROR"))
    names = [f"service-{number}" for number in range(MAX_SERVICES)]
    observed.take(block(record("ERROR", name, "x" * SAMPLE_BYTES) for name in names))
    observed.flush()
    assert sum(len(match.sample) for match in observed.matches) <= (1 << 20) + SAMPLE_BYTES
    assert len(observed.matches) == MAX_SERVICES
    assert observed.cut()["sample"] == sum(not match.sample for match in observed.matches) > 0


@pytest.mark.parametrize("is_counted", [False, True])
def test_services_at_a_high_rate(is_counted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are exact where kernels count them anyway, else estimated from some blocks."""
    monkeypatch.setattr(kernel, "COMPILED", is_counted)
    observed = Observed()
    made = block(record(service=("api", "api", "db", "web")[number % 4]) for number in range(1000))
    wanted = set()
    for _ in range(500):
        observed.take(made)
        wanted.add(observed.observer.wanted.levels)
    observed.take(block([record(service="rare"), record(service="api")]))
    observed.flush()
    (told,) = observed.teller.told
    assert told.services.keys() == {"api", "db", "web", "rare"}
    if is_counted:
        assert told.services == {"api": 250_001, "db": 125_000, "web": 125_000, "rare": 1}
        assert (told.estimated, wanted) == (False, {0})
    else:
        assert told.estimated
        assert told.services["api"] == pytest.approx(2 * told.services["db"], rel=0.01)
        assert sum(told.services.values()) == pytest.approx(500_002, rel=0.08)
        assert wanted == {0, ALL_LEVELS}


def test_connections_are_told_when_they_change() -> None:
    observed = Observed()
    observed.sources = {"192.0.2.1": 3}
    observed.observer.look_around()
    observed.flush()
    observed.observer.look_around()
    assert not observed.timers
    observed.sources = {f"192.0.2.{number}": number for number in range(MAX_SOURCES + 5)}
    observed.observer.look_around()
    observed.flush()
    first, second = [told.sources for told in observed.teller.told]
    assert first == {"192.0.2.1": 3}
    assert second is not None
    assert len(second) == MAX_SOURCES
    assert min(second.values()) == 5
    assert observed.cut() == {"source": 5}
    observed.sources = {}
    observed.observer.look_around()
    observed.flush()
    assert observed.teller.told[-1].sources == {}


def test_connections_are_told_again_to_who_has_just_come() -> None:
    observed = Observed()
    observed.sources = {"192.0.2.1": 3}
    for _ in range(3 * TELL_AGAIN):
        observed.observer.look_around()
        if observed.timers:
            observed.flush()
    assert [told.sources for told in observed.teller.told] == [{"192.0.2.1": 3}] * 4


def test_some_rejects_of_each_reason_are_examples() -> None:
    observed = Observed()
    rejects = [("invalid_json", b"\xff{" + b"x" * 5000, "no JSON")] * (MAX_REJECTS + 3)
    observed.observer.reject([*rejects, ("oversize", b"y", "too long")], "json", Sender(), "now")
    observed.flush()
    assert [rejected.reason for rejected in observed.rejects] == ["invalid_json"] * MAX_REJECTS + ["oversize"]
    example = observed.rejects[0]
    assert example.data.startswith("\\xff{x")
    assert len(example.data) == SAMPLE_BYTES
    assert (example.source, example.transport, example.time) == ("192.0.2.1", "tcp", "now")
    assert observed.cut() == {"reject": 3}


def test_the_latest_heartbeat_of_a_service_on_a_node_is_told() -> None:
    observed = Observed()
    for number in range(MAX_HEARTBEATS + 2):
        observed.observer.hear(
            formats.heartbeats.Heartbeat(f"node-{number}", "api", "then", 0.0, ""), "::1", 5
        )
    observed.observer.hear(formats.heartbeats.Heartbeat("node-0", "api", "later", 10.0, "2"), "::2", 7)
    observed.flush()
    assert len(observed.heartbeats) == MAX_HEARTBEATS
    assert observed.heartbeats[0] == Heartbeat("node-0", "api", "later", 7, 10.0, "2", "::2")
    assert observed.cut() == {"heartbeat": 2}
