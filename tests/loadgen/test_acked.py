"""`loadgen --ack`: what the report confirms is what a server stored. The peer is that of the client's tests."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.peer import Peer, Talk
from tests.daemon import PATIENCE_S, wait_for
from tests.loadgen.test_cli import COMMAND, run, summary
from tools.loadgen.journal import journal_of
from tools.loadgen.report import Report, count


def options(peer: Peer) -> tuple[str, ...]:
    return ("--tcp-port", peer.address.rpartition(":")[2], "--plain", "--ack", "--batch", "100")


def stored(peer: Peer, run_id: str = "") -> list[int]:
    lines = [line for line in peer.lines() if f'"run":"{run_id}'.encode() in line]
    return sorted(int(found) for line in lines for found in re.findall(rb'"seq":(\d+)', line))


def confirmed(report: Report) -> list[int]:
    return [seq for first, last in report.ranges.confirmed for seq in range(first, last + 1)]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_the_report_confirms_was_acknowledged(tmp_path: Path, processes: int) -> None:
    path = tmp_path / "report.json"
    with Peer() as peer:
        more = ("--count", 20_500, "--processes", processes, "--report", path, "--json", "--client", "lane")
        done = summary(run(*options(peer), *more))
        assert sorted(peer.stored) == ["lane-0", "lane-1", "lane-2", "lane-3"]
        assert [len(data.splitlines()) for _, data in peer.stored["lane-0"]][:-1] == [100] * 51
    report = Report.read(path)
    assert confirmed(report) == stored(peer)
    assert (done["sent"], done["uncertain"], done["failed"], done["acked"]) == (20_500, 0, 0, True)
    assert not journal_of(path).exists()


def test_what_is_not_acknowledged_is_uncertain_and_said(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    peers: list[Peer] = []

    def fence(talk: Talk) -> None:
        peers[0].serve(talk, 3)
        talk.say("ERR fenced by a newer connection of this client")

    with Peer({0: fence}) as peer:
        peers.append(peer)
        done = run(*options(peer), "--connections", 1, "--count", 10_000, "--report", path)
    report = Report.read(path)
    assert count(report.ranges.confirmed) == 300
    assert report.uncertain + 300 == report.sent
    assert "same client_id" in done.stderr


def test_a_batch_that_was_refused_in_part_confirms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.json"

    def refuse(talk: Talk) -> None:
        talk.say("OK 0")
        while batch := talk.batch():
            if batch[0] == 2:
                talk.say("REJECT 2 1 oversize")
            talk.say(f"ACK {batch[0]}")

    with Peer({0: refuse}) as peer:
        done = run(*options(peer), "--connections", 1, "--count", 500, "--report", path)
    report = Report.read(path)
    assert (count(report.ranges.confirmed), report.uncertain) == (400, 100)
    assert "refused records: oversize" in done.stderr


def hold(peers: list[Peer], go: threading.Event) -> Callable[[Talk], None]:
    """A server that takes five batches, and no more before it is told to."""

    def script(talk: Talk) -> None:
        peers[0].serve(talk, 5)
        go.wait(PATIENCE_S)

    return script


def test_a_killed_run_leaves_its_journal_and_its_spool_to_the_next(tmp_path: Path) -> None:
    path, spool = tmp_path / "report.json", tmp_path / "spool"
    peers: list[Peer] = []
    go = threading.Event()
    with Peer({0: hold(peers, go)}) as peer:
        peers.append(peer)
        fixed = (*options(peer), "--connections", "1", "--client", "lane", "--spool", str(spool))
        process = subprocess.Popen(
            [*COMMAND, *fixed, "--run", "first", "--rate", "5000", "--report", str(path)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        wait_for(
            lambda: journal_of(path).exists() and b"sent" in journal_of(path).read_bytes(), "the journal"
        )
        wait_for(lambda: len(peer.lines()) >= 500, "some batches")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        go.set()
        killed = Report.read(path)
        assert set(confirmed(killed)) <= set(stored(peer, "first"))
        again = tmp_path / "again.json"
        done = summary(run(*fixed, "--run", "second", "--count", 1_000, "--report", again, "--json"))
        assert (done["sent"], done["uncertain"]) == (1_000, 0)
        assert confirmed(Report.read(again)) == stored(peer, "second")
        first = stored(peer, "first")
    assert len(first) == len(set(first))
    assert set(first) <= {
        seq
        for begin, end in killed.ranges.confirmed + killed.ranges.uncertain
        for seq in range(begin, end + 1)
    }
    assert len(first) >= count(killed.ranges.confirmed)


def test_a_report_of_before_is_not_mistaken_for_that_of_a_killed_run(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with Peer() as peer:
        assert run(*options(peer), "--run", "first", "--count", 100, "--report", path).returncode == 0
    assert json.loads(path.read_text())["run"] == "first"
    go = threading.Event()
    peers: list[Peer] = []
    with Peer({0: hold(peers, go)}) as peer:
        peers.append(peer)
        process = subprocess.Popen(
            [*COMMAND, *options(peer), "--connections", "1", "--run", "second", "--report", str(path)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: len(peer.lines()) >= 500, "some batches")
        process.kill()
        process.wait(PATIENCE_S)
        go.set()
    assert Report.read(path).run == "second"


def test_a_spool_in_use_is_told(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    with Peer() as peer:
        done = run(*options(peer), "--count", 100, "--spool", tmp_path / "spool" / "x")
    assert done.returncode == 1
    assert "cannot use the spool" in done.stderr
