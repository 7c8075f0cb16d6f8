"""What notifiers are told: a notice about a group of alerts, all of which agree in some labels.

    {"version": "4", "receiver": …, "status": "firing" | "resolved", "groupKey": …, "groupLabels": {…},
     "commonLabels": {…}, "commonAnnotations": {…}, "externalURL": …, "truncatedAlerts": 0, "alerts": [
       {"status": …, "labels": {…}, "annotations": {…}, "startsAt": …, "endsAt": …, "generatorURL": …, "fingerprint": …,
        "count": …, "value": …}]}

is the JSON of Prometheus' Alertmanager (its webhooks, version 4), which many programs read, with a count and a value
beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from ingestd.alerts.view import AlertView

#: Alerts written out in one notice of a webhook, a mail or a command; of the others the number is told.
MOST_ALERTS: Final = 100

#: What Alertmanager writes where there is no end yet.
_NO_END: Final = "0001-01-01T00:00:00Z"

Reason = Literal["firing", "resolved", "repeated"]


class Notice(msgspec.Struct, frozen=True):
    """One notice. A later one of the same `group` says how it stands then, and makes this one needless."""

    id: str
    group: str
    labels: dict[str, str]
    notify: tuple[str, ...]
    """The notifiers it is for; empty: all."""
    reason: Reason
    firing: tuple[AlertView, ...]
    """All that fire, not only new ones."""
    resolved: tuple[AlertView, ...]
    """Those that were told as firing and are over."""
    caused_s: float
    """When the oldest news in it came to the daemon, UNIX seconds."""

    @property
    def status(self) -> Literal["firing", "resolved"]:
        return "firing" if self.firing else "resolved"

    @property
    def headline(self) -> str:
        """One line: what a mail has as its subject."""
        first = (*self.firing, *self.resolved)[0]
        more = len(self.firing or self.resolved) - 1
        beside = f" (and {more} more)" if more > 0 else ""
        return f"[{self.status.upper()}] {first.rule}: {first.summary}{beside}"


def merged(older: Notice, newer: Notice) -> Notice:
    """Of two notices about a group of which the older was not delivered, the one that says all."""
    fires = {alert.fingerprint for alert in newer.firing}
    resolved = {alert.fingerprint: alert for alert in (*older.resolved, *newer.resolved)}
    kept = tuple(alert for print_, alert in resolved.items() if print_ not in fires)
    reason = newer.reason if newer.reason != "repeated" else older.reason
    return msgspec.structs.replace(
        newer, resolved=kept, reason=reason, caused_s=min(older.caused_s, newer.caused_s)
    )


def document(notice: Notice, receiver: str, url: str) -> dict[str, Any]:
    """The notice as JSON has it; `url` is where the daemon's page is."""
    alerts = (*notice.firing, *notice.resolved)
    shown = alerts[:MOST_ALERTS]
    labels = [alert.labels for alert in alerts]
    return {
        "version": "4",
        "id": notice.id,
        "reason": notice.reason,
        "receiver": receiver,
        "status": notice.status,
        "groupKey": notice.group,
        "groupLabels": notice.labels,
        "commonLabels": _common(labels),
        "commonAnnotations": _common([texts(alert) for alert in alerts]),
        "externalURL": url,
        "truncatedAlerts": len(alerts) - len(shown),
        "alerts": [_alert(alert, url) for alert in shown],
    }


def texts(alert: AlertView) -> dict[str, str]:
    """What stands beside the labels, for people."""
    return {"summary": alert.summary} | ({"sample": alert.sample} if alert.sample else {})


def _alert(alert: AlertView, url: str) -> dict[str, Any]:
    return {
        "status": "resolved" if alert.resolved_at else "firing",
        "labels": alert.labels,
        "annotations": texts(alert),
        "startsAt": alert.fired_at or alert.since,
        "endsAt": alert.resolved_at or _NO_END,
        "generatorURL": url,
        "fingerprint": alert.fingerprint,
        "count": alert.count,
        "value": alert.value,
    }


def _common(tables: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What all of them agree in."""
    tables = iter(tables)
    found = dict(next(tables, {}))
    for table in tables:
        found = {name: value for name, value in found.items() if table.get(name) == value}
    return found
