"""A webhook's receiver for tests: a real HTTP server on loopback that keeps what it gets, and misbehaves on demand."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self

from ingestd.alerts.notifiers.webhook import signature


class Received(NamedTuple):
    """One request."""

    at_s: float
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def notice(self) -> Any:
        return json.loads(self.body)

    def is_signed_by(self, secret: str) -> bool:
        timestamp = self.headers["Ingestd-Timestamp"]
        fresh = abs(time.time() - int(timestamp)) < 300
        return fresh and signature(secret, timestamp, self.body) == self.headers["Ingestd-Signature"]


class Hook:
    """The server. `status` is what it answers; while `holds` is set it answers nothing."""

    def __init__(self, certs: Path | None = None) -> None:
        self.received: list[Received] = []
        self.status = 200
        self.location = ""
        self.holds = threading.Event()
        self.released = threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.received.append(Received(time.time(), self.path, dict(self.headers), body))
                if hook.holds.is_set():
                    hook.released.wait(60)
                    return
                self.send_response(hook.status)
                if hook.location:
                    self.send_header("Location", hook.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certs is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certs / "server.crt", certs / "server.key")
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://localhost:{self._server.server_port}/hook?key=31337"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def notices(self) -> list[Any]:
        return [each.notice for each in tuple(self.received)]

    def states(self, rule: str) -> list[str]:
        """The status of each notice about a rule, in order."""
        return [each["status"] for each in self.notices() if each["commonLabels"].get("rule") == rule]
