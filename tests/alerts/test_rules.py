"""The rules in force, and what they ask of workers."""

from __future__ import annotations

from ingestd.alerts.rules import BUILTIN, NODE_FAILED, conditions, in_force, resolve_after_s, threshold
from ingestd.config_alerts import Alert
from ingestd.config_alerts_check import broken_rules
from ingestd.observe.condition import Condition


def test_built_in_rules_could_stand_in_a_configuration() -> None:
    assert list(broken_rules(in_force((), builtin=True, node_failed=True), ())) == []


def test_a_rule_of_the_configuration_takes_the_place_of_a_built_in_one() -> None:
    own = Alert(name="queue-full", kind="system", check="queue", above=0.5)
    rules = in_force([own], builtin=True, node_failed=True)
    assert [rule for rule in rules if rule.name == "queue-full"] == [own]
    assert len(rules) == len(BUILTIN) + 1


def test_each_built_in_part_can_be_left_out() -> None:
    assert in_force((), builtin=False, node_failed=False) == ()
    assert [rule.name for rule in in_force((), builtin=False, node_failed=True)] == [NODE_FAILED]


def test_workers_look_for_what_match_and_rate_ask_of_a_record() -> None:
    rules = [
        Alert(name="a", kind="match", level="ERROR"),
        Alert(name="b", kind="rate", service="api", pattern="x", more_than=3),
        Alert(name="c", kind="match", pattern="x", field="trace"),
        *in_force((), builtin=True, node_failed=True),
    ]
    assert conditions(rules) == (
        Condition("a", "ERROR"),
        Condition("b", "", "api", "message", "x"),
        Condition("c", "", "", "trace", "x"),
    )


def test_a_check_has_a_threshold_of_its_own() -> None:
    assert threshold(Alert(kind="system", check="disk_used")) == 0.8
    assert threshold(Alert(kind="system", check="disk_used", above=0.0)) == 0.0
    assert threshold(Alert(kind="system", check="certificate_expiry")) == 14 * 86400
    assert threshold(Alert(kind="system", check="certificate_expiry", within=5.0)) == 5.0


def test_only_records_need_time_to_be_over() -> None:
    assert resolve_after_s(Alert(kind="match")) == 300.0
    assert resolve_after_s(Alert(kind="absence")) == 0.0
    assert resolve_after_s(Alert(kind="match", resolve_after=0.0)) == 0.0
