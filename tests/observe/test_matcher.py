"""Conditions against a naive reading: for random blocks and rules the counts are those of `re` over each record."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.levels import LEVELS
from ingestd.observe.condition import Condition
from tests.observe.made import Observed, Record, block, record

SERVICES = ("api", "db", "auth", "web", "öffnung")
PATTERNS = ("", "a", "a b", "^b", "b$", r"a\sb", "[^a]b", "(?i)B", "1", "true", "é")
MESSAGES = st.text(st.sampled_from("abAB \n1é"), max_size=6)


@st.composite
def records(draw: st.DrawFn) -> Record:
    more = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "code": st.one_of(st.integers(0, 20), st.booleans(), MESSAGES, st.lists(st.just("a"))),
                "msg": MESSAGES,  # not in the stored form any more
            },
        )
    )
    message = draw(MESSAGES)
    made = {**record(draw(st.sampled_from(LEVELS)), draw(st.sampled_from(SERVICES)), message), **more}
    if "msg" in more and draw(st.booleans()):
        del made["message"]
    return made


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    pattern = draw(st.sampled_from(PATTERNS))
    field = draw(st.sampled_from(("", "message", "code", "service", "absent"))) if pattern else ""
    level, service = draw(st.sampled_from(("", *LEVELS))), draw(st.sampled_from(("", *SERVICES)))
    return Condition(f"rule-{draw(st.integers(0, 10**9))}", level, service, field, pattern)


def meets(made: Record, condition: Condition) -> bool:
    """The naive reading."""
    if condition.level and LEVELS.index(str(made["level"])) < LEVELS.index(condition.level):
        return False
    if condition.service and made["service"] != condition.service:
        return False
    if not condition.pattern:
        return True
    field = condition.field or "message"
    value = made.get(field, "")
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return re.search(condition.pattern, text, re.MULTILINE | re.ASCII) is not None


def stored(made: Record) -> Record:
    """As it is stored: `msg` is taken for a message that is missing."""
    if "message" in made:
        return made
    rest = dict(made)
    return {**rest, "message": rest.pop("msg")}


@settings(deadline=None, max_examples=150)
@given(
    st.lists(conditions(), min_size=1, max_size=8, unique_by=lambda condition: condition.rule),
    st.lists(st.lists(records(), min_size=1, max_size=40), min_size=1, max_size=4),
)
def test_what_is_counted_is_what_is_there(rules: list[Condition], blocks: list[list[Record]]) -> None:
    observed = Observed(*rules)
    for made in blocks:
        observed.take(block(made))
    observed.flush()
    estimated = {match.rule for match in observed.matches if match.estimated}
    told = {key: count for key, count in observed.counts.items() if key[0] not in estimated}
    wanted = Counter(
        (rule.rule, str(made["service"]))
        for each in blocks
        for made in map(stored, each)
        for rule in rules
        if rule.rule not in estimated and meets(made, rule)
    )
    assert told == wanted
    by_rule = {rule.rule: rule for rule in rules}
    for match in observed.matches:
        sample = json.loads(match.sample)
        assert meets(sample, by_rule[match.rule])
        assert sample["service"] == match.service
        assert sample["hostname"] == "vm"
    assert observed.services == Counter(str(made["service"]) for each in blocks for made in each)


@pytest.mark.parametrize(
    ("format_", "data"),
    [
        ("raw", b"2026-11-20 12:00:00,123 ERROR db: no space left\n2026-11-20 12:00:00,123 INFO db: ok\n"),
        ("syslog", b"<11>1 2026-11-20T12:00:00Z host db - - - no space left\n<14>1 - host db - - - ok\n"),
        ("auto", b"<11>1 2026-11-20T12:00:00Z host db - - - no space left\nplain\n"),
        ("journald", b"PRIORITY=3\nSYSLOG_IDENTIFIER=db\nMESSAGE=no space left\n\n"),
    ],
)
def test_every_format_is_looked_at(format_: str, data: bytes) -> None:
    observed = Observed(Condition("full", "ERROR", "db", "", "space"), Condition("errors", "ERROR"))
    observed.take(data, format_)
    observed.flush()
    assert observed.counts == {("full", "db"): 1, ("errors", "db"): 1}
    assert "no space left" in observed.matches[0].sample


def test_a_storm_is_counted_about_right() -> None:
    rules = [Condition("all", pattern="failed"), Condition("few", pattern="badly"), Condition("db", "", "db")]
    observed = Observed(*rules)
    made = [
        record(service=SERVICES[number % 2], message=f"{number} failed" + " badly" * (number % 500 == 0))
        for number in range(1600)
    ]
    for _ in range(100):
        observed.take(block(made))
    observed.flush()
    counts = observed.counts
    assert counts["few", "api"] == 400
    assert counts["db", "db"] == 80_000
    assert counts["all", "api"] + counts["all", "db"] == pytest.approx(160_000, rel=0.001)
    assert counts["all", "api"] == pytest.approx(80_000, rel=0.1)
    assert {match.rule for match in observed.matches if match.estimated} == {"all"}
