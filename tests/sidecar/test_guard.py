"""Who may look: tokens over HTTP, what stays open, and what is counted."""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ingestd.registry import DATABASE, Settings
from ingestd.tokens import make_token
from tests.sidecar.served import Answer, Served, Workers, make_view

WRITER = "the registry's own"


class Guarded(NamedTuple):
    served: Served
    secret: str

    def get(self, path: str, authorization: str = "", method: str = "GET") -> Answer:
        return self.served.get(path, method, **{"Authorization": authorization} if authorization else {})

    def failures(self) -> list[float]:
        samples = self.get("/metrics", f"Bearer {self.secret}").samples()
        return [
            samples[f'ingestd_http_auth_failures_total{{reason="{reason}"}}']
            for reason in ("no_token", "unknown_token")
        ]


@pytest.fixture
def guarded(tmp_path: Path, workers: Workers, listener: socket.socket) -> Iterator[Guarded]:
    secret, line = make_token("prometheus")
    (tmp_path / "tokens").write_text(line)
    view = make_view(
        tokens_file=str(tmp_path / "tokens"), registry=Settings(tmp_path / DATABASE, WRITER, 1_000_000)
    )
    with Served(workers.board, view, listener) as served:
        yield Guarded(served, secret)


def basic(password: str) -> str:
    return "Basic " + b64encode(f"anybody:{password}".encode()).decode()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/dashboard/main.js",
        "/api/config",
        "/metrics",
        "/api/stats",
        "/subjects",
        "/missing",
    ],
)
def test_all_but_the_health_checks_needs_a_token(guarded: Guarded, path: str) -> None:
    refused = guarded.get(path)
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert refused.headers["Cache-Control"] == "no-store"
    assert refused.text == "401 Unauthorized\n"
    expected = 404 if path == "/missing" else 200
    for authorization in (f"Bearer {guarded.secret}", basic(guarded.secret), f"Bearer {WRITER}"):
        assert guarded.get(path, authorization).status == expected


def test_the_health_checks_are_open(guarded: Guarded) -> None:
    assert guarded.get("/healthz").status == guarded.get("/readyz").status == 200
    assert guarded.get("/healthz", method="HEAD").status == 200
    assert guarded.get("/healthz/").status == guarded.get("//healthz").status == 401


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer x", "Basic !", "Digest x", "Bearer \xff", "Bearer ingestd_"]
)
def test_a_wrong_token_is_counted(guarded: Guarded, authorization: str) -> None:
    for _ in range(3):
        assert guarded.get("/metrics", authorization).status == 401
    guarded.get("/metrics")
    assert guarded.failures() == [1, 3]


def test_a_token_that_reads_does_not_write(guarded: Guarded) -> None:
    path, delete = "/config/x", "DELETE"
    assert guarded.get(path, f"Bearer {guarded.secret}", delete).status == 401
    assert guarded.get(path, f"Bearer {WRITER}", delete).status != 401
    assert guarded.failures() == [0, 1]


def test_tokens_come_and_go(guarded: Guarded, tmp_path: Path) -> None:
    secret, line = make_token("other")
    (tmp_path / "tokens").write_text(line + "\n")
    assert guarded.get("/metrics", f"Bearer {secret}").status == 200
    assert guarded.get("/metrics", f"Bearer {guarded.secret}").status == 401


def test_whoever_shows_a_token_may_ask_by_any_name(guarded: Guarded) -> None:
    headers = {"Host": "logs.example.com:8080", "Authorization": f"Bearer {guarded.secret}"}
    assert guarded.served.get("/api/stats", **headers).status == 200
    assert guarded.served.get("/api/stats", Host="logs.example.com").status == 401
