"""What the tests of reloading share: certificates to swap, a reload and what came of it, senders that never rest."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.daemon import PATIENCE_S, Daemon, wait_for


class Certificates:
    """Two pairs of one CA, of which one is in place. `folder` is for the daemon, and is of this test alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._spare = folder.with_name(folder.name + "-spare")
        self.make()
        shutil.copytree(folder, self._spare)
        for name in ("server.crt", "server.key"):
            (self._spare / name).unlink()
        self.make(self._spare)

    def make(self, folder: Path | None = None) -> None:
        command = [sys.executable, "-m", "ingestd", "certs", str(folder or self.folder)]
        subprocess.run(command, check=True, capture_output=True)

    def swap(self) -> None:
        """Put the other pair in place."""
        for name in ("server.crt", "server.key"):
            here, there = self.folder / name, self._spare / name
            kept = here.read_bytes()
            here.write_bytes(there.read_bytes())
            there.write_bytes(kept)


def configure(daemon: Daemon, text: str) -> None:
    """Put `text` into the configuration file of a running daemon."""
    (daemon.folder / "ingestd.toml").write_text(text)


def outcomes(daemon: Daemon) -> dict[str, int]:
    """How many reloads there were of each result."""
    results = ("applied", "certificates", "refused")
    return {result: int(daemon.metric("ingestd_reloads_total", result=result)) for result in results}


def reload(daemon: Daemon, result: str) -> None:
    """Ask for a reload, and wait until it is done; it must end as `result`."""
    before = outcomes(daemon)
    daemon.process.send_signal(signal.SIGHUP)
    after = wait_for(lambda: (now := outcomes(daemon)) != before and now, "the reload")
    assert after == before | {result: before[result] + 1}, daemon.log.read_text()


def serial(daemon: Daemon) -> int:
    """The serial number of the certificate that a new connection is shown."""
    with daemon.connect() as sock:
        assert isinstance(sock, ssl.SSLSocket)
        certificate = sock.getpeercert()
        assert certificate is not None
        return int(str(certificate["serialNumber"]), 16)


class Restless:
    """Threads that call `once` over and over; the first that fails is raised at the end."""

    def __init__(self, once: Callable[[int], None], threads: int = 1) -> None:
        self.calls = 0
        self._once = once
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def _run(self) -> None:
        while not self._stop.is_set() and not self._failures:
            with self._lock:
                number = self.calls
                self.calls += 1
            try:
                self._once(number)
            except BaseException as failure:  # noqa: BLE001 - raised again in the test's thread
                self._failures.append(failure)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        if self._failures:
            raise self._failures[0]


def send_one(daemon: Daemon, number: int) -> None:
    """A short connection: one record, a clean close, and all read to the end: neither refused nor reset."""
    daemon.send(b'{"message":"short","number":%d}\n' % number)


def scrape(daemon: Daemon, _: int) -> None:
    """One request to the sidecar, on a connection of its own."""
    host, port = daemon.http
    request = urllib.request.Request(f"http://{host}:{port}/readyz", headers={"Connection": "close"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        assert answer.status == 200


def say(sock: socket.socket, text: bytes) -> None:
    sock.sendall(text)


def hear(sock: socket.socket) -> bytes:
    """All that the daemon says until it closes."""
    heard = b""
    while piece := sock.recv(65536):
        heard += piece
    return heard
