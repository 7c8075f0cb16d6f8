"""Rules over records: match, rate, and absence of a service or node. Each feeds the `Roster` with what it finds.

Workers tell matches by rule and service some five times a second; what is done here is per such message and service,
never per record.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ingestd.alerts.nodes import Nodes
from ingestd.alerts.series import MAX_OF_RULE, Finding, Labels, Roster
from ingestd.alerts.window import Window
from ingestd.config_alerts import Alert
from ingestd.observe.messages import OTHERS, Match

#: What `*` stands for: each one that was seen.
EACH: Final = "*"


def _labels(service: str) -> Labels:
    return (("service", service),) if service else ()


class MatchRule:
    """Each matching record is a moment at which the condition holds."""

    def __init__(self, rule: Alert, roster: Roster) -> None:
        self._name = rule.name
        self._roster = roster

    def hear(self, match: Match, now_s: float) -> None:
        """Some records matched. In a storm nearly all of them are of alerts that fire already, which are prolonged."""
        labels = _labels(match.service)
        alerts = self._roster.of(self._name)
        series = alerts.get(labels)
        if series is not None and series.state == "firing":
            series.held_s = now_s  # whoever looks when it was due to be over sees that it is not
            series.count += match.count
            series.value = series.count
            series.estimated |= match.estimated
            return
        if labels not in alerts and labels and not self._roster.has_room(self._name):
            labels = _labels(OTHERS)
        # Not only since this message: what is compared is how many there were in all.
        before = alerts[labels].count if labels in alerts else 0
        found = Finding(
            before + match.count,
            match.count,
            match.sample,
            match.estimated,
            _not_after(match.first_received_ns / 1e9, now_s),
        )
        self._roster.hold(self._name, labels, found, now_s, moment=True)

    def tick(self, now_s: float) -> None:
        """Time alone ends it; the roster sees to that."""


class RateRule:
    """More than so many matching records in a window, of each service or of all."""

    def __init__(self, rule: Alert, roster: Roster) -> None:
        self._rule = rule
        self._roster = roster
        self._windows: dict[Labels, Window] = {}

    def hear(self, match: Match, now_s: float) -> None:
        """Some records matched."""
        labels = _labels(match.service if self._rule.per_service else OTHERS)
        window = self._windows.get(labels)
        if window is None:
            if len(self._windows) >= MAX_OF_RULE:
                self._roster.dropped[self._rule.name] += 1
                labels = _labels(OTHERS)
            window = self._windows.setdefault(labels, Window(self._rule.window))
        window.add(match.count, now_s)
        if window.total > self._rule.more_than:
            caused_s = _not_after(match.first_received_ns / 1e9, now_s)
            found = Finding(window.total, match.count, match.sample, match.estimated, caused_s)
            self._roster.hold(self._rule.name, labels, found, now_s)

    def tick(self, now_s: float) -> None:
        """Let time pass in the windows; one that is empty goes."""
        for labels, window in list(self._windows.items()):
            total = window.turn(now_s)
            series = self._roster.of(self._rule.name).get(labels)
            if series is not None and total <= self._rule.more_than:
                self._roster.release(series, now_s, total)
            if not total:
                del self._windows[labels]
        for series in list(self._roster.of(self._rule.name).values()):
            if series.labels not in self._windows:  # told of by an earlier process
                self._roster.release(series, now_s, 0.0)


class ServiceAbsence:
    """No record of a service for `silent_for`."""

    def __init__(self, rule: Alert, roster: Roster, heard: dict[str, float], now_s: float) -> None:
        """`heard`: when each service was last heard of, of the time in which somebody listened."""
        self._rule = rule
        self._roster = roster
        self._heard = heard
        if rule.service != EACH:
            heard.setdefault(rule.service, now_s)

    def hear(self, services: Iterable[str], now_s: float) -> None:
        """There were records of these; `heard` knows."""
        alerts = self._roster.of(self._rule.name)
        if alerts:
            for service in services:
                series = alerts.get(_labels(service))
                if series is not None:
                    self._roster.release(series, now_s, 0.0)

    def tick(self, now_s: float) -> None:
        """Find the silent ones."""
        names = self._heard if self._rule.service == EACH else (self._rule.service,)
        silent = {name: now_s - self._heard[name] for name in names}
        self._roster.settle(
            self._rule.name,
            {_labels(name): Finding(s) for name, s in silent.items() if s >= self._rule.silent_for},
            now_s,
        )


class NodeAbsence:
    """A node without heartbeats: for `silent_for`, or without that for as many intervals as make it failed."""

    def __init__(self, rule: Alert, roster: Roster, nodes: Nodes, now_s: float) -> None:
        self._rule = rule
        self._roster = roster
        self._nodes = nodes
        self._since_s = now_s

    def tick(self, now_s: float) -> None:
        """Find the silent ones. `nodes` are judged already."""
        found = self._failed(now_s) if not self._rule.silent_for else self._silent(now_s)
        self._roster.settle(self._rule.name, found, now_s)

    def _failed(self, now_s: float) -> dict[Labels, Finding]:
        return {
            (("node", node.node), *_labels(node.service)): Finding(now_s - node.quiet_s)
            for node in self._nodes
            if node.state == "failed" and self._rule.node in (EACH, node.node)
        }

    def _silent(self, now_s: float) -> dict[Labels, Finding]:
        """All services of a node together: one of them suffices."""
        quiet_s: dict[str, float] = {} if self._rule.node == EACH else {self._rule.node: self._since_s}
        for node in self._nodes:
            if self._rule.node in (EACH, node.node):
                quiet_s[node.node] = max(node.quiet_s, quiet_s.get(node.node, 0.0))
        return {
            (("node", name),): Finding(now_s - since_s)
            for name, since_s in quiet_s.items()
            if now_s - since_s >= self._rule.silent_for
        }


def _not_after(then_s: float, now_s: float) -> float:
    """The clocks of two processes may be a little apart."""
    return min(then_s, now_s)
