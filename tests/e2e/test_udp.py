"""UDP end to end: datagrams of whole records, real `logger`, exact counts."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

from tests.daemon import Daemon, check_law, wait_for


def test_datagrams_become_records(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(100):
            two = "\n".join(json.dumps({"message": f"{number} {half}", "level": "warn"}) for half in "ab")
            sender.sendto(two.encode() + (b"\n" if number % 2 else b""), daemon.udp)
        sender.sendto(b"plain text line", daemon.udp)
        sender.sendto(b"", daemon.udp)
        totals = daemon.wait_settled(201)
        assert totals["written"] == 201
        formats = daemon.stats()["formats"]
        assert formats["json"]["udp"]["written"] == 200
        assert formats["raw"]["udp"]["written"] == 1
    records = daemon.records()
    assert len(records) == 201
    assert {record["source_ip"] for record in records} == {"127.0.0.1"}


def test_bad_datagrams_cost_only_themselves(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b'{"message":"good 1"}\n\xff\xfe\n{"message":"good 2"}', daemon.udp)
        sender.sendto(b'{"message":"good 3"}', daemon.udp)
        totals = daemon.wait_settled(4)
        assert (totals["written"], totals["rejected"]) == (3, 1)
        wait_for(daemon.rejects, "the rejects file")
    (reject,) = daemon.rejects()
    assert (reject["reason"], reject["transport"], reject["source"]) == ("invalid_utf8", "udp", "127.0.0.1")
    assert reject["data_base64"] == "//4="


def test_logger_over_udp(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        host, port = daemon.udp
        subprocess.run(
            ["logger", "-n", host, "-P", str(port), "-d", "--rfc3164", "hello from logger"], check=True
        )
        daemon.wait_settled(1)
    (record,) = daemon.records()
    assert "hello from logger" in record["message"]


def test_syslog_datagrams(tmp_path: Path) -> None:
    """One message a datagram, whatever lines it holds; or several, each with its PRI."""
    with Daemon(tmp_path) as daemon, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(
            b"<11>1 2026-11-20T12:00:00Z host api 42 - - Traceback:\n  line 1\n  line 2\n", daemon.udp
        )
        sender.sendto(
            b"<14>1 2026-11-20T12:00:01Z host api - - - a\n<14>1 2026-11-20T12:00:02Z host api - - - b",
            daemon.udp,
        )
        sender.sendto(b"<html> is no syslog", daemon.udp)
        totals = daemon.wait_settled(4)
        assert totals["written"] == 4
        formats = daemon.stats()["formats"]
        assert formats["syslog"]["udp"]["written"] == 3
        assert formats["raw"]["udp"]["written"] == 1
    by_time = {
        record["timestamp"][17:19]: record for record in daemon.records() if record["format"] == "syslog"
    }
    assert by_time["00"]["message"] == "Traceback:\n  line 1\n  line 2"
    assert (by_time["00"]["level"], by_time["00"]["service"], by_time["00"]["hostname"]) == (
        "ERROR",
        "api",
        "host",
    )
    assert [by_time[second]["message"] for second in ("01", "02")] == ["a", "b"]


def test_overload_is_counted_to_the_datagram(tmp_path: Path) -> None:
    """A tiny receive buffer and a worker that is stopped: sent = read + dropped by the kernel."""
    settings = {"server.workers": 1, "listen.udp.receive_buffer": "20KB"}
    with Daemon(tmp_path, **settings) as daemon, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        import os
        import signal

        (worker,) = daemon.stats()["workers"]
        os.kill(worker["pid"], signal.SIGSTOP)
        for number in range(1000):
            sender.sendto(b'{"message":"%d"}' % number + b" " * 1000, daemon.udp)
        os.kill(worker["pid"], signal.SIGCONT)

        def read() -> float:
            return daemon.metric("ingestd_udp_datagrams_total")

        def dropped() -> float:
            return daemon.metric("ingestd_udp_kernel_drops_total")

        wait_for(lambda: read() + dropped() == 1000, "every datagram to be read or counted as dropped")
        assert dropped() > 0
        totals = daemon.wait_settled(1)
        check_law(totals)
        assert totals["written"] == read()
