"""The life of an alert: one rule, one set of labels.

    (nothing) --holds--> pending --has held for `for`--> firing --has not held for `resolve_after`--> resolved
                            '----has not held for `resolve_after`--> (nothing)

A condition holds as a state (a disk is full, until it is not) or for a moment (a record matched). The clock is passed
in; `due_s` says when to look again. Nothing here knows of notices.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from ingestd.alerts.rules import resolve_after_s
from ingestd.alerts.view import State
from ingestd.config_alerts import Alert

#: Alerts of one rule, and of all; beyond them services and nodes are not told apart.
MAX_OF_RULE: Final = 1000
MAX_OF_ALL: Final = 10_000

#: Characters kept of a sample.
SAMPLE_CHARS: Final = 512

NEVER: Final = float("inf")

Labels = tuple[tuple[str, str], ...]
"""Label and value, of what the rule is about: the rule's own labels are not among them."""


class Finding(NamedTuple):
    """What a rule found of one thing."""

    value: float = 0.0
    """What was compared with the threshold."""
    records: int = 0
    """Those that matched since the last finding."""
    sample: str = ""
    estimated: bool = False
    caused_s: float = 0.0
    """When what caused it came to the daemon; 0 is now."""


class Series(msgspec.Struct):
    """One alert. Times are UNIX seconds, 0 where there is none."""

    rule: str
    labels: Labels
    fingerprint: str
    state: State
    since_s: float
    held_s: float
    """When its condition was last known to hold."""
    caused_s: float
    holding: bool = False
    """Its condition holds as a state."""
    fired_s: float = 0.0
    resolved_s: float = 0.0
    value: float = 0.0
    count: int = 0
    sample: str = ""
    estimated: bool = False


def fingerprint(rule: str, labels: Labels) -> str:
    """16 hexadecimal digits."""
    return hashlib.sha256(repr((rule, labels)).encode()).hexdigest()[:16]


class Roster:
    """Every alert that is pending or fires, and what becomes of it. `turned` is called when one fires or is over."""

    def __init__(self, rules: Iterable[Alert], turned: Callable[[Series, float], object]) -> None:
        self.rules = {rule.name: rule for rule in rules}
        #: Things beyond the bounds, by rule.
        self.dropped: dict[str, int] = dict.fromkeys(self.rules, 0)
        self._resolve_after_s = {rule.name: resolve_after_s(rule) for rule in self.rules.values()}
        self._of_rule: dict[str, dict[Labels, Series]] = {name: {} for name in self.rules}
        self._turned = turned
        self._due: list[tuple[float, int, Series]] = []
        self._scheduled: dict[int, float] = {}
        self._number = 0
        self._size = 0

    def __iter__(self) -> Iterator[Series]:
        for alerts in self._of_rule.values():
            yield from alerts.values()

    def __len__(self) -> int:
        return self._size

    def of(self, rule: str) -> Mapping[Labels, Series]:
        """The alerts of one rule."""
        return self._of_rule[rule]

    def has_room(self, rule: str) -> bool:
        """Whether one more may begin; counts where not."""
        if len(self._of_rule[rule]) < MAX_OF_RULE and self._size < MAX_OF_ALL:
            return True
        self.dropped[rule] += 1
        return False

    def hold(self, rule: str, labels: Labels, found: Finding, now_s: float, *, moment: bool = False) -> None:
        """The condition holds, as a state or for this `moment`."""
        alerts = self._of_rule[rule]
        series = alerts.get(labels)
        if series is None:
            if labels and not self.has_room(rule):  # there is always room for all others together
                return
            print_ = fingerprint(rule, labels)
            series = Series(rule, labels, print_, "pending", now_s, now_s, found.caused_s or now_s)
            alerts[labels] = series
            self._size += 1
        series.held_s = now_s
        series.holding = not moment
        series.value = found.value
        series.count += found.records
        series.estimated |= found.estimated
        if found.sample:
            series.sample = found.sample[:SAMPLE_CHARS]
        self._look(series, now_s, holds=True)

    def release(self, series: Series, now_s: float, value: float | None = None) -> None:
        """The condition holds no longer."""
        if series.holding:
            series.holding = False
            series.held_s = now_s
        if value is not None:
            series.value = value
        self._look(series, now_s)

    def settle(self, rule: str, found: Mapping[Labels, Finding], now_s: float) -> None:
        """All of which the rule's condition holds now; of everything else it does not."""
        for labels, finding in found.items():
            self.hold(rule, labels, finding, now_s)
        for series in [each for labels, each in self._of_rule[rule].items() if labels not in found]:
            self.release(series, now_s)

    def adopt(self, alerts: Iterable[Series]) -> None:
        """Go on with the alerts of an earlier process, of rules that are there. To be followed by `skip`."""
        for series in alerts:
            self._of_rule[series.rule][series.labels] = series
            self._size += 1

    def skip(self, by_s: float, now_s: float) -> None:
        """So much time did not pass for any condition: nobody listened, or the clock was moved, to `now_s`."""
        self._due.clear()
        self._scheduled.clear()
        for series in list(self):
            series.held_s += by_s
            if series.state == "pending":
                series.since_s += by_s
            self._look(series, now_s)

    def tick(self, now_s: float) -> None:
        """What time alone brings about."""
        while self._due and self._due[0][0] <= now_s:
            _, _, series = heapq.heappop(self._due)
            self._scheduled.pop(id(series), None)
            if self._of_rule[series.rule].get(series.labels) is series:
                self._look(series, now_s)

    @property
    def due_s(self) -> float:
        """When `tick` has something to do at the earliest."""
        return self._due[0][0] if self._due else NEVER

    def _look(self, series: Series, now_s: float, *, holds: bool = False) -> None:
        """Turn it if it is time, and see to it that somebody looks again. What `holds` at this moment is not over."""
        over_s = NEVER if series.holding else series.held_s + self._resolve_after_s[series.rule]
        if series.state == "pending":
            fires_s = series.since_s + self.rules[series.rule].for_
            if fires_s <= now_s and fires_s <= over_s:
                series.state, series.fired_s = "firing", now_s
                self._turned(series, now_s)
            elif over_s <= now_s and not holds:
                self._remove(series)
                return
            else:
                self._schedule(series, min(fires_s, over_s))
                return
        if over_s <= now_s and not holds:
            series.state, series.resolved_s = "resolved", now_s
            self._remove(series)
            self._turned(series, now_s)
        elif over_s < NEVER:
            self._schedule(series, over_s)

    def _remove(self, series: Series) -> None:
        del self._of_rule[series.rule][series.labels]
        self._size -= 1

    def _schedule(self, series: Series, due_s: float) -> None:
        """One entry at a time for each: where it is early, `tick` looks and puts it back."""
        if self._scheduled.get(id(series), NEVER) > due_s:
            self._number += 1
            self._scheduled[id(series)] = due_s
            heapq.heappush(self._due, (due_s, self._number, series))
