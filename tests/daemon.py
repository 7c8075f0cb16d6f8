"""A real daemon for tests: started as a user starts it, on free ports, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import zstandard

#: How long a condition may take on a machine that is busy with something else.
PATIENCE_S = 60.0

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str, patience_s: float = PATIENCE_S) -> T:
    """The first true value of `condition`; fails the test where it does not come."""
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {patience_s} s for {what}"
        time.sleep(0.02)
    return value


class Daemon:
    """One `ingestd run` in `folder`. As a context manager it is stopped, and must then have exited 0."""

    def __init__(self, folder: Path, certs: Path | None = None, **settings: object) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.certs = certs
        defaults = {
            "server.workers": 2,
            "server.data_dir": self.data,
            "server.state_dir": folder / "state",
            "listen.tcp.port": 0,
            "listen.udp.port": 0,
            "http.port": 0,
            "segment.flush_interval": "100ms",
        }
        if certs is None:
            defaults["listen.tcp.plaintext"] = "true"
        else:
            defaults |= {"listen.tcp.cert": certs / "server.crt", "listen.tcp.key": certs / "server.key"}
        given = {key.replace("__", "."): value for key, value in settings.items()}
        self.settings = defaults | given
        self.process: subprocess.Popen[str]
        self.log = folder / "daemon.log"

    def start(self, ready: bool = True) -> Self:
        """Start it; with `ready`, wait until it says where it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "ingestd.toml"
        config.touch()
        sets = [f"--set={key}={value}" for key, value in self.settings.items()]
        with self.log.open("a") as log:
            self.process = self.spawn([sys.executable, "-m", "ingestd", "run", "-c", str(config), *sets], log)
        if ready:
            self.wait_ready()
        return self

    def spawn(self, command: list[str], log: IO[str]) -> subprocess.Popen[str]:
        """Run `command` as the daemon."""
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True, start_new_session=True
        )

    def wait_ready(self) -> None:
        path = self.folder / "state" / "ingestd.json"

        def announced() -> dict[str, Any] | None:
            assert self.process.poll() is None, f"the daemon ended:\n{self.log.read_text()}"
            if path.exists():
                state: dict[str, Any] = json.loads(path.read_text())
                if state["pid"] == self.process.pid:
                    return state
            return None

        state = wait_for(announced, "the daemon's ingestd.json")
        self.tcp, self.udp, self.http = (_address(state[key]) for key in ("tcp", "udp", "http"))

    def stop(self, signal_: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal_)
        return self.process.wait(PATIENCE_S)

    def kill_tree(self) -> None:
        """SIGKILL to every process of it at once, as a crash of the machine would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            code = self.stop()
        except subprocess.TimeoutExpired:
            self.kill_tree()
            raise
        if kind is None:
            assert code == 0, self.log.read_text()

    def connect(self, **tls: Any) -> socket.socket:
        """A connection to the TCP port, through TLS where the daemon has a certificate."""
        plain = socket.create_connection(self.tcp, timeout=PATIENCE_S)
        if self.certs is None:
            return plain
        context = ssl.create_default_context(cafile=self.certs / "ca.crt")
        for name, value in tls.items():
            setattr(context, name, value)
        return context.wrap_socket(plain, server_hostname="localhost")

    def send(self, data: bytes) -> None:
        """One connection that sends `data` and ends cleanly."""
        with self.connect() as sock:
            sock.sendall(data)
            if isinstance(sock, ssl.SSLSocket):
                sock = sock.unwrap()
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass

    def get(self, path: str) -> bytes:
        """A page of the sidecar."""
        host, port = self.http
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=PATIENCE_S) as answer:
            body: bytes = answer.read()
        return body

    def stats(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.get("/api/stats"))
        return answer

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry `labels`, 0 where there is none."""
        total = 0.0
        for line in self.get("/metrics").decode().splitlines():
            head, _, value = line.rpartition(" ")
            if head.partition("{")[0] == name and all(
                f'{key}="{value_}"' in head for key, value_ in labels.items()
            ):
                total += float(value)
        return total

    def records(self) -> list[dict[str, Any]]:
        """Every record on disk, open segments included."""
        return [json.loads(line) for line in self.records_text()]

    def records_text(self) -> list[bytes]:
        """Every line on disk, as it is."""
        return [line for path in self.segments() for line in lines(path)]

    def segments(self) -> list[Path]:
        return sorted(self.data.glob("log_*.jsonl.zst*"))

    def rejects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for path in sorted(self.data.glob("rejects_*.zst")) for line in lines(path)]

    def wait_settled(self, received: int) -> dict[str, Any]:
        """Wait until `received` records came and none is in flight; the totals, in which the law holds."""

        def settled() -> dict[str, Any] | None:
            totals: dict[str, Any] = self.stats()["totals"]
            check_law(totals)
            return totals if totals["received"] >= received and totals["in_flight"] == 0 else None

        return wait_for(settled, f"{received} records to be settled")


def check_law(totals: dict[str, Any]) -> None:
    """received = written + rejected + dropped + in flight."""
    sides = totals["written"] + totals["rejected"] + totals["dropped"] + totals["in_flight"]
    assert totals["received"] == sides, totals


def lines(path: Path) -> Iterator[bytes]:
    """The lines of all complete frames of a segment, which may be closed and renamed in the meantime."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        file = path.with_name(path.name.removesuffix(".open")).open("rb")
    with file:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        content = reader.read()
    yield from content.splitlines()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
