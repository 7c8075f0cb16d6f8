"""The Prometheus text: what is in it, what is left out, how it is escaped, and what promtool says of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ingestd.sidecar import SIDECAR_METRICS, View
from ingestd.sidecar.exposition import labels, render
from ingestd.sidecar.health import judge_workers
from ingestd.sidecar.moment import read
from ingestd.stats import LATENCY_BUCKETS, METRICS, PID, index
from tests.sidecar.served import Answer, Served, Workers, make_view, move_block

ROOT = Path(__file__).parent.parent.parent


def scrape(workers: Workers, view: View | None = None) -> Answer:
    view = view or make_view()
    moment = read(workers.board)
    return Answer(200, {}, render(moment, judge_workers(moment, view), view, {"no_token": 1}).encode())


def find_promtool() -> str | None:
    """On the path, or where `make test` unpacks it."""
    return shutil.which("promtool") or shutil.which(ROOT / ".venv/bin/promtool")


def test_every_family_has_help_and_type_once(workers: Workers) -> None:
    text = scrape(workers).text
    for metric in (*METRICS, *SIDECAR_METRICS):
        assert text.count(f"# TYPE {metric.name} {metric.kind}\n") == 1
        assert text.count(f"# HELP {metric.name} ") == 1


def test_series_are_summed_over_all_slots(workers: Workers) -> None:
    move_block(workers.board, 0, 10)
    move_block(workers.board, 1, 100)
    workers.board.supervisor.add(index("ingestd_worker_restarts_total"), 3)
    samples = scrape(workers).samples()
    assert samples['ingestd_records_received_total{format="json",transport="tcp"}'] == 110
    assert samples['ingestd_records_in_flight{format="json",transport="tcp"}'] == 2
    assert samples["ingestd_worker_restarts_total"] == 3


def test_reasons_that_never_occurred_are_left_out_and_the_rest_stays(workers: Workers) -> None:
    quiet = scrape(workers).text
    assert "ingestd_records_rejected_total{" not in quiet
    assert 'ingestd_records_received_total{format="raw",transport="udp"} 0\n' in quiet
    assert 'ingestd_segment_rotations_total{reason="age"} 0\n' in quiet, "a small family is shown whole"
    move_block(workers.board, 0, 10)
    rejected = [
        line for line in scrape(workers).text.splitlines() if line.startswith("ingestd_records_rejected")
    ]
    assert rejected == [
        'ingestd_records_rejected_total{format="json",transport="tcp",reason="invalid_json"} 1'
    ]


def test_the_law_can_be_computed_from_the_text(workers: Workers) -> None:
    for count in (10, 20, 30):
        move_block(workers.board, 0, count)
        move_block(workers.board, 1, count, "raw", "udp")
    sides = {"received": 0.0, "written": 0.0, "rejected": 0.0, "dropped": 0.0, "in_flight": 0.0}
    for name, value in scrape(workers).samples().items():
        if name.startswith("ingestd_records_") and "{format=" in name:
            family = name.partition("{")[0].removeprefix("ingestd_records_").removesuffix("_total")
            sides[family] += value
    assert sides["received"] == 120
    assert sides.pop("received") == sum(sides.values())


def test_the_histogram_is_cumulative_and_in_seconds(workers: Workers) -> None:
    base = index("ingestd_write_latency_seconds")
    slot = workers.board.slot(0)
    slot.observe(base, LATENCY_BUCKETS, 0.001, 5)
    slot.observe(base, LATENCY_BUCKETS, 0.2, 3)
    workers.board.slot(1).observe(base, LATENCY_BUCKETS, 99.0, 2)
    samples = scrape(workers).samples()
    bucket = 'ingestd_write_latency_seconds_bucket{le="%s"}'
    assert samples[bucket % "0.001"] == 5
    assert samples[bucket % "0.1"] == 5
    assert samples[bucket % "0.25"] == 8
    assert samples[bucket % "30.0"] == 8
    assert samples[bucket % "+Inf"] == samples["ingestd_write_latency_seconds_count"] == 10
    assert samples["ingestd_write_latency_seconds_sum"] == pytest.approx(0.005 + 0.6 + 198)


def test_what_the_sidecar_adds(workers: Workers) -> None:
    view = make_view(started_ns=1_700_000_000_500_000_000)
    pid = workers.board.slot(0)[PID]
    workers.end(1)
    samples = scrape(workers, view).samples()
    assert samples['ingestd_build_info{version="1.2.3"}'] == 1
    assert samples["ingestd_start_time_seconds"] == 1_700_000_000.5
    assert samples["ingestd_up_workers"] == 1
    assert samples['ingestd_worker_up{worker="0"}'] == 1
    assert samples['ingestd_worker_up{worker="1"}'] == 0
    assert f'ingestd_worker_cpu_seconds_total{{worker="0",pid="{pid}"}}' in samples
    assert samples['ingestd_worker_resident_memory_bytes{worker="0"}'] > 1_000_000
    assert 'ingestd_worker_resident_memory_bytes{worker="1"}' not in samples
    assert samples["ingestd_data_dir_free_bytes"] >= 0


def test_free_space_that_cannot_be_told_has_no_sample(workers: Workers, tmp_path: Path) -> None:
    answer = scrape(workers, make_view(data_dir=str(tmp_path / "missing")))
    assert "ingestd_data_dir_free_bytes" not in answer.samples()


def test_label_values_are_escaped() -> None:
    assert labels(("a", "b"), ('say "hi"\\', "two\nlines")) == r'{a="say \"hi\"\\",b="two\nlines"}'
    assert labels((), ()) == ""


@pytest.mark.parametrize("busy", [False, True])
def test_promtool_finds_nothing_to_say(workers: Workers, served: Served, busy: bool) -> None:
    promtool = find_promtool()
    if promtool is None:
        pytest.skip("promtool is not here (Debian package prometheus)")
    if busy:
        for metric in METRICS:
            for values in metric.series:
                workers.board.slot(0).add(index(metric.name, *values), 7)
    answer = served.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=answer.body, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_counters_never_go_backwards_over_a_replaced_worker(workers: Workers, served: Served) -> None:
    move_block(workers.board, 0, 50)
    before = served.get("/metrics").samples()
    workers.end(0)
    between = served.get("/metrics").samples()
    workers.start(0)
    move_block(workers.board, 0, 50)
    after = served.get("/metrics").samples()
    for earlier, later in ((before, between), (between, after), (before, after)):
        counters = [name for name in earlier if "_total" in name and name in later]
        assert len(counters) > 20
        assert [name for name in counters if later[name] < earlier[name]] == []
    gone = {name.partition("{")[0] for name in before.keys() - after.keys()}
    assert gone <= {"ingestd_worker_cpu_seconds_total"}, "only a dead process takes its series along"
