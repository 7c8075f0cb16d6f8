"""The rules in force: those of the configuration and the built-in ones, and what workers must look for.

A built-in rule is about the daemon itself and needs nothing to be set. One of the configuration with the same name
takes its place, so that each can be made stricter, told to others, or with `for = "365d"` be left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ingestd.config_alerts import Alert
from ingestd.observe.condition import Condition

NODE_FAILED: Final = "node-failed"

_MINUTE_S: Final = 60.0
_DAY_S: Final = 86_400.0

BUILTIN: Final = (
    Alert(name="not-ready", kind="system", check="not_ready", severity="critical", for_=30.0),
    Alert(
        name="disk-nearly-full",
        kind="system",
        check="disk_used",
        above=0.9,
        severity="critical",
        for_=_MINUTE_S,
    ),
    Alert(name="disk-full-soon", kind="system", check="disk_full_in", for_=5 * _MINUTE_S),
    Alert(name="records-dropped", kind="system", check="drops", severity="critical"),
    Alert(name="records-rejected", kind="system", check="rejects_ratio", for_=_MINUTE_S),
    Alert(name="udp-kernel-drops", kind="system", check="udp_kernel_drops"),
    Alert(name="queue-full", kind="system", check="queue", for_=_MINUTE_S),
    Alert(name="worker-restarted", kind="system", check="worker_restarts"),
    Alert(name="certificate-expiring", kind="system", check="certificate_expiry", repeat=_DAY_S),
)

_NODE_RULE: Final = Alert(name=NODE_FAILED, kind="absence", node="*", severity="critical")

#: What a check is compared with where the rule does not say.
_ABOVE: Final = {
    "disk_used": 0.8,
    "drops": 0.0,
    "rejects_ratio": 0.1,
    "queue": 0.8,
    "worker_restarts": 0.0,
    "udp_kernel_drops": 0.0,
}
_WITHIN_S: Final = {"disk_full_in": _DAY_S, "certificate_expiry": 14 * _DAY_S}

#: A record is a moment: what it tells of holds on for a while. The other kinds can tell when it is over.
_RESOLVE_AFTER_S: Final = {"match": 5 * _MINUTE_S, "rate": _MINUTE_S}


def in_force(alerts: Iterable[Alert], *, builtin: bool, node_failed: bool) -> tuple[Alert, ...]:
    """All rules, those of the configuration first."""
    alerts = tuple(alerts)
    names = {alert.name for alert in alerts}
    own = (*(BUILTIN if builtin else ()), *((_NODE_RULE,) if node_failed else ()))
    return (*alerts, *(rule for rule in own if rule.name not in names))


def conditions(alerts: Iterable[Alert]) -> tuple[Condition, ...]:
    """What workers must look for in records; kinds that need nothing of them have none."""
    return tuple(condition(alert) for alert in alerts if alert.kind in ("match", "rate"))


def condition(alert: Alert) -> Condition:
    """What a rule of kind match or rate asks of a record."""
    return Condition(
        alert.name, alert.level, alert.service, alert.field if alert.pattern else "", alert.pattern
    )


def threshold(alert: Alert) -> float:
    """What a system rule compares with: a number or, of `disk_full_in` and `certificate_expiry`, seconds."""
    if alert.check in _WITHIN_S:
        return _WITHIN_S[alert.check] if alert.within is None else alert.within
    return _ABOVE.get(alert.check, 0.0) if alert.above is None else alert.above


def resolve_after_s(alert: Alert) -> float:
    """How long it must not have held to be over."""
    return _RESOLVE_AFTER_S.get(alert.kind, 0.0) if alert.resolve_after is None else alert.resolve_after
