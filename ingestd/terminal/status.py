"""A snapshot in a dozen lines: the verdict, what is wrong and what to do, and the figures one asks for first."""

from __future__ import annotations

from collections.abc import Iterator

from ingestd.terminal.answers import Snapshot
from ingestd.terminal.figures import count, decimal, duration, latency, plural, reasons, size, speed


def summary(snapshot: Snapshot) -> Iterator[str]:
    """The lines."""
    stats, assessment = snapshot.stats, snapshot.assessment
    state = "" if stats.state == "ready" else f", {stats.state}"
    yield f"ingestd {stats.version} on {stats.hostname}{state}: {assessment.headline}"
    if assessment.findings:
        for finding in assessment.findings:
            yield f"  {'!!' if finding.severity == 'critical' else '!'} {finding.what} {finding.do}".rstrip()
    else:
        yield f"  {assessment.detail}"
    yield ""
    for name, text in _figures(snapshot):
        yield f"  {name:<10} {text}"


def _figures(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    stats, recent = snapshot.stats, snapshot.recent
    doors = ", ".join(f"{door} {address}" for door, address in stats.listen.items())
    yield "listens", f"{doors}; for {duration(stats.uptime_seconds)}"
    yield (
        "in",
        f"{speed(stats.received_per_second)} records/s, {decimal(stats.in_megabytes_per_second)} MB/s, "
        f"{plural(stats.connections.open, 'connection')}",
    )
    yield (
        "on disk",
        f"{speed(stats.logs_per_second)} records/s, {decimal(stats.out_megabytes_per_second)} MB/s",
    )
    yield (
        "latency",
        f"p50 {latency(stats.latency_seconds.p50)}, p99 {latency(stats.latency_seconds.p99)} from receipt to disk",
    )
    yield (
        "queue",
        size(stats.queue_bytes) + (f" of {size(limit)}" if (limit := snapshot.queue_limit_bytes) else ""),
    )
    used, full_in = snapshot.disk_used, stats.data_dir_full_in_seconds
    yield (
        "disk",
        f"{size(stats.data_dir_free_bytes)} free"
        + ("" if used is None else f", {used:.0%} used")
        + ("" if full_in is None else f", full in {duration(full_in)}"),
    )
    ready = sum(worker.state == "ready" for worker in stats.workers)
    yield "workers", f"{ready} of {len(stats.workers)} ready, {plural(stats.worker_restarts, 'restart')}"
    lost = stats.drops | ({"by the kernel": stats.udp.kernel_drops} if stats.udp.kernel_drops else {})
    lately = sum(recent.dropped.values()) + recent.udp_kernel_drops
    yield "dropped", f"{reasons(lost)}; {count(lately)} in the last minute" if lost else "none"
    refused = f"{reasons(stats.rejects)}; {count(sum(recent.rejected.values()))} in the last minute"
    yield "rejected", refused if stats.rejects else "none"
    if snapshot.alerts is not None:
        alerts, nodes = snapshot.alerts.summary, snapshot.alerts.summary.nodes
        yield (
            "alerts",
            f"{alerts.firing} firing, {alerts.silenced} of them silenced, of {plural(alerts.rules, 'rule')}",
        )
        if nodes.ok + nodes.late + nodes.failed:
            yield "nodes", f"{nodes.ok} ok, {nodes.late} late, {nodes.failed} failed"
