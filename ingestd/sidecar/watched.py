"""The alerts, silences and nodes of a snapshot: the first of each, what is worst first."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import Final

import msgspec

from ingestd.alerts import nodes, silences
from ingestd.alerts.alerts import Alerts
from ingestd.alerts.view import AlertView, NodeView, SilenceView, Summary
from ingestd.sidecar.assessment import Firing

_MOST_NODES: Final = 50
_MOST_OVER: Final = 10
_MOST_SILENCES: Final = 20
_ORDER: Final = {"failed": 0, "late": 1, "ok": 2}


class Watched(msgspec.Struct, frozen=True):
    """What /api/alerts, /api/silences and /api/nodes say, cut to what a page has room for."""

    summary: Summary
    over: list[AlertView]
    """Alerts that were resolved, the latest first."""
    silences: list[SilenceView]
    """Those in force, which end soonest first."""
    nodes: list[NodeView]

    @property
    def firing(self) -> list[Firing]:
        """Alerts that are to be told of: no silence holds them back."""
        return [
            Firing(alert.rule, alert.severity, alert.summary, alert.labels.get("check", ""))
            for alert in self.summary.alerts
            if not alert.silenced_by
        ]


def watched(alerts: Alerts) -> Watched:
    """How it stands now; while an earlier process still has the alerts, only how many rules there are."""
    engine, now_s = alerts.engine, alerts.clock()
    if engine is None:
        return Watched(alerts.summary(), [], [], [])
    shown = (silences.view(one, now_s) for one in sorted(engine.silences, key=lambda one: one.until_s))
    first = heapq.nsmallest(
        _MOST_NODES, engine.nodes, key=lambda node: (_ORDER[node.state], node.node, node.service)
    )
    return Watched(
        alerts.summary(),
        list(islice(reversed(engine.history), _MOST_OVER)),
        list(islice((one for one in shown if one.active), _MOST_SILENCES)),
        [nodes.view(node, now_s) for node in first],
    )
