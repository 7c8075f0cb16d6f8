"""What tests of alerts are made with: rules, observations, and an engine whose clock the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from ingestd.alerts.engine import Engine, Saved
from ingestd.alerts.notices import Notice
from ingestd.alerts.settings import EngineSettings
from ingestd.alerts.system import Counters, Reading
from ingestd.alerts.view import AlertView
from ingestd.config_alerts import Alert
from ingestd.observe.messages import Heartbeat, Match, Observation
from ingestd.sidecar.loop import Loop

START_S = 1_800_000_000.0

T = TypeVar("T")


def played(scene: Coroutine[Any, Any, T]) -> T:
    """Run `scene` on a loop as the sidecar has it."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(scene)


def match_rule(name: str = "errors", **given: Any) -> Alert:
    return Alert(**{"name": name, "kind": "match", "level": "ERROR", "resolve_after": 60.0} | given)


def matched(
    rule: str = "errors", service: str = "api", count: int = 1, at_s: float = START_S, sample: str = "boom"
) -> Observation:
    return Observation(0, matches=[Match(rule, service, count, int(at_s * 1e9), sample)])


def beat(node: str = "n1", service: str = "web", at_s: float = START_S, interval_s: float = 0.0) -> Heartbeat:
    return Heartbeat(node, service, "", int(at_s * 1e9), interval_s, "1.0", "192.0.2.1")


def reading(**given: Any) -> Reading:
    """A daemon that is well, but for `given`; what is a counter goes where it belongs."""
    names = Counters.__struct_fields__
    counters = {name: given.pop(name) for name in names if name in given}
    whole: dict[str, Any] = {"free_bytes": 900, "total_bytes": 1000} | given
    return Reading(counters=Counters(**{"started_ns": 1} | counters), **whole)


class Moved:
    """An engine and the time it is told."""

    def __init__(
        self, *rules: Alert, saved: Saved | None = None, now_s: float = START_S, **settings: Any
    ) -> None:
        self.now_s = now_s
        self.engine = Engine(EngineSettings(tuple(rules), **settings), now_s, saved)
        self.told: list[Notice] = []

    def hear(self, observation: Observation) -> list[Notice]:
        self.engine.hear(observation, self.now_s)
        return self.notices()

    def match(self, **given: Any) -> list[Notice]:
        return self.hear(matched(**{"at_s": self.now_s} | given))

    def read(self, **given: Any) -> list[Notice]:
        self.engine.read(reading(**given), self.now_s)
        return self.notices()

    def passes(self, seconds: float, step_s: float = 0.5) -> list[Notice]:
        """Let time pass as the sidecar does, in small steps; what was told in it."""
        told = []
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = min(end_s, self.now_s + step_s)
            if self.engine.due_s <= self.now_s:
                self.engine.tick(self.now_s)
                told += self.notices()
        return told

    def notices(self) -> list[Notice]:
        told = self.engine.notices(self.now_s)
        self.told += told
        return told

    def states(self) -> dict[str, str]:
        """By what the alert is about: `service=api` -> `firing`."""
        return {
            ",".join(f"{name}={value}" for name, value in series.labels) or series.rule: series.state
            for series in self.engine.roster
        }


def alert_view(fingerprint: str = "f1", *, over: bool = False, **given: Any) -> AlertView:
    """An alert as a notice has it."""
    whole: dict[str, Any] = {
        "fingerprint": fingerprint,
        "rule": "errors",
        "severity": "critical",
        "state": "resolved" if over else "firing",
        "labels": {"rule": "errors", "severity": "critical", "service": fingerprint},
        "summary": f"something is wrong with {fingerprint}",
        "since": "2026-11-20T12:00:00.000000Z",
        "fired_at": "2026-11-20T12:00:01.000000Z",
        "resolved_at": "2026-11-20T12:05:00.000000Z" if over else None,
        "value": 3.0,
        "count": 3,
        "estimated": False,
        "sample": '{"message":"boom"}',
        "silenced_by": [],
    }
    return AlertView(**whole | given)


def notice(
    group: str = "g", firing: tuple[str, ...] = ("f1",), resolved: tuple[str, ...] = (), **given: Any
) -> Notice:
    """A notice about alerts with these fingerprints."""
    whole: dict[str, Any] = {
        "id": "0123456789abcdef",
        "group": group,
        "labels": {"rule": "errors"},
        "notify": (),
        "reason": "firing" if firing else "resolved",
        "firing": tuple(alert_view(each) for each in firing),
        "resolved": tuple(alert_view(each, over=True) for each in resolved),
        "caused_s": START_S,
    }
    return Notice(**whole | given)
