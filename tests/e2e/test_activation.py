"""A daemon on sockets that it was passed: as many as there are workers, fewer, and over reloads."""

from __future__ import annotations

import socket
import subprocess
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from tests.daemon import Daemon, check_law
from tests.e2e.reloading import Restless, configure, outcomes, reload, send_one

LOCAL = "127.0.0.1"


class Activated(Daemon):
    """One that is passed sockets, held here as a service manager holds them."""

    def __init__(self, folder: Path, tcp: int, udp: int, http: int = 1, **settings: object) -> None:
        self.held: list[socket.socket] = []
        self._bind(socket.SOCK_STREAM, tcp, reuse_port=True)
        self._bind(socket.SOCK_DGRAM, udp, reuse_port=True)
        self._bind(socket.SOCK_STREAM, http, reuse_port=False)
        self.names = ":".join(["tcp"] * tcp + ["udp"] * udp + ["http"] * http)
        super().__init__(folder, **settings)

    def _bind(self, kind: socket.SocketKind, count: int, *, reuse_port: bool) -> None:
        port = 0
        for _ in range(count):
            sock = socket.socket(socket.AF_INET, kind)
            self.held.append(sock)
            if reuse_port and count > 1:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind((LOCAL, port))
            port = sock.getsockname()[1]
            if kind == socket.SOCK_STREAM:
                sock.listen()

    def spawn(self, command: list[str], log: IO[str]) -> subprocess.Popen[str]:
        numbers = [sock.fileno() for sock in self.held]
        # First away from the numbers that are to be theirs.
        away = "".join(f"exec {100 + index}<&{number}; " for index, number in enumerate(numbers))
        there = "".join(
            f"exec {3 + index}<&{100 + index} {100 + index}<&-; " for index in range(len(numbers))
        )
        script = f'{away}{there}export LISTEN_PID=$$ LISTEN_FDS={len(numbers)} LISTEN_FDNAMES={self.names}; exec "$@"'
        return subprocess.Popen(
            ["bash", "-c", script, "bash", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
            pass_fds=numbers,
        )

    def close(self) -> None:
        for sock in self.held:
            sock.close()


@pytest.mark.parametrize(("tcp", "udp"), [(2, 2), (1, 1), (3, 0), (0, 3)])
def test_all_that_is_sent_arrives_whatever_was_passed(tmp_path: Path, tcp: int, udp: int) -> None:
    daemon = Activated(tmp_path / "d", tcp, udp)
    addresses = {sock.getsockname() for sock in daemon.held}
    with daemon:
        listened = ([daemon.tcp] if tcp else []) + ([daemon.udp] if udp else []) + [daemon.http]
        assert set(listened) == addresses
        for number in range(8):
            send_one(daemon, number)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(8):
                sender.sendto(b'{"message":"datagram","number":%d}' % number, daemon.udp)
        totals = daemon.wait_settled(16)
        check_law(totals)
        assert totals["written"] == 16
        assert daemon.metric("ingestd_udp_kernel_drops_total") == 0
    daemon.close()


@pytest.mark.parametrize("passed", [1, 2], ids=["shared", "one for each worker"])
def test_a_reload_keeps_them_and_refuses_nobody(tmp_path: Path, passed: int) -> None:
    daemon = Activated(tmp_path / "d", passed, passed)
    del daemon.settings["server.workers"]  # for the file to say
    daemon.folder.mkdir()
    configure(daemon, "[server]\nworkers = 2\n")
    addresses = {sock.getsockname() for sock in daemon.held}
    with daemon:
        with Restless(partial(send_one, daemon), threads=2) as senders:
            for workers in (3, 1):
                configure(daemon, f"[server]\nworkers = {workers}\n")
                reload(daemon, "applied")
        daemon.wait_ready()
        assert {daemon.tcp, daemon.udp, daemon.http} == addresses
        assert daemon.wait_settled(senders.calls)["written"] == senders.calls
    daemon.close()


def test_who_connects_while_no_daemon_is_there_is_served_by_the_next(tmp_path: Path) -> None:
    daemon = Activated(tmp_path / "d", 2, 2)
    with daemon:
        send_one(daemon, 0)
        daemon.wait_settled(1)
        daemon.kill_tree()
        with daemon.connect() as waiting, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            waiting.sendall(b'{"message":"came while it was down"}\n')
            sender.sendto(b'{"message":"datagram"}', daemon.udp)
            daemon.start()
            waiting.shutdown(socket.SHUT_WR)
            assert waiting.recv(1) == b""
            daemon.wait_settled(2)
        messages = sorted(record["message"] for record in daemon.records())
        assert messages == ["came while it was down", "datagram", "short"]
    daemon.close()


def test_what_was_dropped_before_it_is_not_its_count(tmp_path: Path) -> None:
    daemon = Activated(tmp_path / "d", 1, 1)
    receiver = daemon.held[1]
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(200):
            sender.sendto(bytes(1000), receiver.getsockname())
    with daemon:
        assert daemon.metric("ingestd_udp_kernel_drops_total") == 0
    daemon.close()


def test_http_for_strangers_needs_tokens_as_in_the_configuration(tmp_path: Path) -> None:
    daemon = Activated(tmp_path / "d", 1, 1, http=0)
    with socket.create_server(("0.0.0.0", 0)) as http:
        daemon.held.append(http)
        daemon.names += ":http"
        daemon.start(ready=False)
        assert daemon.process.wait(60) == 1
    assert "other machines would be answered without a token" in daemon.log.read_text()
    for sock in daemon.held:
        sock.close()


def test_another_address_than_the_configurations_is_told(tmp_path: Path) -> None:
    daemon = Activated(tmp_path / "d", 1, 1, listen__tcp__port=3001)
    with daemon:
        passed = f"{LOCAL}:{daemon.held[0].getsockname()[1]}"
        assert f"systemd passes {passed} for listen.tcp" in daemon.log.read_text()
        configure(daemon, '[enrich]\nenvironment = "x"\n')
        reload(daemon, "applied")
        assert outcomes(daemon)["applied"] == 1
        send_one(daemon, 1)
    daemon.close()
