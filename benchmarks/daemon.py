"""The daemon under measurement: the real `ingestd run`, started as a user starts it, on free loopback ports.

`Daemon` is a context manager; at its end the daemon is stopped and must exit 0, for a figure of a daemon that failed
is none. `Use` is what its workers used while a load lasted.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar

from benchmarks import procfs
from benchmarks.errors import BenchmarkError

#: How long the daemon may take to start, to settle, to stop.
PATIENCE_S: Final = 120.0

WORKERS: Final = 2

#: Histograms of the daemon on /metrics, in seconds: of records from receipt to disk, and of the `fdatasync` calls.
LATENCY: Final = "ingestd_write_latency_seconds"
SYNC: Final = "ingestd_sync_duration_seconds"

T = TypeVar("T")


class Use(NamedTuple):
    """What all workers used so far."""

    process: procfs.Cpu
    loop: procfs.Cpu

    def since(self, before: Use) -> Use:
        return Use(self.process.since(before.process), self.loop.since(before.loop))

    @property
    def writer(self) -> procfs.Cpu:
        """All that is not the event loop's thread: the writer's, for a worker has no third one that works."""
        return self.process.since(self.loop)


class Daemon:
    """One daemon with a folder of its own. `settings` are `section.key` and value, over the benchmark's defaults.

    `document` is its configuration file.
    """

    def __init__(self, folder: Path, certs: Path, document: str = "", **settings: object) -> None:
        self._document = document
        self.folder = folder
        self.data = folder / "data"
        self._log = folder / "daemon.log"
        self._settings: dict[str, object] = {
            "server.workers": WORKERS,
            "server.data_dir": self.data,
            "server.state_dir": folder / "state",
            "listen.tcp.port": 0,
            "listen.tcp.cert": certs / "server.crt",
            "listen.tcp.key": certs / "server.key",
            "listen.udp.port": 0,
            "http.port": 0,
            "enrich.environment": "production",
            "enrich.app_version": "1.0.0",
        } | {key.replace("__", "."): value for key, value in settings.items()}
        self.startup_s = 0.0
        self._process: subprocess.Popen[bytes]
        self._ports: dict[str, str]

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        config = self.folder / "ingestd.toml"
        config.write_text(self._document)
        sets = [f"--set={key}={value}" for key, value in self._settings.items()]
        command = [sys.executable, "-m", "ingestd", "run", "-c", str(config), *sets]
        with self._log.open("wb") as log:
            begun_s = time.monotonic()
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._ports = wait_for(self._announced, "the daemon to be ready", pause_s=0.002)
        except BaseException:
            self._kill()
            raise
        self.startup_s = time.monotonic() - begun_s
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._kill()
        else:
            self.stop()

    def stop(self) -> None:
        """SIGTERM, and wait; again it does nothing. BenchmarkError: it did not exit 0."""
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._kill()
            raise BenchmarkError(f"ingestd did not stop within {PATIENCE_S:.0f} s:\n{self.said()}") from None
        if code != 0:
            raise BenchmarkError(f"ingestd exited {code}:\n{self.said()}")

    def _kill(self) -> None:
        """The whole session: the supervisor and its children."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def said(self) -> str:
        """The last lines of its log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])

    def _announced(self) -> dict[str, str] | None:
        if self._process.poll() is not None:
            raise BenchmarkError(f"ingestd did not start:\n{self.said()}")
        path = self.folder / "state" / "ingestd.json"
        return json.loads(path.read_text()) if path.exists() else None

    def port(self, name: str) -> int:
        """Of `tcp`, `udp` or `http`."""
        return int(self._ports[name].rpartition(":")[2])

    def stats(self) -> dict[str, Any]:
        """/api/stats."""
        answer: dict[str, Any] = json.loads(self._get("/api/stats"))
        return answer

    def buckets(self, family: str) -> dict[float, float]:
        """Upper bound in seconds to cumulative count, from a histogram on /metrics."""
        head = f'{family}_bucket{{le="'
        rows = [line for line in self._get("/metrics").decode().splitlines() if line.startswith(head)]
        return {float(row[len(head) :].partition('"')[0]): float(row.rpartition(" ")[2]) for row in rows}

    def _get(self, path: str) -> bytes:
        url = f"http://127.0.0.1:{self.port('http')}{path}"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            body: bytes = answer.read()
        return body

    def worker_pids(self) -> list[int]:
        return [worker["pid"] for worker in self.stats()["workers"]]

    def sidecar_pid(self) -> int:
        """Of the newest child of the supervisor that is no worker."""
        supervisor = self._process.pid
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        return max(set(map(int, children)) - set(self.worker_pids()))

    def use(self) -> Use:
        """What the workers used since they began."""
        process = loop = procfs.NOTHING
        for pid in self.worker_pids():
            process = process.plus(procfs.cpu(pid))
            loop = loop.plus(procfs.main_thread_cpu(pid))
        return Use(process, loop)

    def peak_rss_bytes(self) -> int:
        """Of the largest worker."""
        return max(procfs.peak_rss_bytes(pid) for pid in self.worker_pids())

    def settle(self) -> dict[str, Any]:
        """Wait until nothing moves any more and nothing is in flight; /api/stats then.

        The pause is longer than a heartbeat, with which the kernel's drops are counted.
        """
        last: tuple[int, int] | None = None

        def settled() -> dict[str, Any] | None:
            nonlocal last
            stats = self.stats()
            before, last = last, (stats["totals"]["received"], stats["udp"]["kernel_drops"])
            return stats if before == last and stats["totals"]["in_flight"] == 0 else None

        return wait_for(settled, "the daemon to write what it received", pause_s=0.7)


def wait_for(condition: Callable[[], T | None], what: str, pause_s: float = 0.05) -> T:
    """The first value of `condition` that is not None. BenchmarkError: none came in time."""
    deadline_s = time.monotonic() + PATIENCE_S
    while (value := condition()) is None:
        if time.monotonic() > deadline_s:
            raise BenchmarkError(f"waited {PATIENCE_S:.0f} s for {what}")
        time.sleep(pause_s)
    return value
