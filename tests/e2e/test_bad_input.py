"""Hostile and broken senders: each is counted, the daemon serves others, no traceback, no line per bad record."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import Daemon, wait_for

HEADER = b"INGEST/1 json\n"
GOOD = b'{"message":"good"}\n'


@pytest.fixture
def daemon(tmp_path: Path, certs: Path) -> Iterator[Daemon]:
    settings = {
        "limits.header_timeout": "1s",
        "limits.idle_timeout": "20s",
        "limits.max_record_bytes": "1MB",
    }
    with Daemon(tmp_path, certs, **settings) as daemon:
        yield daemon
        daemon.send(GOOD)  # it still serves others
        daemon.wait_settled(1)
        log = daemon.log.read_text()
        assert "Traceback" not in log
        assert log.count("\n") < 40, log


def closed(daemon: Daemon, reason: str) -> float:
    return daemon.metric("ingestd_connections_closed_total", reason=reason)


def rejected(daemon: Daemon, reason: str) -> float:
    return daemon.metric("ingestd_records_rejected_total", reason=reason)


def reset(sock: socket.socket) -> None:
    """End a connection by RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize(
    "data", [GOOD, os.urandom(4096), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"a" * 70000]
)
def test_no_tls_on_the_tls_port(daemon: Daemon, data: bytes) -> None:
    with socket.create_connection(daemon.tcp) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        wait_for(lambda: closed(daemon, "tls_error") + closed(daemon, "reset") == 1, "the refusal")


def test_silence_before_and_after_the_handshake(daemon: Daemon) -> None:
    with socket.create_connection(daemon.tcp) as silent, daemon.connect() as mute, daemon.connect() as slow:
        slow.sendall(b"INGE")
        wait_for(lambda: closed(daemon, "header_timeout") == 3, "three header time-outs")
        for sock in (silent, mute, slow):
            assert sock.recv(1) == b""
    assert rejected(daemon, "truncated") == 1  # what was begun is accounted for


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"x" * 3_000_000, "oversize"),
        (b'{"message":"\xff\xfe"}', "invalid_utf8"),
        (b'{"message":"a\x00b"}', "invalid_json"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
        (b'{"message":', "invalid_json"),
        (b'{"level":"loud"}', "invalid_level"),
        (b'{"timestamp":"yesterday"}', "invalid_timestamp"),
        (b"42", "not_an_object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_record_costs_only_itself(daemon: Daemon, bad: bytes, reason: str) -> None:
    daemon.send(HEADER + GOOD * 3 + bad + b"\n" + GOOD * 2)
    totals = daemon.wait_settled(6)
    assert (totals["written"], totals["rejected"]) == (5, 1)
    assert rejected(daemon, reason) == 1
    wait_for(daemon.rejects, "the rejects file")
    (kept,) = daemon.rejects()
    assert kept["reason"] == reason
    assert kept["format"] == "json"


def test_long_numbers_empty_lines_and_crlf_are_fine(daemon: Daemon) -> None:
    digits = b"7" * 10_000
    daemon.send(HEADER + b'{"message":"long","n":' + digits + b"}\n\n\r\n" + b'{"message":"crlf"}\r\n')
    totals = daemon.wait_settled(2)
    assert totals["written"] == 2
    (long,) = [record for record in daemon.records_text() if b'"long"' in record]
    assert b'"n":' + digits in long


def test_endless_line_holds_no_memory(daemon: Daemon) -> None:
    with daemon.connect() as sock:
        sock.sendall(HEADER)
        for _ in range(40):
            sock.sendall(b"x" * 1_000_000)
        workers = daemon.stats()["workers"]
        assert max(worker["resident_memory_bytes"] for worker in workers) < 150_000_000
        sock.sendall(b"\n" + GOOD)
        totals = daemon.wait_settled(2)
        assert (totals["written"], totals["rejected"]) == (1, 1)


def test_cut_off_records_are_truncated(daemon: Daemon) -> None:
    daemon.send(HEADER + GOOD + b'{"message":"cut')
    with daemon.connect() as sock:
        sock.sendall(GOOD + b'{"message":"complete but reset"}')
        wait_for(lambda: daemon.stats()["totals"]["received"] == 3, "what was sent before the reset")
        reset(sock)
    totals = daemon.wait_settled(4)
    assert (totals["written"], totals["rejected"]) == (2, 2)
    assert rejected(daemon, "truncated") == 2
    assert closed(daemon, "reset") == 1


def test_a_flood_of_garbage_writes_no_flood_of_logs(daemon: Daemon) -> None:
    daemon.send(HEADER + b"garbage\n" * 50_000 + GOOD)
    totals = daemon.wait_settled(50_001)
    assert (totals["written"], totals["rejected"]) == (1, 50_000)
    for _ in range(200):
        with socket.create_connection(daemon.tcp) as sock:
            sock.sendall(b"not tls at all\n")
    wait_for(lambda: closed(daemon, "tls_error") + closed(daemon, "reset") == 200, "200 refusals")


def test_too_many_connections_are_refused(tmp_path: Path) -> None:
    with Daemon(tmp_path, **{"limits.max_connections": 10}) as daemon:
        socks = [socket.create_connection(daemon.tcp) for _ in range(10)]
        wait_for(lambda: daemon.metric("ingestd_connections_open") == 10, "ten connections")
        with socket.create_connection(daemon.tcp) as one_more:
            assert one_more.recv(1) == b""
        assert closed(daemon, "too_many_connections") == 1
        for sock in socks:
            sock.close()
        wait_for(lambda: daemon.metric("ingestd_connections_open") == 0, "them to be gone")
        daemon.send(GOOD)
        daemon.wait_settled(1)


def test_every_rejected_record_says_why(daemon: Daemon) -> None:
    daemon.send(HEADER + b"[1,2]\n" + json.dumps([{"message": "in an array"}]).encode() + b"\n")
    totals = daemon.wait_settled(3)
    assert (totals["written"], totals["rejected"]) == (1, 2)
    wait_for(lambda: len(daemon.rejects()) == 2, "both rejects")
    for reject in daemon.rejects():
        assert set(reject) == {"time", "reason", "detail", "format", "transport", "source", "data"}
