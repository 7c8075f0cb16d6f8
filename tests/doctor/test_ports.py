"""Ports: free, taken by whom, the daemon's own, held by systemd."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ingestd.doctor import ports
from ingestd.doctor.finding import Machine, Running
from ingestd.net.sockets import Address
from tests.doctor.machines import machine

KINDS = pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])


def taken(kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


@KINDS
def test_a_free_port_and_one_that_is_taken(kind: socket.SocketKind) -> None:
    with taken(kind) as sock:
        address = Address(*sock.getsockname())
        finding = ports.port("listen.x", address, kind, Machine(), None, True)
        assert finding.verdict == "fail"
        assert f"(pid {os.getpid()}) listens on 127.0.0.1:{address.port}" in finding.says
        assert "set listen.x.port" in finding.do
    assert ports.port("listen.x", address, kind, Machine(), None, True).verdict == "ok"


@KINDS
def test_a_port_that_the_daemon_has_is_right(kind: socket.SocketKind) -> None:
    with taken(kind) as sock:
        address = Address(*sock.getsockname())
        running = Running(77, 996, 1024, False, frozenset({f"127.0.0.1:{address.port}"}))
        finding = ports.port("listen.x", address, kind, Machine(), running, True)
        assert (finding.verdict, "the daemon (pid 77) listens" in finding.says) == ("ok", True)


def test_a_port_that_systemd_holds_is_right(tmp_path: Path) -> None:
    with taken(socket.SOCK_STREAM) as sock:
        address = Address(*sock.getsockname())
        line = f"  0: 0100007F:{address.port:04X} 00000000:0000 0A 0:0 00:0 00000000 0 0 4711 1 0 100"
        looked_at = machine(tmp_path, {"net/tcp": f"  sl  local_address\n{line}\n", "1/comm": "systemd\n"})
        (tmp_path / "proc/1/fd").mkdir()
        (tmp_path / "proc/1/fd/40").symlink_to("socket:[4711]")
        finding = ports.port("listen.tcp", address, socket.SOCK_STREAM, looked_at, None, True)
        assert (finding.verdict, "systemd holds" in finding.says) == ("ok", True)


def test_one_who_cannot_be_seen_is_another_process(tmp_path: Path) -> None:
    with taken(socket.SOCK_STREAM) as sock:
        address = Address(*sock.getsockname())
        finding = ports.port("http", address, socket.SOCK_STREAM, machine(tmp_path), None, True)
        assert (finding.verdict, "another process listens" in finding.says) == ("fail", True)
        finding = ports.port("http", address, socket.SOCK_STREAM, machine(tmp_path), None, False)
        assert (finding.verdict, finding.do) == ("warn", "run this as root")


def test_an_address_of_another_machine() -> None:
    finding = ports.port("http", Address("192.0.2.1", 0), socket.SOCK_STREAM, Machine(), None, True)
    assert (finding.verdict, "has no address 192.0.2.1" in finding.says) == ("fail", True)
