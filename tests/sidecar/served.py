"""A real sidecar for tests: a board that the test fills, a forked child that serves it, a client that asks.

The test process plays the supervisor; its workers are idle children, so that /proc has something true to say.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn, Self

from ingestd.sidecar import View, run
from ingestd.stats import READY, STATE, Board, index

_SAMPLE = re.compile(r"^([a-z_]+(?:\{.*\})?) (\S+)$", re.MULTILINE)


def make_view(**changes: Any) -> View:
    """A view whose supervisor is this process."""
    given: dict[str, Any] = {
        "version": "1.2.3",
        "hostname": "box.example.org",
        "listen": {"tcp": "127.0.0.1:3001", "udp": "127.0.0.1:3002", "http": "127.0.0.1:8080"},
        "data_dir": "/",
        "supervisor_pid": os.getpid(),
        "started_ns": time.time_ns() - 5_000_000_000,
        "heartbeat_timeout_s": 3600.0,
    }
    return View(**given | changes)


def move_block(board: Board, number: int, count: int, form: str = "json", transport: str = "tcp") -> None:
    """`count` records received: one rejected, one dropped, one left in flight, the others written."""
    with board.slot(number).moving() as values:
        values[index("ingestd_records_received_total", form, transport)] += count
        values[index("ingestd_records_rejected_total", form, transport, "invalid_json")] += 1
        values[index("ingestd_records_dropped_total", form, transport, "backpressure")] += 1
        values[index("ingestd_records_in_flight", form, transport)] += 1
        values[index("ingestd_records_written_total", form, transport)] += count - 3


class Workers:
    """Idle children of this process, and the slots that they hold as if they were workers."""

    def __init__(self, count: int) -> None:
        self.board = Board(count)
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        supervisor = self.board.supervisor
        supervisor.adopt(os.getpid(), time.monotonic_ns(), time.time_ns())
        supervisor[STATE] = READY
        for number in range(count):
            self.start(number)

    def start(self, number: int) -> int:
        """A new process for slot `number`, ready; returns its pid."""
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self._children[number] = child
        slot = self.board.slot(number)
        slot.assign(number)
        slot.adopt(child.pid, time.monotonic_ns(), time.time_ns())
        slot[STATE] = READY
        return child.pid

    def end(self, number: int) -> None:
        """Kill and bury the process of slot `number`; the slot stays as it was."""
        child = self._children.pop(number)
        child.kill()
        child.communicate()

    def end_all(self) -> None:
        for number in list(self._children):
            self.end(number)


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    def samples(self) -> dict[str, float]:
        """Each sample of a Prometheus answer: its name with labels, and its value."""
        return {name: float(value) for name, value in _SAMPLE.findall(self.text)}


class Served:
    """`ingestd.sidecar.run` in a forked child. As a context manager it is stopped, and must have exited 0."""

    def __init__(self, board: Board, view: View, sock: socket.socket) -> None:
        self.port: int = sock.getsockname()[1]
        self.pid = fork()
        if not self.pid:
            be_sidecar(board, view, sock)

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def stop(self) -> int:
        """SIGTERM; returns the exit status once it has ended."""
        os.kill(self.pid, signal.SIGTERM)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def __enter__(self) -> Self:
        self.get("/healthz")  # from its first answer on it handles SIGTERM itself
        return self

    def __exit__(self, *_: object) -> None:
        assert self.stop() == 0


def fork() -> int:
    """`os.fork`, without the warning of Python 3.12 that there is a thread (the timeout plugin's, a harmless one)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def be_sidecar(board: Board, view: View, sock: socket.socket) -> NoReturn:
    """What a forked child does; it never returns."""
    status = 1
    try:
        run(board, sock, view)
        status = 0
    except Exception:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)
