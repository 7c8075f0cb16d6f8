"""Checking against a registry, the daemon's own, over HTTP: what fits, what does not, and who does not answer."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.loadgen.sink import Sink
from tests.registry.asked import Asked, serving
from tools.loadgen import schemas
from tools.loadgen.cli import main
from tools.loadgen.layouts import AVRO_SCHEMA, LAYOUTS
from tools.loadgen.transports import SetupError

PROTO = Path(__file__).parents[2] / "formats" / "schemas" / "log_entry.proto"
JSON_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["timestamp", "level", "service", "message"],
    "properties": {
        "level": {"enum": ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]},
        "seq": {"type": "integer", "minimum": 1_000_000_000},
    },
}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Asked]:
    with serving(tmp_path) as asked:
        yield asked


def register(registry: Asked, name: str, schema: object, kind: str) -> None:
    registry.post(f"/subjects/log_entry-{name}/versions", schema, kind)


def check(registry: Asked, *formats: str) -> list[str]:
    return schemas.check(registry.url, formats, "ab12cd34", 1)


def test_what_is_sent_fits_the_schemas_of_its_formats(registry: Asked) -> None:
    register(registry, "avro", AVRO_SCHEMA, "AVRO")
    register(registry, "json", JSON_SCHEMA, "JSON")
    register(registry, "protobuf", PROTO.read_text(), "PROTOBUF")
    said = dict(zip(LAYOUTS, check(registry, *LAYOUTS), strict=True))
    for name in ("avro", "json", "protobuf"):
        assert said[name] == f"600 {name} records fit log_entry-{name}@1 of {registry.url}"
    for name in ("raw", "syslog", "journald"):
        assert said[name] == f"{name} has no schema: its records are not checked"


def test_the_latest_version_counts(registry: Asked) -> None:
    register(registry, "avro", AVRO_SCHEMA, "AVRO")
    more = {"name": "zone", "type": "string", "default": "?"}
    register(registry, "avro", AVRO_SCHEMA | {"fields": [*AVRO_SCHEMA["fields"], more]}, "AVRO")
    assert "log_entry-avro@2" in check(registry, "avro")[0]


@pytest.mark.parametrize(
    ("name", "kind", "schema", "said"),
    [
        ("json", "JSON", {"properties": {"level": {"enum": ["INFO"]}}}, "/level: "),
        ("json", "JSON", {"required": ["tenant"]}, "the record: "),
        (
            "avro",
            "AVRO",
            {"type": "record", "name": "LogEntry", "fields": [{"name": "seq", "type": "string"}]},
            "do not fit",
        ),
        (
            "protobuf",
            "PROTOBUF",
            'syntax = "proto3"; message Entry { string timestamp = 1; int32 level = 2; }',
            "Entry has no field",
        ),
        ("protobuf", "PROTOBUF", 'syntax = "proto3"; enum Nothing { ZERO = 0; }', "cannot be used"),
    ],
)
def test_what_does_not_fit_is_said(registry: Asked, name: str, kind: str, schema: object, said: str) -> None:
    register(registry, name, schema, kind)
    with pytest.raises(SetupError, match=said) as raised:
        check(registry, name)
    assert f"log_entry-{name}@1 of {registry.url}" in str(raised.value)


def test_a_schema_of_another_type_is_refused(registry: Asked) -> None:
    register(registry, "json", AVRO_SCHEMA, "AVRO")
    with pytest.raises(SetupError, match="of the type AVRO: json needs JSON"):
        check(registry, "json")


def test_a_subject_that_is_missing_is_named(registry: Asked) -> None:
    with pytest.raises(SetupError, match="no subject log_entry-avro: register a schema of the type AVRO"):
        check(registry, "avro")


def test_nobody_there_and_no_url_are_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(SetupError, match=f"no registry answers at --registry {url}: .*refused"):
        schemas.check(url, ("json",), "r", 1)
    with pytest.raises(SetupError, match="a URL is wanted"):
        schemas.check("localhost:8080", ("json",), "r", 1)


@pytest.mark.parametrize(
    ("status", "body"), [(404, "<html>"), (200, "<html>"), (200, "[]"), (200, '{"schema": 3}')]
)
def test_another_server_is_no_registry(status: int, body: str) -> None:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(SetupError, match="is no schema registry"):
                schemas.check(f"http://127.0.0.1:{server.server_port}", ("json",), "r", 1)
        finally:
            server.shutdown()
            thread.join()


def test_the_command_checks_before_it_sends(registry: Asked) -> None:
    with Sink() as sink:
        options = [
            "--tcp-port",
            str(sink.port),
            "--plain",
            "--count",
            "10",
            "--json",
            "--registry",
            registry.url,
        ]
        refused = CliRunner().invoke(main, options)
        assert (refused.exit_code, sink.received) == (1, [])
        assert "no subject log_entry-json" in refused.stderr
        register(registry, "json", JSON_SCHEMA, "JSON")
        done = CliRunner().invoke(main, options)
    assert done.exit_code == 0, done.stderr
    assert "records fit log_entry-json@1" in done.stderr
    assert json.loads(done.stdout)["sent"] == 10
