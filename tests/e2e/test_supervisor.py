"""Processes end to end: start, drain, crash, hang, lock, through the real daemon."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.daemon import Daemon, check_law, wait_for


class Load:
    """A real `loadgen` sending in the background."""

    def __init__(self, daemon: Daemon, report: Path, *options: str) -> None:
        self.report = report
        tls = ("--plain",) if daemon.certs is None else ("--ca", str(daemon.certs / "ca.crt"))
        self._command = (
            *(
                sys.executable,
                "-m",
                "tools.loadgen",
                "--tcp-port",
                str(daemon.tcp[1]),
                "--udp-port",
                str(daemon.udp[1]),
            ),
            *("--report", str(report), "--json", *tls, *options),
        )

    def __enter__(self) -> Load:
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def finish(self) -> dict[str, Any]:
        """Let it come to its end; its summary."""
        out, err = self.process.communicate(timeout=60)
        assert out, err
        summary: dict[str, Any] = json.loads(out)
        return summary


def verify(daemon: Daemon, report: Path) -> dict[str, Any]:
    """What `loadgen verify` finds on disk; it must be exact."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tools.loadgen",
            "verify",
            str(daemon.data),
            "--report",
            str(report),
            "--json",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def worker_pids(daemon: Daemon) -> list[int]:
    return [worker["pid"] for worker in daemon.stats()["workers"]]


def test_everything_sent_is_stored_exactly_once(tmp_path: Path, certs: Path) -> None:
    with Daemon(tmp_path, certs) as daemon:
        report = tmp_path / "report.json"
        with Load(daemon, report, "--count", "200000") as load:
            assert load.finish()["sent"] == 200_000
        totals = daemon.wait_settled(200_000)
        assert totals["written"] == 200_000
    verify(daemon, report)
    assert not list(daemon.data.glob("*.open"))


def test_sigterm_under_load_drains(tmp_path: Path, certs: Path) -> None:
    daemon = Daemon(tmp_path, certs).start()
    report = tmp_path / "report.json"
    with Load(daemon, report, "--rate", "100000", "--seconds", "30") as load:
        wait_for(lambda: daemon.stats()["totals"]["received"] > 20_000, "load")
        assert daemon.stop() == 0, daemon.log.read_text()
        load.finish()
    verify(daemon, report)
    assert not list(daemon.data.glob("*.open"))
    assert not (tmp_path / "state" / "ingestd.json").exists()


def test_a_killed_worker_is_replaced(tmp_path: Path, certs: Path) -> None:
    with Daemon(tmp_path, certs) as daemon:
        report = tmp_path / "report.json"
        with Load(daemon, report, "--rate", "20000", "--seconds", "3") as load:
            wait_for(lambda: daemon.stats()["totals"]["written"] > 10_000, "load")
            before = daemon.stats()
            victim = before["workers"][0]["pid"]
            os.kill(victim, signal.SIGKILL)
            with daemon.connect() as again:  # at once: the kernel holds the connection for the successor
                again.sendall(b'{"message":"after the kill"}\n')
            wait_for(lambda: victim not in worker_pids(daemon), "the successor")
            wait_for(lambda: daemon.stats()["state"] == "ready", "all to be ready")
            assert daemon.get("/readyz")
            load.finish()
        totals = daemon.wait_settled(before["totals"]["received"])
        assert totals["written"] >= before["totals"]["written"]
        on_disk = daemon.records_text()
        assert totals["written"] == len(on_disk)
        assert daemon.metric("ingestd_worker_restarts_total") == 1
        assert any(b'"message":"after the kill"' in record for record in on_disk)
    assert len(daemon.records_text()) == len(on_disk)


def test_counters_never_go_back(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        daemon.send(b'{"message":"x"}\n' * 1000)
        daemon.wait_settled(1000)
        for pid in worker_pids(daemon):
            os.kill(pid, signal.SIGKILL)
        daemon.send(b'{"message":"y"}\n' * 10)
        totals = daemon.wait_settled(1010)
        assert totals["written"] == 1010


def test_killing_the_whole_tree_keeps_every_complete_frame(tmp_path: Path, certs: Path) -> None:
    daemon = Daemon(tmp_path, certs).start()
    report = tmp_path / "report.json"
    with Load(daemon, report, "--rate", "50000", "--seconds", "20"):
        wait_for(lambda: daemon.stats()["totals"]["written"] > 20_000, "load")
        written = daemon.stats()["totals"]["written"]
        daemon.kill_tree()
    left = list(daemon.data.glob("*.open"))
    assert left
    with Daemon(tmp_path, certs) as daemon:
        wait_for(lambda: not any(path.exists() for path in left), "recovery")
        assert len(daemon.records()) >= written


def test_a_hung_worker_shows_its_stacks_and_is_replaced(tmp_path: Path) -> None:
    with Daemon(tmp_path, **{"server.heartbeat_timeout": "1s"}) as daemon:
        hung = worker_pids(daemon)[0]
        os.kill(hung, signal.SIGSTOP)
        wait_for(lambda: hung not in worker_pids(daemon), "the hung worker's successor")
        log = daemon.log.read_text()
        assert "has not moved" in log
        daemon.send(b'{"message":"still here"}\n')
        daemon.wait_settled(1)


def test_workers_do_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path).start()
    daemon.send(b'{"message":"x"}\n')
    children = psutil.Process(daemon.process.pid).children()
    assert len(children) == 3
    daemon.process.kill()
    daemon.process.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert len(daemon.records()) == 1
    with daemon:  # nothing of it is left that would be in the way
        pass


def test_crash_loop_ends_the_daemon_with_a_reason(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path).start()
    stop = threading.Event()

    def kill_young() -> None:
        parent = psutil.Process(daemon.process.pid)
        while not stop.wait(0.01):
            try:
                first = min(parent.children(), key=lambda child: child.pid)
                for child in parent.children():
                    if child.pid != first.pid:
                        child.kill()
            except (psutil.Error, ValueError):
                return

    killer = threading.Thread(target=kill_young)
    killer.start()
    code = daemon.process.wait(60)
    stop.set()
    killer.join()
    assert code == 1
    assert "giving up" in daemon.log.read_text()


def test_second_daemon_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with Daemon(tmp_path) as first:
        second = Daemon(tmp_path, **{"server.state_dir": tmp_path / "other"})
        second.log = tmp_path / "second.log"
        second.start(ready=False)
        assert second.process.wait(60) == 1
        assert f"pid {first.process.pid}" in second.log.read_text()
        assert "Traceback" not in second.log.read_text()


def test_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        daemon = Daemon(tmp_path, **{"listen.tcp.port": other.getsockname()[1]}).start(ready=False)
        assert daemon.process.wait(60) == 1
    assert "listen.tcp" in daemon.log.read_text()
    assert "Traceback" not in daemon.log.read_text()


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        said = ""
        with Daemon(tmp_path / "daemon") as daemon:
            daemon.send(b'{"message":"x"}\n' * 100)
            while "WATCHDOG=1" not in said or "records/s; 2 of 2 workers serve; all is well" not in said:
                said += manager.recv(4096).decode() + "\n"
        while "STOPPING=1" not in said:
            said += manager.recv(4096).decode() + "\n"
        assert "READY=1\nSTATUS=Listening on 127.0.0.1:" in said
        assert "EXTEND_TIMEOUT_USEC=14000000" in said  # server.drain_timeout, and what is killed after it


def test_rotation_by_size_and_the_law_under_mixed_load(tmp_path: Path) -> None:
    settings = {"segment.max_bytes": "200KB"}
    with Daemon(tmp_path, **settings) as daemon:
        report = tmp_path / "report.json"
        with Load(daemon, report, "--count", "100000") as load:
            while load.process.poll() is None:
                check_law(daemon.stats()["totals"])
            load.finish()
        daemon.send(b"INGEST/1 json\n" + b'{"level":"nonsense"}\n{"message":"x"}\n' * 50)
        totals = daemon.wait_settled(100_100)
        assert (totals["written"], totals["rejected"]) == (100_050, 50)
        assert daemon.metric("ingestd_segment_rotations_total", reason="size") >= 2
    verify(daemon, report)
