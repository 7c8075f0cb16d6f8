"""The JSON report: its numbers, the law in it, its rates, and that every field is documented."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import pytest

from ingestd.rings import Rings
from ingestd.sidecar import View
from ingestd.sidecar.disk import look
from ingestd.sidecar.health import judge_workers
from ingestd.sidecar.moment import History, Moment, read
from ingestd.sidecar.report import Report, make_report
from ingestd.stats import HEARTBEAT, LATENCY_BUCKETS, Board, index
from tests.daemon import wait_for
from tests.sidecar.served import Served, Workers, fork, make_view, move_block

SIDES = ("written", "rejected", "dropped", "in_flight")
SECOND_NS = 1_000_000_000
DOCUMENT = Path(__file__).parent.parent.parent / "docs/metrics.md"


def report_of(workers: Workers, history: History | None = None, view: View | None = None) -> Report:
    return report_at(read(workers.board), history, view)


def report_at(moment: Moment, history: History | None = None, view: View | None = None) -> Report:
    view = view or make_view()
    disk = look(view.data_dir, Rings(), int(time.time()))
    return make_report(moment, judge_workers(moment, view), history or History(60), view, {}, disk)


def at(moment: Moment, at_ns: int) -> Moment:
    """The same moment, at another time."""
    return moment._replace(at_ns=at_ns, sums=moment.sums._replace(at_ns=at_ns))


def assert_law(stats: dict[str, Any]) -> None:
    """The law in an answer: for each format and transport, per worker and in sum, and the parts make the whole."""

    def check(records: dict[str, Any], totals: dict[str, int]) -> None:
        sums = dict.fromkeys(("received", *SIDES), 0)
        for transports in records.values():
            for part in transports.values():
                flat = part | {name: sum(part[name].values()) for name in ("rejected", "dropped")}
                assert flat["received"] == sum(flat[side] for side in SIDES)
                for name in sums:
                    sums[name] += flat[name]
        assert sums == totals

    check(stats["formats"], stats["totals"])
    for worker in stats["workers"]:
        check(worker["records"], worker["totals"])
    for name, total in stats["totals"].items():
        assert total == sum(worker["totals"][name] for worker in stats["workers"])


def test_the_counted_fields(workers: Workers) -> None:
    move_block(workers.board, 0, 100)
    move_block(workers.board, 1, 50, "raw", "udp")
    slot = workers.board.slot(0)
    for amount, (name, *labels) in enumerate(
        [
            ("ingestd_received_bytes_total", "tcp"),
            ("ingestd_segment_rotations_total", "size"),
            ("ingestd_segment_rotations_total", "age"),
            ("ingestd_queue_bytes",),
            ("ingestd_backpressure_pauses_total",),
            ("ingestd_connections_open",),
            ("ingestd_connections_accepted_total",),
            ("ingestd_connections_handed_over_total",),
            ("ingestd_connections_closed_total", "reset"),
            ("ingestd_udp_datagrams_total",),
            ("ingestd_udp_kernel_drops_total",),
            ("ingestd_write_errors_total", "rejects"),
        ],
        start=1,
    ):
        slot.add(index(name, *labels), amount)
    slot.add(index("ingestd_encoded_bytes_total"), 900)
    slot.add(index("ingestd_written_bytes_total"), 300)
    workers.board.supervisor.add(index("ingestd_worker_restarts_total"), 21)
    workers.board.supervisor.add(index("ingestd_sidecar_restarts_total"), 22)
    report = report_of(workers)
    assert_law(msgspec.to_builtins(report))
    assert msgspec.to_builtins(report.totals) == {
        "received": 150,
        "written": 144,
        "rejected": 2,
        "dropped": 2,
        "in_flight": 2,
    }
    assert report.formats["raw"]["udp"].received == 50
    assert (report.rejects, report.drops) == ({"invalid_json": 2}, {"backpressure": 2})
    assert report.bytes.received == {"tcp": 1}
    assert (report.rotations, report.queue_bytes, report.backpressure_pauses) == (5, 4, 5)
    assert msgspec.to_builtins(report.connections) == {
        "open": 6,
        "accepted": 7,
        "handed_over": 8,
        "closed": {"reset": 9},
    }
    assert (report.udp.datagrams, report.udp.kernel_drops) == (10, 11)
    assert report.write_errors == {"rejects": 12}
    assert report.compression_ratio == 3.0
    assert (report.worker_restarts, report.sidecar_restarts) == (21, 22)
    assert [worker.connections for worker in report.workers] == [6, 0]


def test_what_is_not_known_is_null(workers: Workers) -> None:
    workers.end(1)
    report = report_of(workers, view=make_view(data_dir="/does/not/exist"))
    assert report.logs_per_second is report.in_megabytes_per_second is report.compression_ratio is None
    assert report.latency_seconds.p50 is report.latency_seconds.p99 is report.data_dir_free_bytes is None
    dead = report.workers[1]
    assert dead.uptime_seconds is dead.cpu_seconds is dead.resident_memory_bytes is None
    assert (dead.state, report.state) == ("dead", "degraded")


def test_rates_are_of_the_last_seconds(workers: Workers) -> None:
    board = workers.board
    history = History(60)
    start = read(board)
    history.add(start.sums)
    move_block(board, 0, 1_000_000)  # long ago: it must not weigh in
    history.add(read(board).sums._replace(at_ns=start.at_ns + 20 * SECOND_NS))
    move_block(board, 0, 503)
    board.slot(0).add(index("ingestd_received_bytes_total", "tcp"), 5_000_000)
    board.slot(1).add(index("ingestd_received_bytes_total", "udp"), 5_000_000)
    board.slot(0).add(index("ingestd_written_bytes_total"), 1_000_000)
    report = report_at(at(read(board), start.at_ns + 25 * SECOND_NS), history)
    assert report.received_per_second == pytest.approx(100.6)
    assert report.logs_per_second == pytest.approx(100)
    assert report.in_megabytes_per_second == pytest.approx(2)
    assert report.out_megabytes_per_second == pytest.approx(0.2)


def test_percentiles_forget_what_is_long_ago(workers: Workers) -> None:
    base = index("ingestd_write_latency_seconds")
    slot = workers.board.slot(0)
    history = History(60)
    slot.observe(base, LATENCY_BUCKETS, 20.0, 1000)
    start = read(workers.board)
    history.add(start.sums)
    slot.observe(base, LATENCY_BUCKETS, 0.04, 98)
    slot.observe(base, LATENCY_BUCKETS, 0.8, 2)
    report = report_at(at(read(workers.board), start.at_ns + 30 * SECOND_NS), history)
    assert report.latency_seconds.p50 == pytest.approx(0.025 + 0.025 * 50 / 98)
    assert report.latency_seconds.p99 == pytest.approx(0.75)


def test_a_hung_worker_is_named(workers: Workers) -> None:
    start = read(workers.board)
    moment = at(start, start.at_ns + 60 * SECOND_NS)
    moment.workers[0][HEARTBEAT] = moment.supervisor[HEARTBEAT] = moment.at_ns
    report = report_at(moment, view=make_view(heartbeat_timeout_s=10.0))
    assert report.state == "degraded"
    assert list(report.faults) == ["worker 1"]
    assert report.workers[1].fault == report.faults["worker 1"]


def test_rates_come_up_while_it_serves(workers: Workers, served: Served) -> None:
    move_block(workers.board, 0, 10)
    wait_for(lambda: served.get("/api/stats").json()["logs_per_second"] is not None, "a rate")


def _move_for_ever(board: Board) -> None:
    """What a busy worker does to its slot: first in flight, then written; between them it works for some 20 us."""
    received = index("ingestd_records_received_total", "json", "tcp")
    in_flight = index("ingestd_records_in_flight", "json", "tcp")
    written = index("ingestd_records_written_total", "json", "tcp")
    rejected = index("ingestd_records_rejected_total", "json", "tcp", "invalid_json")
    slot = board.slot(0)
    while True:
        with slot.moving() as values:
            values[received] += 101
            values[rejected] += 1
            values[in_flight] += 100
        sum(range(2000))
        with slot.moving() as values:
            values[in_flight] -= 100
            values[written] += 100
        sum(range(2000))


@pytest.fixture
def mover(workers: Workers) -> Iterator[int]:
    """A process that moves slot 0 all the time; it loses its core in the middle of a move now and then."""
    pid = fork()
    if not pid:
        _move_for_ever(workers.board)
    yield pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_the_law_holds_in_every_answer_while_a_worker_counts(served: Served, mover: int) -> None:
    before = 0
    for _ in range(200):
        stats = served.get("/api/stats").json()
        assert_law(stats)
        assert stats["totals"]["received"] >= before
        before = stats["totals"]["received"]
    assert before > 0, f"process {mover} did not count"


def inside(kind: Any, name: str = "") -> Iterator[str]:
    """The fields within a value of this type, by their paths below `name`."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            path = f"{name}.{field.name}".removeprefix(".")
            yield path
            yield from inside(field.type, path)
    elif get_origin(kind) is dict:
        yield from inside(get_args(kind)[1], f"{name}.*")
    elif get_origin(kind) is list:
        yield from inside(get_args(kind)[0], f"{name}[]")


@pytest.mark.parametrize("name", list(inside(Report)))
def test_every_field_is_documented(name: str) -> None:
    rows = re.findall(r"^\| `([^`]+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert name in rows, f"docs/metrics.md has no row for {name}"
