"""The command as a user runs it: a process, a real sink, real signals."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.loadgen.segments import frame, write
from tests.loadgen.sink import PATIENCE_S, Sink
from tools.loadgen.cli import main
from tools.loadgen.layouts import LAYOUTS
from tools.loadgen.report import Report, count

COMMAND = (sys.executable, "-m", "tools.loadgen")


def run(*options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *map(str, options)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def summary(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def wait_until(condition: Any) -> None:
    for _ in range(int(PATIENCE_S * 100)):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not happen")


def stored_seqs(sink: Sink) -> list[int]:
    return sorted(int(found) for found in re.findall(rb'"seq":(\d{10})', sink.data))


@pytest.mark.parametrize("processes", [1, 2])
def test_what_the_report_confirms_has_arrived(pem: Path, tmp_path: Path, processes: int) -> None:
    path = tmp_path / "report.json"
    with Sink(pem) as sink:
        done = summary(
            run(
                *("--tcp-port", sink.port, "--ca", pem, "--count", 20_500, "--processes", processes),
                *("--report", path, "--json"),
            )
        )
        seqs = stored_seqs(sink)
    report = Report.read(path)
    confirmed = [seq for first, last in report.ranges.confirmed for seq in range(first, last + 1)]
    assert seqs == confirmed
    assert done["sent"] == len(seqs) == 20_500
    assert done["failed"] == done["uncertain"] == 0
    assert (report.transport, report.format) == ("tls", "json")
    assert done["bytes"] == len(sink.data)


def test_plain_raw_and_a_readable_summary(tmp_path: Path) -> None:
    with Sink() as sink:
        done = run("--tcp-port", sink.port, "--plain", "--format", "raw", "--count", 10, "--run", "e2e")
        assert all(bytes(data).startswith(b"INGEST/1 raw\n") for data in sink.received)
        assert sink.data.count(b" run=e2e seq=") == 10
    assert done.returncode == 0
    assert "run e2e: sent 10 raw records" in done.stdout


def test_the_schema_stands_in_each_header_line() -> None:
    with Sink() as sink:
        done = run(
            "--tcp-port", sink.port, "--plain", "--format", "mixed", "--count", 600, "--schema", "orders@3"
        )
    assert done.returncode == 0, done.stderr
    headers = sorted(bytes(data).partition(b"\n")[0] for data in sink.received)
    assert headers == sorted(f"INGEST/1 {name} schema=orders@3".encode() for name in LAYOUTS)


def test_rate_and_seconds_send_what_they_say() -> None:
    with Sink() as sink:
        done = summary(run("--tcp-port", sink.port, "--plain", "--rate", 4_000, "--seconds", 0.5, "--json"))
        assert len(stored_seqs(sink)) == done["sent"]
    assert done["sent"] + done["behind"] == pytest.approx(2_000, abs=200)


def test_udp_arrives_in_small_datagrams(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE_S)
        port = receiver.getsockname()[1]
        done = summary(
            run("--udp", "--udp-port", port, "--count", 103, "--batch", 50, "--connections", 1, "--json")
        )
        found = b""
        while found.count(b"\n") < 103:
            datagram = receiver.recv(65_536)
            assert len(datagram) < 1_400
            assert datagram.endswith(b"\n")
            found += datagram
    assert (done["sent"], done["transport"]) == (103, "udp")


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_summary_and_report(
    pem: Path, tmp_path: Path, number: signal.Signals, processes: int
) -> None:
    path = tmp_path / "report.json"
    options = ["--rate", "5000", "--processes", str(processes), "--report", str(path), "--json"]
    with Sink(pem) as sink:
        process = subprocess.Popen(
            [*COMMAND, "--tcp-port", str(sink.port), "--ca", str(pem), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            wait_until(lambda: len(sink.data) > 10_000)
            os.killpg(process.pid, number)  # to all of them, as Ctrl-C does
            out, err = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
            process.communicate()
        seqs = stored_seqs(sink)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    done = json.loads(out)
    assert done["sent"] == len(seqs) == count(Report.read(path).ranges.confirmed)


def test_a_second_signal_breaks_what_hangs(tmp_path: Path) -> None:
    over = threading.Event()
    path = tmp_path / "report.json"
    with Sink(behave=lambda *_: not over.wait(PATIENCE_S)) as sink:  # accepts, and reads nothing
        process = subprocess.Popen(
            [*COMMAND, "--tcp-port", str(sink.port), "--plain", "--report", str(path), "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            wait_until(lambda: len(sink.received) == 4)
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)  # two different ones: equal ones may be merged
            out, err = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
            process.communicate()
            over.set()
    assert "Traceback" not in err
    assert json.loads(out)["uncertain"] == json.loads(out)["sent"] == Report.read(path).uncertain


def test_nobody_there_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = run("--tcp-port", port, "--plain", "--count", 10, "--connections", 2)
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "make run" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("processes", [1, 2])
def test_an_unknown_certificate_says_what_to_do(pem: Path, processes: int) -> None:
    with Sink(pem) as sink:
        done = run("--tcp-port", sink.port, "--count", 10_000, "--processes", processes)
    assert done.returncode == 1
    assert "--ca" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--udp", "--plain"], "exclude"),
        (["--udp", "--ca", "x"], "--ca"),
        (["--udp", "--schema", "orders"], "--schema"),
        (["--schema", "two words"], "no space"),
        (["--schema", "é"], "ASCII"),
        (["--schema", ""], "--schema"),
        (["--plain", "--insecure"], "--insecure"),
        (["--ca", "x", "--insecure"], "exclude"),
        (["--processes", "5", "--connections", "4"], "--connections"),
        (["--run", "a b"], "--run"),
        (["--report", "/none/report.json"], "/none"),
        (["--rate", "0"], "--rate"),
        (["--batch", "0"], "--batch"),
        (["--format", "xml"], "--format"),
        (["--tcp-port", "70000"], "--tcp-port"),
        (["--plain", "verify", "."], "stand behind"),
        (["--ack", "--udp"], "--udp"),
        (["--client", "c"], "--ack"),
        (["--spool", "."], "--ack"),
    ],
)
def test_options_that_make_no_sense_are_explained(options: list[str], word: str) -> None:
    done = CliRunner().invoke(main, options)
    assert done.exit_code == 2
    assert word in done.output


def test_a_ca_file_that_is_none_is_explained(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--ca", str(tmp_path / "none.pem")])
    assert done.exit_code == 1
    assert "none.pem" in done.output


def test_the_live_line_is_for_terminals() -> None:
    ours, theirs = pty.openpty()
    with Sink() as sink:
        process = subprocess.Popen(
            [*COMMAND, "--tcp-port", str(sink.port), "--plain", "--rate", "1000", "--seconds", "0.5"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4_096):
                shown += part
        except OSError:
            pass  # how Linux says that the other side of a terminal is closed
        finally:
            os.close(ours)
            assert process.wait(PATIENCE_S) == 0
    assert b"records/s" in shown


def test_verify_says_exact_and_not(tmp_path: Path) -> None:
    with Sink() as sink:
        path = tmp_path / "report.json"
        assert run("--tcp-port", sink.port, "--plain", "--count", 1_000, "--report", path).returncode == 0
        lines = sink.data.decode().splitlines()
    data = tmp_path / "data"
    data.mkdir()
    (data / "log_0.jsonl.zst").write_bytes(frame(*lines))
    done = run("verify", data, "--report", path, "--json")
    found = summary(done)
    assert {
        key: found[key] for key in ("expected", "found", "missing", "duplicated", "unexpected", "exact")
    } == {
        "expected": 1_000,
        "found": 1_000,
        "missing": 0,
        "duplicated": 0,
        "unexpected": 0,
        "exact": True,
    }
    assert found["runs"][0]["expected"] == 1_000
    (data / "log_0.jsonl.zst").write_bytes(frame(*lines[1:], lines[5]))
    done = run("verify", data, "--report", path)
    assert done.returncode == 1
    assert "missing 1, duplicated 1" in done.stdout
    assert "NOT EXACT" in done.stdout


def test_verify_without_a_report_lists_the_runs(tmp_path: Path) -> None:
    write(tmp_path / "log.jsonl.zst", range(10))
    done = CliRunner().invoke(main, ["verify", str(tmp_path)])
    assert done.exit_code == 0
    assert "run ab12cd34 (json): records 10, duplicated 0" in done.output


def test_verify_explains_what_it_cannot_do(tmp_path: Path) -> None:
    empty = CliRunner().invoke(main, ["verify", str(tmp_path)])
    assert empty.exit_code == 1
    assert "data_dir" in empty.output
    other = CliRunner().invoke(main, ["verify", str(tmp_path), "--report", str(tmp_path / "none.json")])
    assert other.exit_code == 1
    assert "none.json" in other.output
    assert CliRunner().invoke(main, ["verify", str(tmp_path / "none")]).exit_code == 2
