"""Rate-limited log lines: a topic is said at once, then once an interval with a count of what was held back."""

from __future__ import annotations

import logging

import pytest

from ingestd.ratelog import INTERVAL_S, RateLog
from tests.fakes import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def log(clock: ManualClock) -> RateLog:
    return RateLog(logging.getLogger("ingestd.test"), clock)


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    caplog.clear()
    return lines


def test_the_first_of_a_topic_is_said_at_once(log: RateLog, caplog: pytest.LogCaptureFixture) -> None:
    log.warning("reset", "lost %s", "192.0.2.1")
    log.error("accept", "no descriptors")
    assert said(caplog) == [("WARNING", "lost 192.0.2.1"), ("ERROR", "no descriptors")]


def test_the_others_are_counted(log: RateLog, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1000):
        log.warning("reset", "lost %d", number)
    assert said(caplog) == [("WARNING", "lost 0")]
    clock.now_s += INTERVAL_S
    log.warning("reset", "lost %d", 1000)
    assert said(caplog) == [("WARNING", "lost 1000 (and 999 more like it)")]
    clock.now_s += INTERVAL_S
    log.warning("reset", "lost %d", 1001)
    assert said(caplog) == [("WARNING", "lost 1001")]


def test_an_interval_counts_from_what_was_said(
    log: RateLog, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    log.warning("reset", "one")
    for _ in range(9):
        clock.now_s += INTERVAL_S / 10
        log.warning("reset", "more")
    assert said(caplog) == [("WARNING", "one")]
    clock.now_s += INTERVAL_S / 10
    log.warning("reset", "next")
    assert said(caplog) == [("WARNING", "next (and 9 more like it)")]


def test_topics_do_not_hold_each_other_back(log: RateLog, caplog: pytest.LogCaptureFixture) -> None:
    for topic in ("a", "b", "a", "b"):
        log.warning(topic, "%s", topic)
    assert [message for _, message in said(caplog)] == ["a", "b"]


def test_what_a_sender_wrote_is_no_format(log: RateLog, caplog: pytest.LogCaptureFixture) -> None:
    log.warning("bad_header", "refused: %s", "100%s %d %(x)s")
    assert said(caplog) == [("WARNING", "refused: 100%s %d %(x)s")]
