"""The rules at work: from what is heard, read and past to notices. No I/O, no clock: the time is passed in.

    Observation --hear--> records, absence, nodes ---.
    Reading -----read---> system --------------------+--> Roster (series.py) --> Groups --> notices
    time --------tick--> whatever is due -----------'

Whoever calls asks `notices` afterwards, at once: an alert is on its way in the same moment as what caused it is heard.
What must outlive the process is a `Saved`.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Final

import msgspec

from ingestd.alerts import words
from ingestd.alerts.groups import Groups, Memory
from ingestd.alerts.nodes import Node, Nodes
from ingestd.alerts.notices import Notice
from ingestd.alerts.records import MatchRule, NodeAbsence, RateRule, ServiceAbsence
from ingestd.alerts.series import Roster, Series
from ingestd.alerts.settings import EngineSettings
from ingestd.alerts.silences import Silence, Silences
from ingestd.alerts.system import Counters, Reading, SystemRule, rise
from ingestd.alerts.view import AlertView, rfc3339
from ingestd.config_alerts import Alert
from ingestd.observe.messages import OTHERS, Observation

#: Alerts that are over and still shown.
HISTORY: Final = 500

#: Services of which it is known when they were last heard of.
MAX_SERVICES: Final = 1000

_ORDER: Final = {"critical": 0, "warning": 1, "info": 2}

#: How often the rules that time alone can turn are looked at.
LOOK_S: Final = 1.0


class Saved(msgspec.Struct):
    """What one process leaves to the next. Times are UNIX seconds."""

    saved_s: float = 0.0
    rules: dict[str, str] = {}
    """A digest of each rule: the alerts of one that was changed are over."""
    alerts: list[Series] = []
    groups: list[Memory] = []
    silences: list[Silence] = []
    history: list[AlertView] = []
    services: dict[str, float] = {}
    nodes: list[Node] = []
    counters: Counters | None = None


class Engine:
    """All rules, alerts, nodes and silences."""

    def __init__(self, settings: EngineSettings, now_s: float, saved: Saved | None = None) -> None:
        self.rules = {rule.name: rule for rule in settings.rules}
        self.silences = Silences()
        self.nodes = Nodes(settings.interval_missed, settings.forget_after_s)
        self.history: deque[AlertView] = deque(maxlen=HISTORY)
        self.roster = Roster(settings.rules, self._turned)
        self.groups = Groups(
            self.rules,
            settings.group_interval_s,
            self.labels_of,
            self._show,
            self.silenced_by,
            self.silences.turns_s,
        )
        self._silenced: dict[str, list[str]] = {}
        self._silenced_epoch = 0
        self.evaluated_s: dict[str, float] = {}
        self._services: dict[str, float] = {}
        self._counters: Counters | None = None
        self._next_look_s = now_s
        if saved is not None:
            self._adopt(saved, now_s)
        self._records: dict[str, MatchRule | RateRule] = {}
        self._absences: dict[str, ServiceAbsence] = {}
        self._node_rules: dict[str, NodeAbsence] = {}
        self._system: dict[str, SystemRule] = {}
        for rule in settings.rules:
            self._make(rule, now_s)

    def _make(self, rule: Alert, now_s: float) -> None:
        match rule.kind:
            case "match":
                self._records[rule.name] = MatchRule(rule, self.roster)
            case "rate":
                self._records[rule.name] = RateRule(rule, self.roster)
            case "absence" if rule.service:
                absence = ServiceAbsence(rule, self.roster, self._services, now_s)
                self._absences[rule.name] = absence
            case "absence":
                self._node_rules[rule.name] = NodeAbsence(rule, self.roster, self.nodes, now_s)
            case "system":
                self._system[rule.name] = SystemRule(rule)

    def hear(self, heard: Observation, now_s: float) -> None:
        """What a worker noticed."""
        for match in heard.matches:
            rule = self._records.get(match.rule)  # None: of a worker that serves an earlier configuration
            if rule is not None:
                rule.hear(match, now_s)
                self.evaluated_s[match.rule] = now_s
        if heard.services:
            for service in heard.services:
                if service == OTHERS:
                    continue
                if service in self._services or len(self._services) < MAX_SERVICES:
                    self._services[service] = now_s
            for name, absence in self._absences.items():
                absence.hear(heard.services, now_s)
                self.evaluated_s[name] = now_s
        if heard.heartbeats:
            for beat in heard.heartbeats:
                self.nodes.hear(beat, now_s)
            if any(self.roster.of(name) for name in self._node_rules):  # one may be back
                self._look_at_nodes(now_s)

    def read(self, reading: Reading, now_s: float) -> None:
        """How the daemon stands."""
        increase = rise(self._counters, reading.counters)
        self._counters = reading.counters
        for name, rule in self._system.items():
            self.roster.settle(name, rule.look(reading, increase, now_s), now_s)
            self.evaluated_s[name] = now_s

    def tick(self, now_s: float) -> None:
        """What time alone brings about."""
        self.roster.tick(now_s)
        if now_s < self._next_look_s:
            return
        self._next_look_s = now_s + LOOK_S
        for name, rule in (*self._records.items(), *self._absences.items()):
            rule.tick(now_s)
            self.evaluated_s[name] = now_s
        self._look_at_nodes(now_s)
        self.silences.tick(now_s)

    def _look_at_nodes(self, now_s: float) -> None:
        self.nodes.tick(now_s)
        for name, rule in self._node_rules.items():
            rule.tick(now_s)
            self.evaluated_s[name] = now_s

    def skip(self, by_s: float, now_s: float) -> None:
        """The clock was moved by so much, to `now_s`: no time has passed."""
        self.silences.turn()
        self.groups.skip(by_s, now_s)
        self._not_listened(by_s, now_s)

    def _not_listened(self, for_s: float, now_s: float) -> None:
        """So much time says nothing of any condition."""
        self.nodes.skip(for_s)
        for name in self._services:
            self._services[name] += for_s
        self.roster.skip(for_s, now_s)
        self._next_look_s = now_s

    def notices(self, now_s: float) -> list[Notice]:
        """What is to be told now."""
        return self.groups.due(now_s) if self.groups.due_s <= now_s else []

    @property
    def due_s(self) -> float:
        """When `tick` or `notices` has something to do at the earliest."""
        return min(self.roster.due_s, self.groups.due_s, self._next_look_s)

    def firing(self) -> list[Series]:
        """The alerts that fire, the severest first, and of these the newest."""
        found = [series for series in self.roster if series.state == "firing"]
        return sorted(found, key=lambda each: (_ORDER[self.rules[each.rule].severity], -each.fired_s))

    def silenced(self, alerts: list[Series], now_s: float) -> int:
        """How many of these a silence holds back."""
        return sum(1 for series in alerts if self.silenced_by(series, now_s)) if len(self.silences) else 0

    def silenced_by(self, series: Series, now_s: float) -> list[str]:
        """The ids of the silences that hold an alert back; found once, as long as they are the same."""
        if not len(self.silences):
            return []
        epoch = self.silences.epoch(now_s)
        if epoch != self._silenced_epoch:
            self._silenced_epoch = epoch
            self._silenced.clear()
        found = self._silenced.get(series.fingerprint)
        if found is None:
            found = self.silences.of(self.labels_of(series), now_s)
            self._silenced[series.fingerprint] = found
        return found

    def values(self) -> dict[str, float | None]:
        """What each system rule last compared."""
        return {name: rule.value for name, rule in self._system.items()}

    def labels_of(self, series: Series) -> dict[str, str]:
        """All labels of an alert."""
        return words.labels(self.rules.get(series.rule), series)

    def show(self, series: Series, now_s: float) -> AlertView:
        """An alert as it stands, with the silences that hold it back."""
        return self._shown(series, self.silenced_by(series, now_s))

    def _show(self, series: Series) -> AlertView:
        return self._shown(series, [])

    def _shown(self, series: Series, silenced_by: list[str]) -> AlertView:
        rule = self.rules.get(series.rule)
        return AlertView(
            fingerprint=series.fingerprint,
            rule=series.rule,
            severity=rule.severity if rule else "info",
            state=series.state,
            labels=words.labels(rule, series),
            summary=words.summary(rule, series) if rule else "its rule is gone",
            since=rfc3339(series.since_s),
            fired_at=rfc3339(series.fired_s) if series.fired_s else None,
            resolved_at=rfc3339(series.resolved_s) if series.resolved_s else None,
            value=series.value,
            count=series.count,
            estimated=series.estimated,
            sample=series.sample,
            silenced_by=silenced_by,
        )

    def _turned(self, series: Series, now_s: float) -> None:
        self.groups.turned(series, now_s)
        if series.state == "resolved":
            self.history.append(self.show(series, now_s))
            self._silenced.pop(series.fingerprint, None)

    def save(self, now_s: float) -> Saved:
        """What the next process must know; copied nowhere: encode it before anything else happens."""
        return Saved(
            saved_s=now_s,
            rules={name: digest(rule) for name, rule in self.rules.items()},
            alerts=list(self.roster),
            groups=list(self.groups.memories()),
            silences=list(self.silences),
            history=list(self.history),
            services=self._services,
            nodes=list(self.nodes),
            counters=self._counters,
        )

    def _adopt(self, saved: Saved, now_s: float) -> None:
        self.silences.adopt(saved.silences)
        self.nodes.adopt(saved.nodes)
        self._services.update(saved.services)
        self.history.extend(saved.history)
        self._counters = saved.counters
        same = {name for name, rule in self.rules.items() if saved.rules.get(name) == digest(rule)}
        kept = [series for series in saved.alerts if series.rule in same]
        firing = [series for series in kept if series.state == "firing"]
        self.groups.adopt(saved.groups, firing, now_s)
        self.roster.adopt(kept)
        self._not_listened(now_s - saved.saved_s, now_s)
        for series in saved.alerts:
            if series.rule not in same and series.state == "firing":
                series.state, series.resolved_s = "resolved", now_s
                self.groups.orphan(series, now_s)
                self.history.append(self._show(series))


def digest(rule: Alert) -> str:
    """Tells whether a rule was changed."""
    return hashlib.sha256(msgspec.json.encode(rule)).hexdigest()[:16]
