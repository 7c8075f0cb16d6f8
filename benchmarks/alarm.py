"""How long it takes from a record that an alert rule waits for to the call of its webhook, at full load.

    python -m benchmarks.alarm [--seconds N] [--rate N]

The daemon has the twenty rules of rules.py and one for what is sent here beside loadgen, unpaced: ten records a second
on a connection of their own, each of another service and so an alert of its own, told by a notice of its own. The time
counts from before the record is sent until the webhook, a server on loopback, has read the notice.
"""

from __future__ import annotations

import argparse
import json
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from benchmarks import rules
from benchmarks.daemon import PATIENCE_S, Daemon, wait_for
from benchmarks.load import Offer, Sent, Target, send
from benchmarks.outcome import Alarm
from ingestd import certs

INTERVAL_S: Final = 0.1

#: loadgen's load begins this long before the first of them and ends as long after the last.
_MARGIN_S: Final = 1.0

_RULE: Final = "needle"


def document(port: int) -> str:
    """The rules, and whom to tell, as a part of a configuration file."""
    return f"""{rules.document()}
[[alert]]
name = "{_RULE}"
kind = "match"
level = "FATAL"
pattern = "^needle [0-9]+$"
group_by = ["rule", "service"]

[[notifier]]
name = "bench"
kind = "webhook"
url = "http://127.0.0.1:{port}/"
"""


class Webhook(ThreadingHTTPServer):
    """Notes when it was first told of each service (CLOCK_MONOTONIC, s)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told_s: dict[str, float] = {}


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        notice = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        now_s = time.monotonic()
        for alert in notice["alerts"]:
            if alert["labels"]["rule"] == _RULE:
                self.server.told_s.setdefault(alert["labels"]["service"], now_s)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """The base class writes a line for each request."""


@contextmanager
def _webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def measure(folder: Path, made: Path, seconds: float, rate: int = 0) -> Alarm:
    """Send for so long, beside a load of `rate` records/s, 0 for unpaced; `made` is a folder of `ingestd certs`."""
    with _webhook() as webhook, Daemon(folder / "alarm", made, document(webhook.server_port)) as daemon:
        port = daemon.port("tcp")
        target = Target("tls", port, made / "ca.crt")
        offer = Offer(seconds + 2 * _MARGIN_S, rate)
        with ThreadPoolExecutor(1) as pool:
            load: Future[Sent] = pool.submit(send, target, "json", offer, folder / "alarm.json")
            time.sleep(_MARGIN_S)
            sent_s = _needles(port, made, seconds)
            beside_per_s = load.result().rate
        wait_for(lambda: webhook.told_s.keys() >= sent_s.keys() or None, "all notices")
        waits_s = sorted(webhook.told_s[service] - at_s for service, at_s in sent_s.items())
    return Alarm(
        beside_per_s=beside_per_s,
        alerts=len(waits_s),
        p50_s=waits_s[len(waits_s) // 2],
        p99_s=waits_s[int(0.99 * len(waits_s))],
        most_s=waits_s[-1],
    )


def _needles(port: int, made: Path, seconds: float) -> dict[str, float]:
    """When each record was sent, by its service."""
    sent_s = {}
    context = ssl.create_default_context(cafile=made / "ca.crt")
    plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    with context.wrap_socket(plain, server_hostname="localhost") as sock:
        begun_s = time.monotonic()
        for number in range(int(seconds / INTERVAL_S)):
            time.sleep(max(0.0, begun_s + number * INTERVAL_S - time.monotonic()))
            service = f"needle-{number}"
            record = {"level": "FATAL", "service": service, "message": f"needle {number}"}
            sent_s[service] = time.monotonic()
            sock.sendall(json.dumps(record).encode() + b"\n")
    return sent_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument(
        "--rate", type=int, default=0, help="records/s beside it; 0: as fast as they are read"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ingestd-bench-") as name:
        folder = Path(name)
        certs.make(folder / "certs")
        found = measure(folder, folder / "certs", options.seconds, options.rate)
    print(
        f"{found.alerts} alerts beside {found.beside_per_s:,.0f} records/s:  p50 {found.p50_s * 1e3:.0f} ms"
        f"  p99 {found.p99_s * 1e3:.0f} ms  at most {found.most_s * 1e3:.0f} ms"
    )


if __name__ == "__main__":
    main()
