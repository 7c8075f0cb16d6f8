"""TCP end to end: header, detection, enrichment, balance, backpressure, through the real daemon."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import Daemon, wait_for

RECORD = {
    "timestamp": "2026-11-20T12:00:00.000001Z",
    "level": "INFO",
    "service": "api",
    "message": "hello",
    "seq": 1,
}


def line(**changes: object) -> bytes:
    return json.dumps({**RECORD, **changes}).encode() + b"\n"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, certs: Path) -> Iterator[Daemon]:
    settings = {
        "enrich.environment": "test",
        "enrich.app_version": "1.2.3",
        "enrich.fields.region": "eu",
        "enrich.default_service": "nobody",
    }
    with Daemon(tmp_path_factory.mktemp("daemon"), certs, **settings) as daemon:
        yield daemon


def stored(daemon: Daemon, mark: str, count: int = 1) -> list[dict[str, object]]:
    """The records that carry `mark` in their message, once there are `count` of them."""

    def found() -> list[dict[str, object]]:
        return [record for record in daemon.records() if mark in str(record["message"])]

    wait_for(lambda: len(found()) >= count, f"{count} records with {mark}")
    return found()


def answer(sock: socket.socket) -> bytes:
    """All that the daemon says until it closes."""
    parts = []
    while part := sock.recv(4096):
        parts.append(part)
    return b"".join(parts)


def test_first_log_of_the_readme(daemon: Daemon) -> None:
    """What the README tells a newcomer to paste, by the real openssl."""
    host, port = daemon.tcp
    with subprocess.Popen(
        ["openssl", "s_client", "-quiet", "-connect", f"{host}:{port}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as client:
        assert client.stdin is not None
        client.stdin.write(b'{"level":"error","service":"api","message":"readme hi"}\n')
        client.stdin.flush()
        (record,) = stored(daemon, "readme hi")
        client.terminate()
    assert record["level"] == "ERROR"
    assert record["environment"] == "test"
    assert record["app_version"] == "1.2.3"
    assert record["region"] == "eu"
    assert record["hostname"] == socket.gethostname()
    assert record["source_ip"] == "127.0.0.1"
    assert record["format"] == "json"
    assert str(record["received_at"]).endswith("Z")
    assert record["timestamp"] == record["received_at"]


def test_sender_fields_are_kept_and_never_overwritten(daemon: Daemon) -> None:
    daemon.send(
        b"INGEST/1 json\n"
        + line(message="kept", hostname="mine", big=12345678901234567890123, nested={"a": [1]})
    )
    (record,) = stored(daemon, "kept")
    assert record["hostname"] == "mine"
    assert record["big"] == 12345678901234567890123
    assert record["nested"] == {"a": [1]}


def test_raw_by_header(daemon: Daemon) -> None:
    daemon.send(
        b"INGEST/1 raw\n2026-11-20 12:00:00,123 ERROR billing: raw by header\n{not json, still raw by header\n"
    )
    shaped, plain = sorted(stored(daemon, "raw by header", 2), key=lambda record: str(record["timestamp"]))
    assert (shaped["timestamp"], shaped["level"], shaped["service"]) == (
        "2026-11-20T12:00:00.123000Z",
        "ERROR",
        "billing",
    )
    assert (plain["level"], plain["service"], plain["format"]) == ("INFO", "nobody", "raw")


def test_auto_tells_lines_apart(daemon: Daemon) -> None:
    daemon.send(line(message="auto 1") + b"auto 2 plain\n" + b'{"broken": auto 3\n' + line(message="auto 4"))
    records = stored(daemon, "auto ", 4)
    formats = {str(record["message"])[:6]: record["format"] for record in records}
    assert formats["auto 1"] == formats["auto 4"] == "json"
    assert formats["auto 2"] == "raw"
    (broken,) = [record for record in records if "parse_error" in record]
    assert broken["message"] == '{"broken": auto 3'
    samples = daemon.stats()["samples"]
    assert {json.loads(samples[format_])["format"] for format_ in ("json", "raw")} == {"json", "raw"}


def test_last_record_without_newline(daemon: Daemon) -> None:
    daemon.send(line(message="unended 1") + line(message="unended 2").rstrip())
    assert len(stored(daemon, "unended", 2)) == 2


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"INGEST/1 gelf\n", b"ERR unsupported format gelf"),
        (b"INGEST/1 json ack=1\n", b"ERR ack=1 and client=<id> go together"),
        (b"INGEST/1 json color=red\n", b"ERR unknown key color"),
        (b"INGEST/2 json\n", b"ERR unsupported version 2"),
        (b"INGEST/1\n", b"ERR no format"),
        (b"INGEST/1 json " + b"x" * 600, b"ERR header longer than 512 bytes"),
    ],
)
def test_bad_header_is_told_and_closed(daemon: Daemon, header: bytes, said: bytes) -> None:
    with daemon.connect() as sock:
        sock.sendall(header)
        assert answer(sock).startswith(said)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_tls_versions(daemon: Daemon, version: str) -> None:
    import ssl

    chosen = getattr(ssl.TLSVersion, version)
    with daemon.connect(minimum_version=chosen, maximum_version=chosen) as sock:
        sock.sendall(line(message=f"over {version}"))
        assert stored(daemon, f"over {version}")


def test_few_connections_are_spread_evenly(daemon: Daemon) -> None:
    """Four long connections over two workers end 2:2, however the kernel's hash falls."""

    def open_now() -> list[int]:
        return [worker["connections"] for worker in daemon.stats()["workers"]]

    wait_for(lambda: open_now() == [0, 0], "the connections of other tests to be gone")
    for _ in range(5):
        socks = [daemon.connect() for _ in range(4)]
        for sock in socks:
            sock.sendall(b"INGEST/1 json\n")
        wait_for(lambda: sum(open_now()) == 4, "four connections")
        assert open_now() == [2, 2]
        for sock in socks:
            sock.close()
        wait_for(lambda: open_now() == [0, 0], "the connections to be gone")


def test_byte_by_byte(daemon: Daemon) -> None:
    data = b"INGEST/1 json\n" + line(message="bytewise 1") + line(message="bytewise 2")
    with daemon.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            sock.sendall(bytes([byte]))
        assert len(stored(daemon, "bytewise", 2)) == 2


def test_client_certificate_is_required_where_a_ca_is_given(tmp_path: Path, certs: Path) -> None:
    import ssl

    with Daemon(tmp_path, certs, **{"listen.tcp.client_ca": certs / "ca.crt"}) as daemon:
        with daemon.connect() as refused, pytest.raises((ssl.SSLError, OSError)):
            # TLS 1.3 tells the client only with its first read.
            refused.sendall(line(message="nobody"))
            assert refused.recv(1) == b""
            raise ConnectionResetError
        wait_for(
            lambda: daemon.metric("ingestd_connections_closed_total", reason="tls_error") == 1, "the refusal"
        )
        context = ssl.create_default_context(cafile=certs / "ca.crt")
        context.load_cert_chain(certs / "client.crt", certs / "client.key")
        with context.wrap_socket(socket.create_connection(daemon.tcp), server_hostname="localhost") as known:
            known.sendall(line(message="known"))
            daemon.wait_settled(1)
        assert [record["message"] for record in daemon.records()] == ["known"]


def test_paused_connection_that_ends_loses_nothing(tmp_path: Path, certs: Path) -> None:
    """The writer is the bottleneck (high zstd level, small buffer), and senders end while they are paused."""
    settings = {"segment.level": 15, "buffer.high_water": "300KB", "buffer.low_water": "100KB"}
    block = b"".join(line(seq=number, message=f"paused {number * 7919}") for number in range(20_000))
    with Daemon(tmp_path, certs, **settings) as daemon:
        for _ in range(3):
            daemon.send(b"INGEST/1 json\n" + block)
        totals = daemon.wait_settled(60_000)
        assert totals["written"] == 60_000
        assert daemon.metric("ingestd_backpressure_pauses_total") > 0
    assert len(daemon.records()) == 60_000
