"""Asking a daemon: found, trusted, or said why not, against real servers on loopback."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ingestd.ask import AskError, Daemon, NotRunningError, RefusedError, SilentError, StuckError, parse_url
from ingestd.certs import make
from tests.daemon import Daemon as RunningDaemon


class Answers(BaseHTTPRequestHandler):
    """What tests ask for, by path."""

    def do_GET(self) -> None:
        status, body, headers = {
            "/json": (200, b'{"a": 1}', {}),
            "/text": (200, b"<html>", {}),
            "/refused": (400, b'{"reason": "such a \\u001b[31m query"}', {}),
            "/elsewhere": (302, b"", {"Location": "/json"}),
            "/echo": (200, json.dumps(dict(self.headers)).encode(), {}),
        }[self.path.partition("?")[0]]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@contextmanager
def serving(cert: Path | None = None, key: Path | None = None) -> Iterator[str]:
    """A server for the time of the context; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        if cert is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def announced(folder: Path, http: str, pid: int | None = None) -> Path:
    path = folder / "ingestd.json"
    path.write_text(json.dumps({"pid": os.getpid() if pid is None else pid, "http": http}))
    return path


def free_address() -> str:
    """Where nobody listens: a port that was just given back."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        return f"127.0.0.1:{server.server_address[1]}"


def ended_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_through_the_state_file_and_by_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serving() as address:
        found = Daemon(announced(tmp_path, address))
        assert found.ask("/json") == {"a": 1}
        everywhere = Daemon(announced(tmp_path, address.replace("127.0.0.1", "0.0.0.0")))
        assert everywhere.ask("/json", limit="1 2") == {"a": 1}
        assert Daemon(tmp_path / "none", url=f"http://{address}/").ask("/json") == {"a": 1}


def test_the_token_is_shown_and_goes_nowhere_else(tmp_path: Path) -> None:
    with serving() as address:
        daemon = Daemon(announced(tmp_path, address), token="secret")
        assert daemon.ask("/echo")["Authorization"] == "Bearer secret"
        with pytest.raises(RefusedError, match="302") as refused:
            daemon.ask("/elsewhere")
        assert refused.value.status == 302


def test_what_is_no_daemon(tmp_path: Path) -> None:
    with serving() as address:
        daemon = Daemon(announced(tmp_path, address))
        with pytest.raises(AskError, match="is no ingestd: its answer is not JSON"):
            daemon.ask("/text")
        with pytest.raises(RefusedError) as refused:
            daemon.ask("/refused")
        assert str(refused.value) == rf"http://{address} answered 400 Bad Request: such a \x1b[31m query"


def test_not_running(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match=r"there is no .*ingestd\.json; name its configuration with -c"):
        Daemon(tmp_path / "ingestd.json").ask("/json")
    with pytest.raises(NotRunningError, match=r"process \d+ of .* is gone"):
        Daemon(announced(tmp_path, free_address(), ended_pid())).ask("/json")
    with pytest.raises(NotRunningError, match="is gone"):
        Daemon(announced(tmp_path, free_address(), 0)).ask("/json")
    assert NotRunningError.exit_code == 3


def test_there_and_silent(tmp_path: Path) -> None:
    with pytest.raises(StuckError, match=r"process \d+ runs, but no answer comes from http://127.*refused"):
        Daemon(announced(tmp_path, free_address())).ask("/json")
    with pytest.raises(SilentError, match=r"no answer from http://127.*refused; is this its address"):
        Daemon(tmp_path, url=f"http://{free_address()}").ask("/json")


@pytest.mark.parametrize("content", ["", "[]", '{"pid": "x", "http": ""}', '{"pid": 1}'])
def test_a_state_file_of_somebody_else(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ingestd.json"
    path.write_text(content)
    with pytest.raises(AskError, match="is not what a daemon writes"):
        Daemon(path).ask("/json")


def test_tls_trusts_the_daemons_own_certificate_alone(tmp_path: Path) -> None:
    make(tmp_path / "certs")
    make(tmp_path / "others")
    cert, key = tmp_path / "certs/server.crt", tmp_path / "certs/server.key"
    with serving(cert, key) as address:
        path = announced(tmp_path, address)
        assert Daemon(path, certificate=cert).ask("/json") == {"a": 1}
        with pytest.raises(AskError, match=r"shows another certificate than .*others/server\.crt.*SIGHUP"):
            Daemon(path, certificate=tmp_path / "others/server.crt").ask("/json")
        with pytest.raises(AskError, match="another certificate"):
            Daemon(path, certificate=tmp_path / "others/ca.crt").ask("/json")
        url = f"https://{address}"
        assert Daemon(path, url, ca=tmp_path / "certs/ca.crt").ask("/json") == {"a": 1}
        with pytest.raises(AskError, match=r"not trusted .*; give its CA with --ca"):
            Daemon(path, url).ask("/json")
        with pytest.raises(AskError, match=r"http\.cert .*server\.key: not a PEM certificate; give --ca"):
            Daemon(path, certificate=key).ask("/json")
        with pytest.raises(AskError, match=r"--ca .*: not a PEM file"):
            Daemon(path, url, ca=key).ask("/json")


def test_a_running_daemon(tmp_path: Path) -> None:
    with RunningDaemon(tmp_path, server__workers=1):
        assert Daemon(tmp_path / "state/ingestd.json").ask("/api/stats")["state"] == "ready"
    with pytest.raises(NotRunningError):
        Daemon(tmp_path / "state/ingestd.json").ask("/api/stats")


@pytest.mark.parametrize(
    "text", ["localhost:8080", "file:///etc", "http://", "http://a:x", "http://a:70000", ""]
)
def test_urls_of_no_use(text: str) -> None:
    with pytest.raises(ValueError, match="write it as http://host:port"):
        parse_url(text)
