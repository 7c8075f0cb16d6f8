"""One verdict for a person: is the daemon well, and if not, what is wrong and what to do.

`CHECKS` are asked in turn; each finds nothing or says it in words. The first critical finding is the headline. What is
measured against are figures of the last minute, so what is over is forgotten within one, and the past is for the charts
and the alerts.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from typing import Final, Literal, NamedTuple

import msgspec

from ingestd.sidecar.disk import Disk
from ingestd.sidecar.recent import Recent
from ingestd.sidecar.report import Report

Severity = Literal["critical", "attention"]

#: A share of the disk in use from which it is worth a look, and from which it is urgent.
_DISK_USED: Final = (0.80, 0.95)
#: The same for the time until it is full, once that was observed for long enough to be believed.
_DISK_LASTS_S: Final = (86_400.0, 3600.0)
_DISK_OBSERVED_S: Final = 240.0
#: A share of refused records, and so many at least, from which a sender is to be looked for.
_REJECTED: Final = 0.01
_REJECTED_LEAST: Final = 10
#: The writers are behind when their queues are so full.
_QUEUE_FULL: Final = 0.9
_SLOW_S: Final = 5.0
#: What a process is doing that is not ready and well.
_STANDING: Final = {"starting": "is starting", "draining": "is stopping"}
#: So many alerts are findings of their own.
_ALERTS: Final = 5


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong."""

    severity: Severity
    title: str
    """In a few words, to be read from across the room."""
    what: str
    """A sentence."""
    do: str
    """What to do about it, or where to look."""
    panel: str
    """The part of the dashboard that shows more: an element's id."""


class Assessment(msgspec.Struct, frozen=True):
    """The verdict."""

    state: Literal["well", "attention", "critical"]
    headline: str
    detail: str
    findings: list[Finding]


class Firing(msgspec.Struct, frozen=True):
    """An alert of the operator's own rules that is active now."""

    rule: str
    severity: str
    summary: str
    check: str = ""
    """What its rule looks at, where that is the daemon itself."""


class Facets(msgspec.Struct, frozen=True):
    """All that is judged."""

    report: Report
    recent: Recent
    disk: Disk
    queue_limit_bytes: int
    """What the queues of all workers hold before reading pauses; 0 when unknown."""
    firing: list[Firing] = []


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _reasons(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{reason.replace('_', ' ')} {_number(count)}" for reason, count in ordered)


def _processes(facets: Facets) -> Iterator[Finding]:
    report = facets.report
    severity: Severity = "critical" if report.state == "degraded" else "attention"
    for who, why in report.faults.items():
        yield Finding(
            severity,
            f"{who[0].upper()}{who[1:]} {_STANDING.get(why, 'does not work')}",
            f"{who[0].upper()}{who[1:]}: {why}.",
            "Look into the daemon's log." if severity == "critical" else "Wait for it, a few seconds.",
            "workers",
        )


def _dropped(facets: Facets) -> Iterator[Finding]:
    if dropped := facets.recent.dropped:
        yield Finding(
            "critical",
            "Records are being lost",
            f"Good records were lost in the last minute: {_reasons(dropped)}.",
            "Each reason has its remedy: docs/guarantees.md.",
            "losses",
        )


def _kernel_drops(facets: Facets) -> Iterator[Finding]:
    if count := facets.recent.udp_kernel_drops:
        yield Finding(
            "critical",
            "Datagrams are being lost",
            f"The kernel dropped {_number(count)} UDP datagrams in the last minute: bursts larger than its buffer.",
            "Raise listen.udp.receive_buffer, and net.core.rmem_max with it.",
            "losses",
        )


def _write_errors(facets: Facets) -> Iterator[Finding]:
    if errors := facets.recent.write_errors:
        yield Finding(
            "critical",
            "Writing fails",
            f"Writing to the data folder failed in the last minute: {_reasons(errors)}.",
            "Records wait in memory and in the senders: make room, or look at the disk.",
            "disk",
        )


def _disk(facets: Facets) -> Iterator[Finding]:
    disk = facets.disk
    if disk.free_bytes is None:
        yield Finding(
            "critical",
            "The data folder is gone",
            "The data folder cannot be looked at.",
            "Bring server.data_dir back: is it mounted?",
            "disk",
        )
    lasts_s = disk.full_in_seconds
    if lasts_s is not None and disk.observed_seconds >= _DISK_OBSERVED_S and lasts_s < _DISK_LASTS_S[0]:
        severity: Severity = "critical" if lasts_s < _DISK_LASTS_S[1] else "attention"
        left = f"{lasts_s / 60:.0f} minutes" if lasts_s < 7200 else f"{lasts_s / 3600:.0f} hours"
        yield Finding(
            severity,
            "The disk fills up",
            f"The disk is full in {left} if it goes on like this.",
            "Make room, or set [retention] limits.",
            "disk",
        )
    elif disk.used is not None and disk.used >= _DISK_USED[0]:
        severity = "critical" if disk.used >= _DISK_USED[1] else "attention"
        yield Finding(
            severity,
            "The disk is nearly full",
            f"The disk is {disk.used:.0%} full.",
            "Make room, or set [retention] limits.",
            "disk",
        )


def _restarts(facets: Facets) -> Iterator[Finding]:
    if count := facets.recent.worker_restarts:
        yield Finding(
            "attention",
            "Workers were replaced",
            f"{_number(count)} worker{'s' if count > 1 else ''} died or hung in the last minute and was replaced.",
            "The daemon's log has the cause.",
            "workers",
        )


def _rejected(facets: Facets) -> Iterator[Finding]:
    rejected, received = facets.recent.rejected, facets.recent.received
    count = sum(rejected.values())
    if count >= _REJECTED_LEAST and count >= _REJECTED * received:
        yield Finding(
            "attention",
            "Records are refused",
            f"{count / received:.0%} of the records of the last minute were refused: {_reasons(rejected)}.",
            "See examples, and tell their sender.",
            "losses",
        )


def _behind(facets: Facets) -> Iterator[Finding]:
    report = facets.report
    limit = facets.queue_limit_bytes
    p99 = report.latency_seconds.p99
    if limit and report.queue_bytes >= _QUEUE_FULL * limit:
        yield Finding(
            "attention",
            "The disk is too slow",
            "The writers are behind: their queue is full and senders wait.",
            "A faster disk, a lower segment.level, or more workers.",
            "queue",
        )
    elif p99 is not None and p99 > _SLOW_S:
        yield Finding(
            "attention",
            "The disk is slow",
            f"Records take {p99:.1f} s to reach the disk (p99).",
            "A faster disk, a lower segment.level, or more workers.",
            "latency",
        )


def _refused(facets: Facets) -> Iterator[Finding]:
    if failures := facets.recent.auth_failures:
        yield Finding(
            "attention",
            "Senders are turned away",
            f"Senders were turned away in the last minute: {_reasons(failures)}.",
            "The log has their addresses; docs/security.md.",
            "losses",
        )


class Check(NamedTuple):
    """One question."""

    look: Callable[[Facets], Iterator[Finding]]
    covers: frozenset[str]
    """Checks of system rules that ask the same: where this one has found something, their alerts say no more."""


CHECKS: Final = (
    Check(_processes, frozenset({"not_ready"})),
    Check(_dropped, frozenset({"drops"})),
    Check(_kernel_drops, frozenset({"udp_kernel_drops"})),
    Check(_write_errors, frozenset()),
    Check(_disk, frozenset({"disk_used", "disk_full_in"})),
    Check(_restarts, frozenset({"worker_restarts"})),
    Check(_rejected, frozenset({"rejects_ratio"})),
    Check(_behind, frozenset({"queue"})),
    Check(_refused, frozenset()),
)


def assess(facets: Facets) -> Assessment:
    """The verdict, what is critical first."""
    findings: list[Finding] = []
    covered: set[str] = set()
    for check in CHECKS:
        found = list(check.look(facets))
        findings += found
        covered |= check.covers if found else set()
    findings += _alerts(facets.firing, covered)
    findings.sort(key=lambda finding: finding.severity != "critical")
    if not findings:
        return Assessment("well", "All is well", _calm(facets), [])
    return Assessment(findings[0].severity, _headline(findings), findings[0].what, findings)


def _alerts(firing: Iterable[Firing], covered: Container[str]) -> Iterator[Finding]:
    told = [alert for alert in firing if alert.severity != "info" and alert.check not in covered]
    for alert in told[:_ALERTS]:
        severity: Severity = "critical" if alert.severity == "critical" else "attention"
        yield Finding(
            severity,
            f"Alert: {alert.rule}",
            f"{alert.rule}: {alert.summary}.",
            "See the alerts below.",
            "alerts",
        )
    if (more := len(told) - _ALERTS) > 0:
        yield Finding(
            "attention", "More alerts", f"{more} more alerts are active.", "See the alerts below.", "alerts"
        )


def _headline(findings: list[Finding]) -> str:
    more = len(findings) - 1
    return f"{findings[0].title}, and {more} more" if more else findings[0].title


def _calm(facets: Facets) -> str:
    """What is going on, where all is well."""
    report = facets.report
    ready = sum(worker.state == "ready" for worker in report.workers)
    workers = f"{ready} worker{'s' if ready != 1 else ''} ready"
    if not facets.recent.received:
        return f"{workers}; no records in the last minute."
    p99 = report.latency_seconds.p99
    within = "" if p99 is None else f", 99 of 100 on disk within {p99:.2g} s"
    return f"{workers}; {_number(facets.recent.received)} records in the last minute{within}, none lost."
