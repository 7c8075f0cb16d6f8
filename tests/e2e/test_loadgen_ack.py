"""`loadgen --ack` against a real daemon, either of them killed: acknowledged is stored once, all else at most once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.daemon import PATIENCE_S, Daemon, wait_for
from tools.loadgen.journal import journal_of
from tools.loadgen.report import Report
from tools.loadgen.verify import judge, read_folder

COMMAND = (sys.executable, "-m", "tools.loadgen", "--plain", "--ack", "--batch", "200")


def start(daemon: Daemon, spool: Path, report: Path, *more: str) -> subprocess.Popen[bytes]:
    fixed = (
        "--tcp-port",
        str(daemon.tcp[1]),
        "--spool",
        str(spool),
        "--client",
        "lane",
        "--report",
        str(report),
    )
    return subprocess.Popen(
        [*COMMAND, *fixed, *more],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def has_acknowledged(report: Path) -> bool:
    path = journal_of(report)
    return path.exists() and b"\nacknowledged" in path.read_bytes()


def assert_exact(data: Path, reports: list[Path]) -> None:
    verdicts = judge(read_folder(data, 1), map(Report.read, reports))
    assert [verdict for verdict in verdicts if not verdict.exact] == []
    assert all(verdict.found for verdict in verdicts)


@pytest.mark.parametrize(("format_", "kills"), [("json", 2), ("mixed", 1)])
def test_loadgen_killed_again_and_again(tmp_path: Path, format_: str, kills: int) -> None:
    random = Random(format_)
    reports = [tmp_path / f"report-{number}.json" for number in range(kills + 1)]
    lanes = ("--format", format_, "--connections", "6", "--rate", "20000")
    with Daemon(tmp_path) as daemon:
        for number, report in enumerate(reports[:-1]):
            process = start(daemon, tmp_path / "spool", report, *lanes, "--run", f"run-{number}")
            try:
                wait_for(lambda report=report: has_acknowledged(report), "acknowledgements")
                enough = journal_of(report).stat().st_size + random.randrange(20_000)
                wait_for(lambda: journal_of(report).stat().st_size >= enough, "some more")  # noqa: B023
            finally:
                process.kill()
                process.wait(PATIENCE_S)
        last = start(daemon, tmp_path / "spool", reports[-1], *lanes, "--run", "last", "--count", "5000")
        assert last.wait(PATIENCE_S) == 0
    assert_exact(tmp_path / "data", reports)


def test_the_whole_daemon_killed_under_load(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    daemon = Daemon(tmp_path).start()
    try:
        port = daemon.tcp[1]
        process = start(daemon, tmp_path / "spool", report, "--count", "60000", "--rate", "20000")
        wait_for(lambda: has_acknowledged(report), "acknowledgements")
        daemon.kill_tree()
        daemon = Daemon(tmp_path, **{"listen.tcp.port": port}).start()
        assert process.wait(PATIENCE_S) == 0
        assert daemon.stop() == 0
        done = Report.read(report)
        assert (done.uncertain, done.failed) == (0, 0)
        assert_exact(tmp_path / "data", [report])
    finally:
        if daemon.process.poll() is None:
            os.killpg(daemon.process.pid, 9)
