"""What /metrics says of alerts, notices and nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ingestd.alerts.alerts import Alerts
from ingestd.sidecar.alert_families import (
    ALERT_METRICS,
    FIRING,
    LATENCY,
    NODES,
    NODES_DROPPED,
    NOTICES,
    NOTIFICATIONS,
    PENDING,
    SERIES_DROPPED,
    SILENCED,
    WAITING,
)
from ingestd.sidecar.exposition import head, labels
from ingestd.stats import LATENCY_BUCKETS, Metric

_Rows = list[tuple[tuple[str, ...], float]]


def render(alerts: Alerts) -> str:
    """The families as text. Until alerts are taken up from an earlier process, most have no sample."""
    return "".join(_lines(alerts))


def _lines(alerts: Alerts) -> Iterator[str]:
    rows = _engine_rows(alerts) | _notifier_rows(alerts)
    for metric in ALERT_METRICS:
        yield head(metric)
        for values, value in rows.get(metric, ()):
            yield f"{metric.name}{labels(metric.labels, values)} {value}\n"
        if metric is LATENCY:
            yield from _latency(alerts)


def _engine_rows(alerts: Alerts) -> dict[Metric, _Rows]:
    engine = alerts.engine
    if engine is None:
        return {}
    now_s = alerts.clock()
    firing = engine.firing()
    by_rule = Counter(series.rule for series in firing)
    counts = engine.nodes.counts()
    return {
        FIRING: [((rule.name, rule.severity), by_rule[rule.name]) for rule in engine.rules.values()],
        PENDING: [((), len(engine.roster) - len(firing))],
        SILENCED: [((), engine.silenced(firing, now_s))],
        SERIES_DROPPED: [((name,), count) for name, count in engine.roster.dropped.items()],
        NOTICES: [((), alerts.notices)],
        NODES: [((state,), getattr(counts, state)) for state in counts.__struct_fields__],
        NODES_DROPPED: [((), engine.nodes.dropped)],
    }


def _notifier_rows(alerts: Alerts) -> dict[Metric, _Rows]:
    views = [box.view() for box in alerts.outboxes]
    return {
        NOTIFICATIONS: [
            ((view.name, outcome), getattr(view, outcome))
            for view in views
            for outcome in ("delivered", "failed", "dropped")
        ],
        WAITING: [((view.name,), view.waiting) for view in views],
    }


def _latency(alerts: Alerts) -> Iterator[str]:
    seen = 0
    for bound, count in zip((*map(repr, LATENCY_BUCKETS), "+Inf"), alerts.latency.counts, strict=True):
        seen += count
        yield f'{LATENCY.name}_bucket{{le="{bound}"}} {seen}\n'
    yield f"{LATENCY.name}_sum {alerts.latency.sum}\n{LATENCY.name}_count {seen}\n"
