"""Asking a daemon's /api, as clients of all kinds do."""

from __future__ import annotations

import http.client
import json
from typing import Any, NamedTuple

from tests.daemon import PATIENCE_S, Daemon

JSON = {"Content-Type": "application/json"}


class Answer(NamedTuple):
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(daemon: Daemon, path: str, method: str = "GET", body: object = None, **headers: str) -> Answer:
    """One request; a body that is no bytes is sent as JSON. Underscores in the names of headers are hyphens."""
    connection = http.client.HTTPConnection(*daemon.http, timeout=PATIENCE_S)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None and not isinstance(body, bytes):
        body, given = json.dumps(body).encode(), JSON | given
    try:
        connection.request(method, path, body, given)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    finally:
        connection.close()


def silence(daemon: Daemon, duration: str = "1h", **matchers: str) -> str:
    """Begin a silence; its id."""
    made = ask(daemon, "/api/silences", "POST", {"matchers": matchers, "duration": duration, "author": "ann"})
    assert made.status == 201, made.body
    id_: str = made.json["id"]
    return id_
