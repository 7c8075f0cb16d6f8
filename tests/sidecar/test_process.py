"""The life of the sidecar process: how it ends, what it ignores, and that another can follow it."""

from __future__ import annotations

import http.client
import os
import signal
import socket

import pytest

from tests.sidecar.served import Served, Workers, be_sidecar, fork, make_view


def test_it_ends_on_sigterm_whatever_clients_do(workers: Workers, listener: socket.socket) -> None:
    served = Served(workers.board, make_view(), listener)
    idle = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    idle.request("GET", "/healthz")
    idle.getresponse().read()
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: localh")
        assert served.stop() == 0
    idle.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_it_leaves_other_signals_to_the_supervisor(served: Served, number: signal.Signals) -> None:
    os.kill(served.pid, number)
    assert served.get("/healthz").status == 200


def test_another_follows_on_the_same_socket(workers: Workers, listener: socket.socket) -> None:
    for _ in range(2):
        with Served(workers.board, make_view(), listener) as served:
            assert served.get("/readyz").status == 200
    with Served(workers.board, make_view(), listener) as served:
        os.kill(served.pid, signal.SIGKILL)
        os.waitpid(served.pid, 0)
        with socket.create_connection(("127.0.0.1", served.port), timeout=60) as waiting:
            waiting.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            following = Served(workers.board, make_view(), listener)
            assert waiting.makefile("rb").read().startswith(b"HTTP/1.0 200 OK\r\n")
        served.pid = following.pid


def test_it_ends_with_its_supervisor(workers: Workers, listener: socket.socket) -> None:
    alive, held = os.pipe()
    supervisor = fork()
    if not supervisor:
        view = make_view(supervisor_pid=os.getpid())
        if not fork():
            be_sidecar(workers.board, view, listener)
        signal.pause()
    os.close(held)
    port = listener.getsockname()[1]
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    client.request("GET", "/healthz")
    assert client.getresponse().read()
    client.close()
    os.kill(supervisor, signal.SIGKILL)
    os.waitpid(supervisor, 0)
    with os.fdopen(alive, "rb") as pipe:
        assert pipe.read() == b"", "the end of the pipe comes when the sidecar, which holds it, is gone"
