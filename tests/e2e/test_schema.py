"""Validation in a running daemon: by default, by header, by service; and a schema that changes while records come."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import PATIENCE_S, Daemon, wait_for

#: Within which a new version is live, as documented.
TAKE_UP_S = 2.0

SCHEMA = {
    "type": "object",
    "required": ["order"],
    "properties": {"order": {"type": "object", "properties": {"id": {"type": "integer", "minimum": 1}}}},
    "additionalProperties": False,
}


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def register(daemon: Daemon, subject: str, schema: object, kind: str = "JSON") -> None:
    """Make a schema the next version of a subject, whatever the versions before were."""
    host, port = daemon.http
    for method, path, body in (
        ("PUT", f"/config/{subject}", {"compatibility": "NONE"}),
        ("POST", f"/subjects/{subject}/versions", {"schema": json.dumps(schema), "schemaType": kind}),
    ):
        request = urllib.request.Request(
            f"http://{host}:{port}{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            assert answer.status == 200


def answer(daemon: Daemon, data: bytes) -> bytes:
    """What the daemon says to a sender until it closes."""
    parts = []
    with daemon.connect() as sock:
        sock.sendall(data)
        while part := sock.recv(4096):
            parts.append(part)
    return b"".join(parts)


def send_as(daemon: Daemon, schema: str, data: bytes) -> None:
    """Send under a schema, once all workers have taken it up: until then they refuse the header."""

    def accepted() -> bool:
        """Connections go to the worker with fewest of them: open at once, they ask every worker."""
        with ExitStack() as stack:
            socks = [stack.enter_context(daemon.connect()) for _ in range(4)]
            for sock in socks:
                sock.sendall(f"INGEST/1 json schema={schema}\n".encode())
                sock.shutdown(1)
            return not any(sock.recv(4096) for sock in socks)

    wait_for(accepted, f"the schema {schema}")
    daemon.send(f"INGEST/1 json schema={schema}\n".encode() + data)


def messages(daemon: Daemon) -> set[Any]:
    return {record["message"] for record in daemon.records()}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, server__workers=1, schema__services__billing="bills") as running:
        yield running


def test_a_timestamp_out_of_the_window_is_rejected_and_its_neighbours_stored(daemon: Daemon) -> None:
    daemon.send(
        line(message="one")
        + line(message="late", timestamp="2999-01-01T00:00:00Z")
        + line(message="old", timestamp="1970-01-01T00:00:00Z")
    )
    totals = daemon.wait_settled(3)
    assert (totals["written"], totals["rejected"]) == (2, 1)
    assert messages(daemon) == {"one", "old"}
    (reject,) = wait_for(daemon.rejects, "the reject")
    assert reject["reason"] == "schema"
    assert reject["detail"].startswith(
        "record /timestamp: rule schema.max_future: 2999-01-01T00:00:00.000000Z"
    )
    assert json.loads(reject["data"])["message"] == "late"
    assert daemon.metric("ingestd_records_rejected_total", reason="schema", format="json") == 1


def test_text_of_syslog_and_journals_is_kept(daemon: Daemon) -> None:
    name = "n" * 300
    daemon.send(
        b"<12>1 2999-01-01T00:00:00Z h app - - - late\n"
        b"<12>Nov 20 12:00:00 h app: good\n"
        b'{"__REALTIME_TIMESTAMP":"1763640000000000","SYSLOG_IDENTIFIER":"%b","MESSAGE":"long"}\n'
        % name.encode()
    )
    totals = daemon.wait_settled(3)
    assert (totals["written"], totals["rejected"]) == (3, 0)
    records = {record["message"]: record for record in daemon.records()}
    late, long = records["late"], records["long"]
    assert (late["service"], late["level"], late["format"]) == ("app", "WARN", "syslog")
    assert late["timestamp"] == late["received_at"]
    assert late["original.timestamp"] == "2999-01-01T00:00:00.000000Z"
    assert late["parse_error"].startswith("schema: record /timestamp: rule schema.max_future: 2999-01-01T")
    assert (long["service"], long["original.service"]) == (name[:255], name)
    assert (long["timestamp"], long["format"]) == ("2025-11-20T12:00:00.000000Z", "journald")
    assert "parse_error" not in records["good"]


def test_a_connection_names_its_schema(daemon: Daemon) -> None:
    register(daemon, "orders", SCHEMA)
    send_as(
        daemon,
        "orders",
        line(message="good", order={"id": 1})
        + line(message="bad", order={"id": 0})
        + line(message="more", order={}, colour="red")
        + line(message="fine", order={}),
    )
    daemon.wait_settled(4)
    assert messages(daemon) == {"good", "fine"}
    wait_for(lambda: len(daemon.rejects()) == 2, "two rejects")
    by_message = {json.loads(reject["data"])["message"]: reject["detail"] for reject in daemon.rejects()}
    assert by_message["bad"].startswith("orders@1 /order/id: rule /properties/order/properties/id/minimum: ")
    assert by_message["more"].startswith("orders@1 /: rule /additionalProperties: ")


def test_an_unknown_schema_is_told_and_closed(daemon: Daemon) -> None:
    register(daemon, "avro-orders", "string", "AVRO")
    for name in ("nobody", "avro-orders", "nobody@3"):
        said = answer(daemon, f"INGEST/1 json schema={name}\n".encode() + line(message="x"))
        assert said == f"ERR unknown schema {name}: no JSON schema of the registry\n".encode()
    assert daemon.stats()["totals"]["received"] == 0


def test_a_service_has_its_schema(daemon: Daemon) -> None:
    """Before it is registered its records are stored unchecked; other services are never concerned."""
    daemon.send(line(message="before", service="billing"))
    daemon.wait_settled(1)
    register(daemon, "bills", SCHEMA)

    def refused() -> bool:
        daemon.send(line(message="probe", service="billing"))
        return daemon.metric("ingestd_records_rejected_total", reason="schema") > 0

    wait_for(refused, "the schema of the service")
    daemon.send(
        line(message="bad", service="billing")
        + line(message="other", service="web")
        + line(message="good", service="billing", order={})
    )
    wait_for(lambda: {"before", "other", "good"} <= messages(daemon), "the good ones")
    assert "bad" not in messages(daemon)


def test_a_new_version_is_taken_up_under_load_and_nothing_is_lost(tmp_path: Path) -> None:
    """In every worker, by a schema without a Struct; each record is stored or rejected.

    The two seconds are of a machine that can start a process at once, which is what registering takes under this load.
    """
    stop = threading.Event()
    block = b"".join(line(message="m", number=number, level="INFO", service="a") for number in range(500))
    sent = [0] * 3

    with Daemon(tmp_path, server__workers=2) as daemon:
        register(daemon, "load", {"required": ["number"], "minProperties": 1})
        send_as(daemon, "load", b"")

        def send(at: int) -> None:
            with daemon.connect() as sock:
                sock.sendall(b"INGEST/1 json schema=load\n")
                while not stop.is_set():
                    sock.sendall(block)
                    sent[at] += 500
                sock.shutdown(1)
                assert sock.recv(1) == b""

        senders = [threading.Thread(target=send, args=(at,)) for at in range(len(sent))]
        for sender in senders:
            sender.start()

        def rejected_by_worker() -> list[int]:
            return [worker["totals"]["rejected"] for worker in daemon.stats()["workers"]]

        try:
            wait_for(lambda: daemon.stats()["totals"]["written"] > 1_000, "a load")
            assert rejected_by_worker() == [0, 0]
            asked_s = time.monotonic()
            register(daemon, "load", {"required": ["never"], "minProperties": 1})
            began_s = time.monotonic()
            wait_for(lambda: all(rejected_by_worker()), "the new version in both workers")
            took_s = time.monotonic() - began_s
        finally:
            stop.set()
            for sender in senders:
                sender.join()
        totals = daemon.wait_settled(sum(sent))
        assert totals["received"] == sum(sent) == totals["written"] + totals["rejected"]
        assert len(daemon.records_text()) == totals["written"]
    assert took_s < TAKE_UP_S + began_s - asked_s
