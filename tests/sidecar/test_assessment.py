"""The verdict: calm where all is well, and whatever is wrong in words, what is urgent first."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ingestd.sidecar.assessment import CHECKS, Assessment, Facets, Firing, assess
from ingestd.sidecar.disk import Disk
from ingestd.sidecar.health import judge_workers
from ingestd.sidecar.moment import History, read
from ingestd.sidecar.recent import Recent, recent
from ingestd.sidecar.report import Latency, Report, make_report
from tests.sidecar.reading import sums
from tests.sidecar.served import Workers, make_view
from tests.sidecar.test_page import PAGE

GB = 10**9
DISK = Disk(free_bytes=80 * GB, total_bytes=100 * GB, full_in_seconds=None, observed_seconds=600)
BUSY = Recent(received=1000, written=1000)


@pytest.fixture
def report(workers: Workers) -> Report:
    moment, view = read(workers.board), make_view()
    return make_report(moment, judge_workers(moment, view), History(60), view, {}, DISK)


def judged(report: Report, happened: Recent = BUSY, disk: Disk = DISK, **changes: Any) -> Assessment:
    facets = {"queue_limit_bytes": 1000, "firing": []} | changes
    return assess(Facets(report, happened, disk, **facets))


def test_all_is_well(report: Report) -> None:
    report.latency_seconds = Latency(0.1, 0.42)
    calm = judged(report)
    assert (calm.state, calm.headline, calm.findings) == ("well", "All is well", [])
    assert calm.detail == (
        "2 workers ready; 1,000 records in the last minute, 99 of 100 on disk within 0.42 s, none lost."
    )
    assert judged(report, Recent()).detail == "2 workers ready; no records in the last minute."


@pytest.mark.parametrize(
    ("happened", "state", "headline", "said"),
    [
        (Recent(dropped={"write_error": 3, "rate_limit": 4}), "critical", "lost", "rate limit 4, write error 3"),
        (Recent(udp_kernel_drops=1234), "critical", "Datagrams are being lost", "1,234 UDP datagrams"),
        (Recent(write_errors={"open": 1}), "critical", "Writing fails", "open 1"),
        (Recent(worker_restarts=1), "attention", "Workers were replaced", "1 worker died"),
        (Recent(received=100, rejected={"schema": 12}), "attention", "Records are refused", "12% of the records"),
        (Recent(received=9, auth_failures={"no_token": 2}), "attention", "turned away", "no token 2"),
    ],
)  # fmt: skip
def test_what_happened_in_the_last_minute(
    report: Report, happened: Recent, state: str, headline: str, said: str
) -> None:
    found = judged(report, happened)
    assert (found.state, len(found.findings)) == (state, 1)
    assert headline in found.headline
    assert said in found.detail
    assert found.findings[0].do


@pytest.mark.parametrize("rejected", [9, 10])
def test_a_few_refused_records_are_nobody_s_alarm(report: Report, rejected: int) -> None:
    few = Recent(received=10 if rejected < 10 else 1001, rejected={"schema": rejected})
    assert judged(report, few).state == "well"


@pytest.mark.parametrize(
    ("disk", "state", "said"),
    [
        (Disk(25 * GB, 100 * GB, None, 600), "well", ""),
        (Disk(20 * GB, 100 * GB, None, 600), "attention", "The disk is 80% full."),
        (Disk(4 * GB, 100 * GB, None, 600), "critical", "The disk is 96% full."),
        (Disk(80 * GB, 100 * GB, 80_000.0, 600), "attention", "The disk is full in 22 hours"),
        (Disk(80 * GB, 100 * GB, 1800.0, 600), "critical", "The disk is full in 30 minutes"),
        (Disk(80 * GB, 100 * GB, 1800.0, 60), "well", ""),
        (Disk(None, None, None, 0), "critical", "The data folder cannot be looked at."),
    ],
)
def test_the_disk(report: Report, disk: Disk, state: str, said: str) -> None:
    found = judged(report, disk=disk)
    assert found.state == state
    assert said in found.detail


def test_writers_that_are_behind(report: Report) -> None:
    report.queue_bytes = 900
    assert judged(report).headline == "The disk is too slow"
    report.queue_bytes, report.latency_seconds = 100, Latency(1.0, 7.5)
    assert "7.5 s" in judged(report).detail


def test_processes_that_do_not_work(report: Report) -> None:
    report.faults, report.state = {"worker 1": "no heartbeat for 12.3 s"}, "degraded"
    found = judged(report)
    assert (found.state, found.headline) == ("critical", "Worker 1 does not work")
    assert found.detail == "Worker 1: no heartbeat for 12.3 s."
    report.faults, report.state = {"supervisor": "draining"}, "draining"
    assert judged(report).headline == "Supervisor is stopping"
    assert judged(report).state == "attention"


def test_what_is_urgent_comes_first_and_the_rest_is_counted(report: Report) -> None:
    happened = Recent(received=100, rejected={"schema": 50}, worker_restarts=1, dropped={"write_error": 1})
    found = judged(report, happened)
    assert found.headline == "Records are being lost, and 2 more"
    assert [one.severity for one in found.findings] == ["critical", "attention", "attention"]


def test_alerts_are_told_unless_the_same_is_said_already(report: Report) -> None:
    own = Firing("mail-errors", "critical", "17 matching records of mailer")
    drops = Firing("records-dropped", "critical", "12 dropped", check="drops")
    assert judged(report, firing=[own]).detail == "mail-errors: 17 matching records of mailer."
    assert judged(report, firing=[Firing("hello", "info", "hi")]).state == "well"
    both = judged(report, Recent(received=9, dropped={"write_error": 12}), firing=[own, drops])
    assert [one.panel for one in both.findings] == ["losses", "alerts"]
    assert judged(report, firing=[drops]).headline == "Alert: records-dropped", (
        "it lasts longer than a minute"
    )
    storm = judged(report, firing=[Firing(f"rule-{number}", "warning", "x") for number in range(50)])
    assert len(storm.findings) == 6
    assert storm.findings[-1].what == "45 more alerts are active."


def test_every_finding_leads_to_a_part_of_the_page(report: Report) -> None:
    report.faults, report.queue_bytes = {"worker 0": "dead"}, 1000
    happened = Recent(
        received=100,
        rejected={"schema": 50},
        dropped={"write_error": 1},
        udp_kernel_drops=1,
        write_errors={"open": 1},
        auth_failures={"no_token": 1},
        worker_restarts=1,
    )
    found = judged(report, happened, Disk(1, 100, None, 0), firing=[Firing("a", "warning", "b")])
    assert len(found.findings) == len(CHECKS) + 1
    assert {one.panel for one in found.findings} <= set(PAGE.values("id"))


def test_recent_is_the_difference_of_two_readings() -> None:
    rejected = ("ingestd_records_rejected_total", "json", "tcp", "schema")
    elsewhere = ("ingestd_records_rejected_total", "raw", "udp", "schema")
    received = ("ingestd_records_received_total", "json", "tcp")
    past = sums(0, {rejected: 5, received: 100})
    now = sums(60, {rejected: 6, elsewhere: 2, received: 150, ("ingestd_worker_restarts_total",): 1})
    assert msgspec.to_builtins(recent(now, past)) == msgspec.to_builtins(
        Recent(received=50, rejected={"schema": 3}, worker_restarts=1)
    )
    assert recent(now, None) == Recent()
