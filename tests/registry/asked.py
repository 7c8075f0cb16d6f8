"""A registry for tests: the real sidecar in a process of its own, over a database of its own, asked over HTTP."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingestd.registry import DATABASE, Settings
from tests.sidecar.served import Answer, Served, Workers, make_view

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"


class Asked:
    """A registry by its port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """One request; `body` is sent as JSON, bytes as they are."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = ({} if data is None else {"Content-Type": CONTENT_TYPE}) | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, data, {name: value for name, value in sent.items() if value})
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def post(self, path: str, schema: object, kind: str = "AVRO", **more: object) -> Any:
        """The decoded answer to a request with a schema, which may be given as its value."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        return self.ask("POST", path, {"schema": text, "schemaType": kind, **more}).json()

    def get(self, path: str) -> Any:
        return self.ask("GET", path).json()

    def delete(self, path: str) -> Any:
        return self.ask("DELETE", path).json()


@contextmanager
def serving(folder: Path, token: str = "", max_body_bytes: int = 1_000_000) -> Iterator[Asked]:
    """A registry whose database is in `folder`."""
    workers = Workers(1)
    settings = Settings(folder / DATABASE, token, max_body_bytes)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        view = make_view(registry=settings)
        try:
            with Served(workers.board, view, listener) as served:
                yield Asked(served.port)
        finally:
            workers.end_all()


def record(*fields: str, **more: object) -> dict[str, object]:
    """An Avro record; a field is written `name:type`, with `=` and a default in JSON where it has one."""
    made = []
    for field in fields:
        name, _, rest = field.partition(":")
        type_, equals, default = rest.partition("=")
        made.append({"name": name, "type": type_} | ({"default": json.loads(default)} if equals else {}))
    return {"type": "record", "name": "Order", "fields": made, **more}
