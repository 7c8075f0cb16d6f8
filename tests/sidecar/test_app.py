"""The HTTP surface, asked over HTTP."""

from __future__ import annotations

import socket
import time

import pytest

from ingestd.sidecar.app import prefers_json
from ingestd.stats import HEARTBEAT, STARTING, STATE
from tests.sidecar.served import Served, Workers, make_view
from tests.sidecar.test_report import assert_law

PATHS = ("/", "/metrics", "/api/stats", "/api/history?resolution=1s", "/api/config", "/healthz", "/readyz")
FILES = ("/dashboard/style.css", "/dashboard/main.js", "/dashboard/vendor/uPlot/uPlot.esm.js")


@pytest.mark.parametrize("path", [*PATHS, *FILES, "/missing"])
def test_every_answer_is_guarded_and_gives_nothing_away(served: Served, path: str) -> None:
    answer = served.get(path)
    assert answer.status == (404 if path == "/missing" else 200)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == ("no-cache" if path == "/" or path in FILES else "no-store")
    assert answer.headers["Server"] == "ingestd"


@pytest.mark.parametrize("path", [*PATHS, *FILES])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(served: Served, path: str, method: str) -> None:
    answer = served.get(path, method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET,HEAD"
    assert len(answer.body) < 200


def test_head_has_no_body(served: Served) -> None:
    answer = served.get("/metrics", "HEAD")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/missing",
        "/metrics/",
        "/../view.py",
        "/dashboard/",
        "/dashboard/index.html",
        "/dashboard/__init__.py",
        "/%00",
        "/a" * 1000,
    ],
)
def test_an_unknown_path_is_told_briefly(served: Served, path: str) -> None:
    answer = served.get(path)
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert len(answer.body) < 200


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", True),
        ("Application/JSON; q=0.5, */*;q=0.1", True),
        ("application/json, text/plain, */*", True),
        ("application/json;q=0.4, text/plain;q=0.5", False),
        ("application/json;q=0", False),
        ("application/json;q=x", False),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
    ],
)
def test_who_gets_json(accept: str, json: bool) -> None:
    assert prefers_json(accept) is json


def test_metrics_as_json_are_the_statistics(served: Served) -> None:
    answer = served.get("/metrics", Accept="application/json")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Vary"] == "Accept"
    assert_law(answer.json())
    assert answer.json().keys() == served.get("/api/stats").json().keys()
    assert served.get("/metrics", Accept="*/*").text.startswith("# HELP")


def test_health_follows_the_supervisor(workers: Workers, listener: socket.socket) -> None:
    with Served(workers.board, make_view(heartbeat_timeout_s=600.0), listener) as served:
        assert served.get("/healthz").json() == {"status": "ok"}
        workers.board.supervisor[HEARTBEAT] = time.monotonic_ns() - 700_000_000_000
        answer = served.get("/healthz")
        assert answer.status == 503
        assert answer.json()["reason"].startswith("the supervisor has given no heartbeat for 700.")
        assert served.get("/readyz").json()["reasons"].keys() == {"supervisor"}


def test_readiness_says_who_is_not_ready_and_why(workers: Workers, served: Served) -> None:
    assert served.get("/readyz").json() == {"status": "ready"}
    workers.board.slot(0)[STATE] = STARTING
    workers.end(1)
    answer = served.get("/readyz")
    assert answer.status == 503
    reasons = answer.json()["reasons"]
    assert reasons["worker 0"] == "starting"
    assert reasons["worker 1"].endswith("is gone")
    assert served.get("/healthz").status == 200, "a worker's trouble is no reason to restart the daemon"


def test_a_stranger_s_name_is_not_answered(served: Served) -> None:
    answer = served.get("/api/stats", Host="rebound.example.com")
    assert answer.status == 421
    assert b"received" not in answer.body
    assert served.get("/api/stats", Host="box.example.org:1").status == 200


def test_a_request_without_a_host_is_answered(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert client.makefile("rb").read().startswith(b"HTTP/1.0 200 OK\r\n")


@pytest.mark.parametrize(
    "request_bytes",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n"],
    ids=["tls", "bad header"],
)
def test_what_is_not_http_is_refused_and_no_line_in_the_log(
    served: Served, request_bytes: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as client:
        client.sendall(request_bytes)
        reply = client.makefile("rb").read()
    assert reply.startswith(b"HTTP/1.0 400 ")
    assert b"Python" not in reply
    assert b"aiohttp" not in reply
    assert served.get("/healthz").status == 200
    assert capfd.readouterr() == ("", "")
