"""What a rule would make of records."""

from __future__ import annotations

import json

import pytest

from ingestd.alerts.explain import Explanation, Outcome, Verdict
from ingestd.config_alerts import Alert
from tests.alerts.made import START_S, match_rule

RULE = Alert(name="r", kind="match", level="ERROR", service="api", pattern="time ?out")


def line(minute: int = 0, **fields: object) -> bytes:
    whole = {"timestamp": f"2026-11-20T12:{minute:02}:00Z", "level": "ERROR", "service": "api"}
    return json.dumps({**whole, "message": "timeout", **fields}).encode() + b"\n"


def tried(rule: Alert, *lines: bytes) -> tuple[list[Verdict], Outcome]:
    explanation = Explanation(rule, "unknown", START_S)
    verdicts = [verdict for each in lines for verdict in explanation.feed(each)]
    return verdicts, explanation.outcome()


def test_each_part_that_does_not_hold_is_named() -> None:
    verdicts, outcome = tried(
        RULE,
        line(),
        line(level="WARN"),
        line(service="web", message="fine"),
        line(msg="Timeout", message=None),
    )
    assert [verdict.failed for verdict in verdicts] == [
        {},
        {"level": "level WARN is below ERROR"},
        {"service": 'service is "web"', "pattern": 'message is "fine"'},
        {"pattern": 'message is "Timeout"'},
    ]
    assert (outcome.records, outcome.fitting, dict(outcome.failed)) == (
        4,
        1,
        {"level": 1, "service": 1, "pattern": 2},
    )


def test_another_field() -> None:
    rule = Alert(name="r", kind="match", pattern="^5", field="status")
    verdicts, _ = tried(rule, line(status=503), line(status=200), line())
    assert [verdict.failed.get("pattern") for verdict in verdicts] == [
        None,
        "status is 200",
        "there is no field status",
    ]


def test_time_is_that_of_the_records() -> None:
    _, outcome = tried(match_rule("r", resolve_after=300.0), line(0), line(4), line(20), line(2))
    times = [(event.state, (event.resolved_at or event.fired_at or "")[11:19]) for event in outcome.events]
    assert times == [("firing", "12:00:00"), ("resolved", "12:09:00"), ("firing", "12:20:00")]


def test_a_rate() -> None:
    rule = Alert(name="r", kind="rate", level="ERROR", more_than=2, window=60.0)
    _, outcome = tried(rule, line(1), line(5), line(9), *(line(30) for _ in range(3)))
    assert [event.value for event in outcome.events] == [3]


def test_an_absence() -> None:
    rule = Alert(name="r", kind="absence", service="api", silent_for=600.0)
    _, outcome = tried(rule, line(0), line(30, service="web"), line(40))
    assert [(event.state, event.labels["service"]) for event in outcome.events] == [
        ("firing", "api"),
        ("resolved", "api"),
    ]


def test_records_of_any_format_and_lines_that_are_none() -> None:
    verdicts, outcome = tried(RULE, b"<11>1 2026-11-20T12:00:00Z h api - - - timeout\n", b"plain\n")
    assert verdicts[0].failed == {}
    assert verdicts[1].failed.keys() == {"level", "service", "pattern"}
    assert outcome.records == 2


@pytest.mark.parametrize("rule", [Alert(kind="system", check="drops"), Alert(kind="absence", node="*")])
def test_rules_that_records_say_nothing_of(rule: Alert) -> None:
    with pytest.raises(ValueError, match="records say nothing"):
        Explanation(rule, "unknown", START_S)
