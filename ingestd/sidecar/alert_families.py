"""The metric families of alerts, notices and nodes, all of which the sidecar makes.

Labels are names of the configuration, never text of a record. Counters begin anew with the sidecar, as those of
requests do.
"""

from typing import Final

from ingestd.stats import LATENCY_BUCKETS, Metric

FIRING: Final = Metric(
    "ingestd_alerts_firing", "gauge", "Alerts that fire, by rule and severity.", ("rule", "severity")
)
PENDING: Final = Metric(
    "ingestd_alerts_pending", "gauge", "Alerts whose condition holds, not yet for as long as it must."
)
SILENCED: Final = Metric(
    "ingestd_alerts_silenced", "gauge", "Alerts that fire and are held back by a silence."
)
SERIES_DROPPED: Final = Metric(
    "ingestd_alerts_series_dropped_total",
    "counter",
    "Times a service or node was not told apart, for its rule had too many.",
    ("rule",),
)
NOTICES: Final = Metric(
    "ingestd_alerts_notices_total", "counter", "Notices made, each for one group of alerts."
)
NOTIFICATIONS: Final = Metric(
    "ingestd_notifications_total",
    "counter",
    "Attempts to deliver a notice that ended so, and notices dropped undelivered.",
    ("notifier", "outcome"),
)
WAITING: Final = Metric("ingestd_notifications_waiting", "gauge", "Notices to be delivered.", ("notifier",))
LATENCY: Final = Metric(
    "ingestd_notification_latency_seconds",
    "histogram",
    "From the receipt of what caused a notice to its delivery.",
    buckets=LATENCY_BUCKETS,
)
NODES: Final = Metric("ingestd_nodes", "gauge", "Nodes that send heartbeats, by how they do.", ("state",))
NODES_DROPPED: Final = Metric(
    "ingestd_nodes_dropped_total", "counter", "Heartbeats of nodes beyond the bound of the table."
)

ALERT_METRICS: Final = (
    FIRING,
    PENDING,
    SILENCED,
    SERIES_DROPPED,
    NOTICES,
    NOTIFICATIONS,
    WAITING,
    LATENCY,
    NODES,
    NODES_DROPPED,
)
