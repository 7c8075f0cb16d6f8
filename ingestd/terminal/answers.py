"""What is read out of a daemon's answer: the part of its snapshot (docs/metrics.md) that a terminal shows.

Another version of the daemon may say more or less: what it does not say has a default. All text has been through
`visible` when `read_snapshot` returns, so that none of it can act on the terminal.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ingestd.ask import AskError, Daemon
from ingestd.visible import visible

PATH = "/api/snapshot"


class Finding(msgspec.Struct, frozen=True):
    severity: str = "attention"
    what: str = ""
    do: str = ""


class Assessment(msgspec.Struct, frozen=True):
    """The verdict: `well`, `attention` or `critical`, in words, and what is behind it."""

    state: str
    headline: str
    detail: str
    findings: list[Finding] = []


class Totals(msgspec.Struct, frozen=True):
    received: int = 0
    written: int = 0
    rejected: int = 0
    dropped: int = 0
    in_flight: int = 0


class Worker(msgspec.Struct, frozen=True):
    worker: int
    pid: int
    state: str
    heartbeat_age_seconds: float | None = None
    uptime_seconds: float | None = None
    cpu_seconds: float | None = None
    resident_memory_bytes: int | None = None
    connections: int = 0
    queue_bytes: int = 0
    totals: Totals = Totals()


class Latency(msgspec.Struct, frozen=True):
    p50: float | None = None
    p99: float | None = None


class Connections(msgspec.Struct, frozen=True):
    open: int = 0


class Udp(msgspec.Struct, frozen=True):
    kernel_drops: int = 0


class Stats(msgspec.Struct, frozen=True):
    """The report of /api/stats."""

    version: str
    hostname: str
    state: str
    uptime_seconds: float
    listen: dict[str, str] = {}
    totals: Totals = Totals()
    logs_per_second: float | None = None
    received_per_second: float | None = None
    in_megabytes_per_second: float | None = None
    out_megabytes_per_second: float | None = None
    compression_ratio: float | None = None
    latency_seconds: Latency = Latency()
    queue_bytes: int = 0
    backpressure_pauses: int = 0
    rejects: dict[str, int] = {}
    drops: dict[str, int] = {}
    connections: Connections = Connections()
    udp: Udp = Udp()
    worker_restarts: int = 0
    data_dir_free_bytes: int | None = None
    data_dir_total_bytes: int | None = None
    data_dir_full_in_seconds: float | None = None
    format_received_per_second: dict[str, float] = {}
    level_received_per_second: dict[str, float] = {}
    workers: list[Worker] = []


class Recent(msgspec.Struct, frozen=True):
    """What happened in the last minute, by reason."""

    rejected: dict[str, int] = {}
    dropped: dict[str, int] = {}
    udp_kernel_drops: int = 0
    pauses: int = 0


class Service(msgspec.Struct, frozen=True):
    service: str
    per_second: float


class Alert(msgspec.Struct, frozen=True):
    rule: str
    severity: str = ""
    summary: str = ""
    since: str = ""
    silenced_by: list[str] = []


class NodeCounts(msgspec.Struct, frozen=True):
    ok: int = 0
    late: int = 0
    failed: int = 0


class Summary(msgspec.Struct, frozen=True):
    """How the rules stand, and what fires."""

    rules: int = 0
    firing: int = 0
    pending: int = 0
    silenced: int = 0
    alerts: list[Alert] = []
    nodes: NodeCounts = NodeCounts()


class Node(msgspec.Struct, frozen=True):
    """One service on one node, by its heartbeats."""

    node: str
    service: str
    state: str
    silent_seconds: float = 0.0
    interval_seconds: float | None = None


class Watched(msgspec.Struct, frozen=True):
    """Alerts and nodes; of nodes some, what is worst first."""

    summary: Summary = Summary()
    nodes: list[Node] = []


class Point(msgspec.Struct, frozen=True):
    """The last full second."""

    time: float
    """When it ended, UNIX time."""
    received_per_second: float | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """How everything stands at one moment."""

    assessment: Assessment
    stats: Stats
    recent: Recent = Recent()
    point: Point | None = None
    queue_limit_bytes: int = 0
    services: list[Service] = []
    alerts: Watched | None = None

    @property
    def is_well(self) -> bool:
        """Whether it takes logs in and nothing is critical."""
        return self.stats.state == "ready" and self.assessment.state != "critical"

    @property
    def disk_used(self) -> float | None:
        """The share of the disk in use."""
        free, total = self.stats.data_dir_free_bytes, self.stats.data_dir_total_bytes
        return None if free is None or not total else 1 - free / total


def ask_snapshot(daemon: Daemon) -> tuple[Snapshot, Any]:
    """How it stands now, and the answer as it came. Raises `AskError`."""
    answer = daemon.ask(PATH)
    return read_snapshot(answer, daemon.address()), answer


def read_snapshot(answer: object, address: str) -> Snapshot:
    """The snapshot of an answer. Raises `AskError` where it is none."""
    try:
        return msgspec.convert(_shown(answer), Snapshot)
    except msgspec.ValidationError as error:
        raise AskError(f"{address} does not answer as an ingestd of this version: {error}") from error


def _shown(value: object) -> object:
    """The same with all text fit for a terminal."""
    match value:
        case str():
            return visible(value)
        case dict():
            return {visible(str(key)): _shown(each) for key, each in value.items()}
        case list():
            return [_shown(each) for each in value]
    return value
