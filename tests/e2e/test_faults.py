"""Faults found by attacking the daemon: each test failed once, for the reason its docstring gives."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from ingestd.shared import connection_limit
from tests.daemon import Daemon, wait_for

HEADER = b"INGEST/1 json\n"
GOOD = b'{"message":"good"}\n'


@contextmanager
def sending(sock: socket.socket, data: bytes = GOOD) -> Iterator[None]:
    """Somebody who goes on sending until the daemon ends the connection."""
    stop = threading.Event()

    def send() -> None:
        try:
            while not stop.wait(0.05):
                sock.sendall(data)
        except OSError:
            return  # the daemon has closed it, as it should

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        stop.set()
        sender.join()


class Start(Protocol):
    """Makes and starts a daemon in `folder`."""

    def __call__(
        self, folder: Path, certs: Path | None = None, ready: bool = True, **settings: object
    ) -> Daemon: ...


@pytest.fixture
def start() -> Iterator[Start]:
    """For tests that stop the daemon themselves; what a failed one left running is killed."""
    started = []

    def start(folder: Path, certs: Path | None = None, ready: bool = True, **settings: object) -> Daemon:
        daemon = Daemon(folder, certs, **settings)
        started.append(daemon)
        return daemon.start(ready)

    yield start
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.kill_tree()


def workers(daemon: Daemon) -> list[int]:
    return [worker["pid"] for worker in daemon.stats()["workers"]]


def test_a_dripping_header_times_out(tmp_path: Path) -> None:
    """The time-out began anew with each byte, so 512 bytes could hold a connection for hours."""
    with Daemon(tmp_path, **{"limits.header_timeout": "1s"}) as daemon, daemon.connect() as sock:
        sock.settimeout(0.3)
        for byte in b"INGEST/1 json " + b"x" * 100:
            try:
                assert sock.recv(1) == b""
                break
            except TimeoutError:
                sock.sendall(bytes([byte]))
        else:
            pytest.fail("still open")
        assert daemon.metric("ingestd_connections_closed_total", reason="header_timeout") == 1


@pytest.mark.parametrize("end", ["idle_timeout", "drain"])
def test_a_record_that_the_daemon_cut_off_is_truncated(tmp_path: Path, end: str) -> None:
    """Closing the connection itself, the daemon took half a line for a whole one."""
    settings = {"limits.idle_timeout": "1s" if end == "idle_timeout" else "1h"}
    with Daemon(tmp_path, **settings) as daemon, daemon.connect() as sock:
        sock.sendall(b"INGEST/1 raw\nwhole\nhal")
        daemon.wait_settled(1)
        if end == "idle_timeout":
            totals = daemon.wait_settled(2)
            assert (totals["written"], totals["rejected"]) == (1, 1)
        daemon.stop()
    assert [record["message"] for record in daemon.records()] == ["whole"]
    (reject,) = daemon.rejects()
    assert (reject["reason"], reject["data"]) == ("truncated", "hal")


def test_sigterm_while_starting_is_a_clean_end(start: Start, tmp_path: Path) -> None:
    """Workers that had not set up their signal handler died of SIGTERM, and the daemon exited 1."""
    for number in (1, 2, 3):
        daemon = start(tmp_path / str(number), ready=False)
        parent = psutil.Process(daemon.process.pid)
        wait_for(lambda parent=parent, number=number: len(parent.children()) >= number, "children")
        assert daemon.stop() == 0, daemon.log.read_text()


def test_sigterm_while_a_worker_is_replaced(start: Start, tmp_path: Path) -> None:
    """The successor takes what the dead one had queued, then drains like the others."""
    daemon = start(tmp_path, **{"server.workers": 1})
    (pid,) = workers(daemon)
    os.kill(pid, signal.SIGSTOP)
    with daemon.connect() as sock:  # in the backlog
        sock.sendall(GOOD * 10)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(GOOD, daemon.udp)
    parent = psutil.Process(daemon.process.pid)
    os.kill(pid, signal.SIGKILL)
    wait_for(
        lambda: "replacing it" in daemon.log.read_text() and len(parent.children()) == 2, "the successor"
    )
    assert daemon.stop() == 0, daemon.log.read_text()
    assert len(daemon.records()) == 11


def test_draining_refuses_new_connections(start: Start, tmp_path: Path) -> None:
    """Each worker held the others' listeners too, so the kernel went on completing connections nobody took."""
    daemon = start(tmp_path)
    with daemon.connect() as busy:
        busy.sendall(GOOD)
        daemon.wait_settled(1)
        with sending(busy):
            first = workers(daemon)
            daemon.process.send_signal(signal.SIGTERM)
            wait_for(lambda: not all(map(psutil.pid_exists, first)), "the idle worker to be gone")
            for _ in range(20):
                with pytest.raises(ConnectionRefusedError):
                    daemon.connect()
    assert daemon.stop() == 0


def test_the_heart_beats_while_a_full_disk_holds_up_the_end(start: Start, tmp_path: Path) -> None:
    """The heartbeat asked the closed UDP socket for its drops, and ended of that."""
    settings = {"server.workers": 1, "server.drain_timeout": "16s", "server.heartbeat_timeout": "2s"}
    daemon = start(tmp_path, **settings)
    (pid,) = workers(daemon)
    limit_bytes = 20_000  # of every file; the daemon's log stays below it, what is sent does not (EFBIG)
    psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    daemon.send(b'{"message":"%b"}\n' % os.urandom(limit_bytes).hex().encode() * 10)
    daemon.process.send_signal(signal.SIGTERM)
    states = set()
    while "gave up on 10 records" not in daemon.log.read_text():
        assert daemon.process.poll() is None
        with suppress(OSError):  # the sidecar goes with the last worker
            states.add(daemon.stats()["workers"][0]["state"])
    assert daemon.stop() == 1
    assert "draining" in states
    assert "hung" not in states
    assert "Traceback" not in daemon.log.read_text()


def test_idle_tls_connections_do_not_delay_a_stop(start: Start, tmp_path: Path, certs: Path) -> None:
    """Their clients never answered the close of TLS, nor that of a handshake, and a stop took all of its time."""
    daemon = start(tmp_path, certs, **{"server.drain_timeout": "40s"})
    with daemon.connect() as idle, socket.create_connection(daemon.tcp):
        idle.sendall(GOOD)
        daemon.wait_settled(1)
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(20) == 0


def test_the_limit_of_open_files_is_raised(start: Start, tmp_path: Path) -> None:
    """At a usual soft limit of 1,024, connections took the descriptors that the writer opens segments with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = psutil.Process().num_fds() + 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    try:
        settings = {"server.workers": 1, "limits.max_connections": 2_000_000_000}
        daemon = start(tmp_path, ready=False, **settings)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    daemon.wait_ready()
    (pid,) = workers(daemon)
    assert psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE) == (hard, hard)
    assert f"only {connection_limit(2_000_000_000, 1)} of limits.max_connections" in daemon.log.read_text()
    assert connection_limit(2_000_000_000, 1) < hard
    assert daemon.stop() == 0


def test_a_killed_daemons_state_file_is_withdrawn(start: Start, tmp_path: Path) -> None:
    """Until the next daemon was ready, scripts read where its killed predecessor had listened."""
    killed = start(tmp_path)
    killed.kill_tree()
    state = tmp_path / "state" / "ingestd.json"
    assert state.exists()
    daemon = start(tmp_path, ready=False)
    parent = psutil.Process(daemon.process.pid)
    wait_for(parent.children, "the first worker")
    assert not state.exists() or str(daemon.process.pid) in state.read_text()
    assert daemon.stop() == 0


def test_out_of_descriptors_is_told_and_survived(tmp_path: Path) -> None:
    """Accepting spun, and a segment could not be opened for want of a descriptor."""
    with Daemon(tmp_path, **{"server.workers": 1, "segment.max_age": "200ms"}) as daemon:
        (pid,) = workers(daemon)
        worker = psutil.Process(pid)
        worker.rlimit(psutil.RLIMIT_NOFILE, (worker.num_fds() + 4, 100))
        socks = [socket.create_connection(daemon.tcp) for _ in range(10)]
        wait_for(lambda: "LimitNOFILE" in daemon.log.read_text(), "the warning")
        before = sum(worker.cpu_times()[:2])
        threading.Event().wait(1.0)  # what it costs is measured over this time
        assert sum(worker.cpu_times()[:2]) - before < 0.5
        for sock in socks:
            sock.sendall(GOOD)
            sock.close()
        daemon.wait_settled(10)
