"""What alerts are called."""

from __future__ import annotations

import pytest

from ingestd.alerts.series import Series
from ingestd.alerts.words import duration, labels, summary
from ingestd.config_alerts import Alert


def series(value: float = 0.0, count: int = 1, sample: str = "", **about: str) -> Series:
    return Series(
        "r", tuple(about.items()), "f", "firing", 0.0, 0.0, 0.0, value=value, count=count, sample=sample
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.4, "0s"),
        (59.6, "1m"),
        (61, "1m 1s"),
        (3600, "1h"),
        (90_061, "1d 1h"),
        (14 * 86_400, "14d"),
        (-5, "the past"),
    ],
)
def test_durations_in_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("rule", "found", "text"),
    [
        (Alert(kind="match"), series(service="api"), "1 record of api matched"),
        (Alert(kind="match"), series(count=1200), "1,200 records matched"),
        (
            Alert(kind="rate", more_than=5, window=60.0),
            series(7, service="api"),
            "7 records of api matched within 1m, more than 5",
        ),
        (Alert(kind="absence", service="api"), series(90, service="api"), "no record of api for 1m 30s"),
        (Alert(kind="absence", node="n"), series(5, node="n"), "no heartbeat of n for 5s"),
        (
            Alert(kind="system", check="rejects_ratio"),
            series(0.1234),
            "12.3 % of the records within 5m were rejected, more than 10 %",
        ),
        (Alert(kind="system", check="drops"), series(1), "1 record dropped within 5m"),
    ],
)
def test_a_rule_without_words_of_its_own(rule: Alert, found: Series, text: str) -> None:
    assert summary(rule, found) == text


def test_a_summary_may_name_what_there_is_and_is_one_line() -> None:
    rule = Alert(
        kind="match",
        pattern="x+",
        labels={"team": "core"},
        summary="{team} {severity} {service}{node}: {count}\n{sample} {pattern}",
    )
    found = series(count=3, service="{team}", sample="a\r\n{severity}\tb")
    assert summary(rule, found) == "core warning {team}: 3 a {severity} b x+"


def test_labels_that_an_alert_has_by_itself_go_over_those_of_its_rule() -> None:
    rule = Alert(severity="info", labels={"team": "core"})
    assert labels(rule, series(service="api")) == {
        "team": "core",
        "severity": "info",
        "rule": "r",
        "service": "api",
    }
    assert labels(None, series(service="api")) == {"rule": "r", "service": "api"}
