"""A mixed run: a connection for each format, one report, one verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.loadgen.segments import RUN, frame, stored_json, stored_raw
from tests.loadgen.sink import Sink
from tools.loadgen import fleet
from tools.loadgen.cli import main
from tools.loadgen.layouts import LAYOUTS
from tools.loadgen.payloads import FIRST_SEQ
from tools.loadgen.plan import Plan
from tools.loadgen.report import Report
from tools.loadgen.senders import Outcome
from tools.loadgen.transports import Target
from tools.loadgen.verify import Stored, VerifyError, judge, read_folder

TCP = Target("127.0.0.1", 3001, udp=False, tls=None)


def plan(target: Target = TCP, **options: Any) -> Plan:
    return Plan(target, "mixed", RUN, 1, **options)


@pytest.mark.parametrize("processes", [1, 2])
def test_connections_take_the_formats_in_turn(processes: int) -> None:
    with Sink() as sink:
        target = Target("127.0.0.1", sink.port, udp=False, tls=None)
        report = fleet.run(plan(target, connections=8, processes=processes, count=1_600), lambda *_: None)
    headers = sorted(bytes(data).partition(b"\n")[0] for data in sink.received)
    assert headers == sorted(f"INGEST/1 {name}".encode() for name in (*LAYOUTS, "json", "raw"))
    (avro,) = (data for data in sink.received if b" avro\n" in data[:20])
    assert avro.partition(b"\n")[2].startswith(LAYOUTS["avro"].preamble)
    assert (report.format, report.sent) == ("mixed", 1_600)
    assert len(report.ranges.confirmed) == 8
    assert report.formats == dict.fromkeys(sorted(LAYOUTS), 200) | {"json": 400, "raw": 400}
    openings = sum(len(data.partition(b"\n")[2]) for data in sink.received)
    assert report.bytes == openings - len(LAYOUTS["avro"].preamble)


def test_every_connection_has_a_share_of_a_small_count() -> None:
    assert plan(connections=6, count=60).counts() == [10] * 6
    assert plan(connections=6, count=100_000).batch_records == 1_000
    assert plan(connections=6, count=600, batch=500).counts() == [500, 100]


def test_records_of_both_kinds_of_markers_are_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl.zst").write_bytes(
        frame(
            stored_json(FIRST_SEQ),
            stored_raw(FIRST_SEQ + 1),
            stored_raw(FIRST_SEQ + 1),
            stored_json(FIRST_SEQ + 9),
        )
    )
    outcome = Outcome(confirmed=[(FIRST_SEQ, FIRST_SEQ + 2)])
    stored = read_folder(tmp_path, 1)
    for _ in range(2):  # judging changes nothing
        (made,) = judge(stored, [Report.of(outcome, RUN, "mixed", "tls", 1.0, 0.0)])
        assert (made.found, made.missing, made.duplicated, made.unexpected) == (2, 1, 1, 1)


def test_a_report_of_a_format_unknown_here_is_refused() -> None:
    with pytest.raises(VerifyError, match="none of loadgen's"):
        judge(Stored(), [Report.of(Outcome(), RUN, "cobol", "tls", 1.0, 0.0)])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--udp", "--format", "avro"), "--udp carries json, raw, syslog; avro needs a stream"),
        (("--udp", "--format", "mixed"), "leave out --udp"),
        (("--format", "mixed", "--connections", "3"), "--connections 6 or more, not 3"),
    ],
)
def test_what_cannot_be_is_said(options: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(main, [*options, "--count", "1"])
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


def test_a_mixed_run_needs_no_word_about_its_connections(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with Sink() as sink:
        options = ["--tcp-port", str(sink.port), "--plain", "--format", "mixed", "--count", "600"]
        done = CliRunner().invoke(main, [*options, "--report", str(path), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["sent"] == 600
    assert json.loads(done.stdout)["formats"] == dict.fromkeys(LAYOUTS, 100)
    assert len(sink.received) == 6
    assert Report.read(path).format == "mixed"


def test_the_summary_counts_each_format() -> None:
    with Sink() as sink:
        options = ["--tcp-port", str(sink.port), "--plain", "--format", "mixed", "--count", "6000"]
        done = CliRunner().invoke(main, options)
    assert (
        "\n  avro 1,000, journald 1,000, json 1,000, protobuf 1,000, raw 1,000, syslog 1,000\n" in done.output
    )
