"""The service in a box, as its operator and its senders see it."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path
from typing import Any, Final

import zstandard

from tests.daemon import PATIENCE_S, wait_for
from tests.systemd.box import Box

TCP_PORT: Final = 3001
UDP_PORT: Final = 3002
HTTP_PORT: Final = 8080

DROP_INS: Final = "/etc/systemd/system/ingestd.service.d"
CONFIG: Final = "/etc/ingestd/ingestd.toml"
CERTIFICATES: Final = "/etc/ingestd/certs"


class Service:
    """`ingestd.service` in `box`."""

    def __init__(self, box: Box) -> None:
        self.box = box
        shown = box.run("journalctl", "--lines=0", "--show-cursor", "--no-pager")
        self._cursor = shown.rpartition("cursor: ")[2].strip()

    def systemctl(self, verb: str, *more: str, check: bool = True) -> str:
        return self.box.run("systemctl", verb, *more, "ingestd.service", check=check)

    def drop_in(self, text: str) -> None:
        """Add to the unit, as `systemctl edit` does."""
        self.box.put(f"{DROP_INS}/test.conf", text)
        self.box.run("systemctl", "daemon-reload")

    def clear(self) -> None:
        """As it was installed: not running, no drop-in, no failure remembered, nothing stored."""
        self.box.run("systemctl", "stop", "ingestd.socket", "ingestd.service", check=False)
        self.box.run("rm", "-rf", f"{DROP_INS}/test.conf", "/var/log/ingestd", "/var/lib/ingestd")
        self.box.run("systemctl", "daemon-reload")
        self.box.run("systemctl", "reset-failed")

    def property(self, name: str) -> str:
        return self.systemctl("show", f"--property={name}", "--value").strip()

    def number(self, name: str) -> int:
        return int(self.property(name))

    def kill(self, signal: str) -> None:
        """Send a signal to the supervisor."""
        assert self.number("MainPID") > 1
        self.systemctl("kill", f"--signal={signal}", "--kill-who=main")

    def entries(self) -> list[dict[str, Any]]:
        """What its journal has since this was made."""
        command = ["journalctl", "--unit=ingestd.service", "--output=json", "--all", "--no-pager"]
        said = self.box.run(*command, *([f"--after-cursor={self._cursor}"] if self._cursor else []))
        return [json.loads(line) for line in said.splitlines() if line.startswith("{")]

    def connect(self) -> ssl.SSLSocket:
        """A sender's connection."""
        context = ssl.create_default_context(cadata=self.box.path(f"{CERTIFICATES}/ca.crt").read_text())
        return context.wrap_socket(self.box.connect(TCP_PORT), server_hostname="localhost")

    def send(self, text: str) -> None:
        """One record, on a connection of its own that ends cleanly."""
        finish(self.connect(), text)

    def get(self, path: str) -> bytes:
        """A page of the sidecar."""
        return self._ask(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")

    def _ask(self, request: str) -> bytes:
        with self.box.connect(HTTP_PORT) as sock:
            sock.sendall(request.encode())
            heard = b""
            while piece := sock.recv(1 << 16):
                heard += piece
        head, _, body = heard.partition(b"\r\n\r\n")
        assert head.split()[1] == b"200", heard.decode()
        return body

    def post(self, path: str, body: object) -> dict[str, Any]:
        """Send JSON to the sidecar; its answer, which must be good."""
        data = json.dumps(body)
        head = f"POST {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        answer: dict[str, Any] = json.loads(self._ask(f"{head}Content-Length: {len(data)}\r\n\r\n{data}"))
        return answer

    def stats(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.get("/api/stats"))
        return answer

    def wait_written(self, records: int) -> None:
        """Wait until the daemon that runs has put so many on disk."""
        wait_for(lambda: self.stats()["totals"]["written"] >= records, f"{records} records to be written")

    def messages(self) -> list[str]:
        """The messages of all stored records."""
        folder = self.box.path("/var/log/ingestd")
        return [message for path in sorted(folder.glob("log_*.jsonl.zst*")) for message in _messages(path)]


def finish(sock: ssl.SSLSocket, text: str) -> None:
    """Send one record, end the connection, and wait until the daemon has read it all."""
    sock.settimeout(PATIENCE_S)
    sock.sendall(json.dumps({"message": text}).encode() + b"\n")
    plain = sock.unwrap()
    plain.shutdown(socket.SHUT_WR)
    while plain.recv(1 << 16):
        pass
    plain.close()


def ready_workers(service: Service) -> set[int]:
    return {worker["pid"] for worker in service.stats()["workers"] if worker["state"] == "ready"}


def _messages(path: Path) -> list[str]:
    with path.open("rb") as file:
        content = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    return [json.loads(line)["message"] for line in content.splitlines()]
