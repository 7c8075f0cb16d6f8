"""Who looks on while a load runs: dashboards that are open, and a Prometheus that scrapes each second.

What they were told is counted, so that a figure of a daemon that nobody could watch is none.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final, Self

from benchmarks.daemon import PATIENCE_S

DASHBOARDS: Final = 5
SCRAPE_S: Final = 1.0

_EVENT: Final = b"event:"

#: How a daemon that is stopped ends what it is asked.
_GONE: Final = (OSError, http.client.HTTPException)


class Audience:
    """They look at the sidecar on `port` while this is entered."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        watching: list[Callable[[], None]] = [self._watch] * DASHBOARDS
        self._threads = [threading.Thread(target=look) for look in (*watching, self._scrape)]
        self.snapshots = 0
        self.scrapes = 0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)

    def _watch(self) -> None:
        connection = self._connect()
        with closing(connection), suppress(*_GONE):
            connection.request("GET", "/api/events")
            events = connection.getresponse()
            while not self._over.is_set() and (line := events.readline()):
                self.snapshots += line.startswith(_EVENT)

    def _scrape(self) -> None:
        connection = self._connect()
        with closing(connection), suppress(*_GONE):
            while not self._over.wait(SCRAPE_S):
                connection.request("GET", "/metrics")
                self.scrapes += b"ingestd_records_received_total" in connection.getresponse().read()


class Share:
    """The share of one core that a process uses from now to `end`. `run_s`: its CPU time so far."""

    def __init__(self, run_s: Callable[[], float]) -> None:
        self._run_s = run_s
        self._began_s, self._before_s = time.monotonic(), run_s()

    def end(self) -> float:
        return (self._run_s() - self._before_s) / (time.monotonic() - self._began_s)
