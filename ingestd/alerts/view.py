"""What is shown of alerts, nodes and silences: the answers of /api/alerts, /api/nodes and /api/silences, and a summary.

Times are RFC 3339 in UTC. Text out of records stands as it came: whoever shows it makes it harmless.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

State = Literal["pending", "firing", "resolved"]
NodeState = Literal["ok", "late", "failed"]


class AlertView(msgspec.Struct, frozen=True):
    """One alert: what one rule found of one service, node or part of the daemon."""

    fingerprint: str
    """The same for the same rule and labels, at any time."""
    rule: str
    severity: str
    state: State
    labels: dict[str, str]
    summary: str
    since: str
    """When its condition began to hold."""
    fired_at: str | None
    resolved_at: str | None
    value: float
    """What was last compared with the threshold: a count, a share, seconds."""
    count: int
    """Records that matched since it began; 0 where it is not about records."""
    estimated: bool
    sample: str
    """One of those records, cut."""
    silenced_by: list[str]
    """The silences that hold it back, by id."""


class RuleView(msgspec.Struct, frozen=True):
    """One rule, and how it stands."""

    name: str
    kind: str
    severity: str
    builtin: bool
    state: Literal["inactive", "pending", "firing"]
    alerts: int
    """Pending and firing."""
    evaluated_at: str | None
    """When it was last looked at; None before the first time."""
    notify: list[str]
    dropped_series: int
    """Services or nodes beyond the bound that were not told apart."""


class NodeView(msgspec.Struct, frozen=True):
    """One service on one node, as its heartbeats tell."""

    node: str
    service: str
    state: NodeState
    last_seen: str
    silent_seconds: float
    interval_seconds: float | None
    """None until it is told or learned."""
    interval_told: bool
    clock_skew_seconds: float
    """The sender's clock less ours; the way of the heartbeat is in it."""
    version: str
    source: str


class NodeCounts(msgspec.Struct, frozen=True):
    ok: int = 0
    late: int = 0
    failed: int = 0


class SilenceView(msgspec.Struct, frozen=True):
    """Alerts whose labels fit every matcher are not told of until it ends. In a value, `*` stands for any text."""

    id: str
    matchers: dict[str, str]
    starts: str
    until: str
    author: str
    comment: str
    active: bool


class NotifierView(msgspec.Struct, frozen=True):
    """One notifier, and how it does."""

    name: str
    kind: str
    waiting: int
    delivered: int
    failed: int
    dropped: int
    last_error: str


class Summary(msgspec.Struct, frozen=True):
    """For the dashboard's snapshot: small, and its lists cut."""

    rules: int
    firing: int
    pending: int
    silenced: int
    """Firing alerts that a silence holds back."""
    alerts: list[AlertView]
    """Those that fire, the severest first; at most `SHOWN`."""
    silences: int
    nodes: NodeCounts
    notifiers: list[NotifierView]


#: Alerts in a summary.
SHOWN = 50


def rfc3339(unix_s: float) -> str:
    """`2026-11-20T12:00:00.000000Z`."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
