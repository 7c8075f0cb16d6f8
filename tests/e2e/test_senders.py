"""Real senders, as they are, without a header: each message comes out with its fields, and all that came is written."""

from __future__ import annotations

import base64
import logging.handlers
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
from google.protobuf.proto import serialize_length_prefixed

from formats.schemas.log_entry_pb2 import LogEntry
from tests.daemon import Daemon
from tests.e2e import senders

MESSAGES = 500
WHEN = "2026-11-20T12:00:00.123456Z"
AN_HOUR_S = 3600.0


def written(daemon: Daemon, records: int, **by_format: int) -> list[dict[str, Any]]:
    """All that is stored, once so many records came: all were written, so many of each format. Ordered by message."""
    totals = daemon.wait_settled(records)
    assert (totals["received"], totals["written"]) == (records, records), daemon.rejects()
    formats = daemon.stats()["formats"]
    counts = {name: sum(transport["written"] for transport in formats[name].values()) for name in formats}
    assert {name: count for name, count in counts.items() if count} == by_format
    stored = daemon.records()
    assert len(stored) == records
    return sorted(stored, key=lambda record: str(record["message"]))


def assert_fields(record: dict[str, Any], **fields: object) -> None:
    """The record has these fields, and was sent just now if none of them is its time."""
    assert {name: record.get(name) for name in fields} == fields, record
    assert "parse_error" not in record
    if "timestamp" not in fields:
        sent = datetime.fromisoformat(record["timestamp"])
        assert abs((datetime.now(UTC) - sent).total_seconds()) < AN_HOUR_S


def datagrams(path: Path, messages: list[bytes]) -> None:
    """Send to a datagram socket of this machine, as programs send to /dev/log."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(str(path))
        for message in messages:
            sock.send(message)


def rfc5424(number: int) -> bytes:
    """A message with all that RFC 5424 has."""
    data = rb'[origin@32473 software="a\"b\]" ip="192.0.2.1"]'
    text = f"no route {number:03} \N{SNOWMAN}".encode()
    return b"<156>1 %b web1 api 77 ID47 %b %b" % (WHEN.encode(), data, text)


def assert_is_rfc5424(record: dict[str, Any], number: int) -> None:
    assert_fields(
        record,
        timestamp=WHEN,
        level="WARN",
        service="api",
        message=f"no route {number:03} \N{SNOWMAN}",
        hostname="web1",
        procid="77",
        msgid="ID47",
        facility="local3",
        severity="warning",
        format="syslog",
        source_ip="127.0.0.1",
        **{"sd.origin@32473.software": 'a"b]', "sd.origin@32473.ip": "192.0.2.1"},
    )


@pytest.mark.parametrize("transport", ["-d", "-T"])
def test_logger(tmp_path: Path, transport: str) -> None:
    ways: list[tuple[str, list[str]]] = [("rfc5424", []), ("rfc3164", [])]
    if transport == "-T":
        ways += [("rfc5424", ["--octet-count"]), ("rfc3164", ["--octet-count"])]

    def message(number: int, more: list[str]) -> str:
        is_line = transport == "-T" and not more
        return f"{number} no route" if is_line else f"{number} no\n  route"

    with Daemon(tmp_path) as daemon:
        host, port = daemon.udp if transport == "-d" else daemon.tcp
        for number, (standard, more) in enumerate(ways):
            command = ["logger", "-n", host, "-P", str(port), transport, f"--{standard}", *more]
            command += ["-t", "api", "-p", "local3.warning", "--id=77", message(number, more)]
            subprocess.run(command, check=True, env=senders.environment())
        for number, record in enumerate(written(daemon, len(ways), syslog=len(ways))):
            expected = {"service": "api", "level": "WARN", "facility": "local3", "severity": "warning"}
            expected |= {"procid": "77", "hostname": socket.gethostname(), "format": "syslog"}
            standard, more = ways[number]
            assert_fields(record, message=message(number, more), **expected)
            if standard == "rfc5424":
                assert record["sd.timeQuality.tzKnown"] == "1"


def test_logger_sends_many_lines_in_one_connection(tmp_path: Path) -> None:
    """Octet counting without a pause, and lines of text that look like counts and other formats."""
    texts = [f"{number:03} {{" for number in range(MESSAGES)]
    texts += ["INGEST/1 json", "{}", "99 <13>bottles", "__CURSOR=1", "<13>1 - - - - - -"]
    with Daemon(tmp_path) as daemon:
        host, port = daemon.tcp
        for framing in (["--octet-count"], []):
            command = ["logger", "-n", host, "-P", str(port), "-T", *framing, "-t", "api", "-p", "user.err"]
            subprocess.run(command, check=True, input="\n".join(texts).encode())
        total = 2 * len(texts)
        records = written(daemon, total, syslog=total)
    assert [record["message"] for record in records] == sorted(texts * 2)
    for record in records:
        assert_fields(record, service="api", level="ERROR")


def test_rsyslog_over_tls_with_octet_counting(tmp_path: Path, certs: Path) -> None:
    folder = tmp_path / "sender"
    folder.mkdir()
    with Daemon(tmp_path, certs) as daemon, senders.rsyslog(folder, daemon) as log:
        datagrams(log, [rfc5424(number) for number in range(MESSAGES)])
        for number, record in enumerate(written(daemon, MESSAGES, syslog=MESSAGES)):
            assert_is_rfc5424(record, number)


@pytest.mark.parametrize("template", ["", ";RSYSLOG_ForwardFormat", ";RSYSLOG_SyslogProtocol23Format"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_rsyslog_as_most_configure_it(tmp_path: Path, transport: str, template: str) -> None:
    """In one line, to a port without TLS: by default RFC 3164 with the time in seconds."""
    folder = tmp_path / "sender"
    folder.mkdir()
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with Daemon(tmp_path) as daemon:
        port = daemon.tcp[1] if transport == "tcp" else daemon.udp[1]
        action = f"*.* {'@@' if transport == 'tcp' else '@'}127.0.0.1:{port}{template}\n"
        with senders.rsyslog(folder, daemon, action) as log:
            datagrams(log, [b"<156>1 %b web1 api 77 - - no route" % now.encode()] * 50)
            for record in written(daemon, 50, syslog=50):
                sent = now if template else now[:19] + ".000000Z"
                assert_fields(
                    record, timestamp=sent, level="WARN", service="api", hostname="web1", procid="77"
                )
                assert (record["message"], record["facility"]) == ("no route", "local3")


def test_rsyslog_of_local_programs(tmp_path: Path, certs: Path) -> None:
    """What `logger` and syslog(3) write to /dev/log."""
    folder = tmp_path / "sender"
    folder.mkdir()
    with Daemon(tmp_path, certs) as daemon, senders.rsyslog(folder, daemon) as log:
        command: senders.Command = [
            "logger",
            "-u",
            log,
            "-d",
            "-t",
            "api",
            "--id=77",
            "-p",
            "mail.crit",
            "no route",
        ]
        subprocess.run(command, check=True, env=senders.environment())
        (record,) = written(daemon, 1, syslog=1)
        assert_fields(record, level="FATAL", service="api", procid="77", facility="mail", severity="crit")
        assert record["message"].strip() == "no route"


def test_syslog_ng_over_tls_with_octet_counting(tmp_path: Path, certs: Path) -> None:
    folder = tmp_path / "sender"
    folder.mkdir()
    with Daemon(tmp_path, certs) as daemon, senders.syslog_ng(folder, daemon) as log:
        datagrams(log, [rfc5424(number) for number in range(MESSAGES)])
        for number, record in enumerate(written(daemon, MESSAGES, syslog=MESSAGES)):
            assert_is_rfc5424(record, number)


def test_syslog_ng_with_rfc3164_lines(tmp_path: Path) -> None:
    """Its `network()` with nothing set but the port."""
    folder = tmp_path / "sender"
    folder.mkdir()
    with Daemon(tmp_path) as daemon:
        destination = f"""\
destination d_ingestd {{ network("127.0.0.1" port({daemon.tcp[1]})); }};
log {{ source(s_src); destination(d_ingestd); }};
"""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with senders.syslog_ng(folder, daemon, destination) as log:
            datagrams(log, [b"<156>1 %b web1 api 77 - - no route" % now.encode()] * MESSAGES)
            for record in written(daemon, MESSAGES, syslog=MESSAGES):
                assert_fields(record, level="WARN", service="api", hostname="web1", procid="77")
                assert (record["message"], record["facility"]) == ("no route", "local3")


@pytest.mark.parametrize("output", ["export", "json"])
def test_journalctl(tmp_path: Path, certs: Path, output: str) -> None:
    plain = senders.JOURNAL_ENTRY
    binary = plain | {"MESSAGE": b"two\nlines", "DATA": b"\xff\n\x00", "PRIORITY": b"6"}
    journal = tmp_path / "some.journal"
    senders.make_journal(journal, [plain, binary])
    command: senders.Command = [senders.program("journalctl"), "--file", journal, "-o", output, "--all"]
    data = subprocess.run(command, env=senders.environment(), capture_output=True, check=True).stdout
    with Daemon(tmp_path, certs) as daemon:
        daemon.send(data)
        first, second = written(daemon, 2, journald=2)
    expected = {"timestamp": "2025-11-20T12:00:00.123456Z", "service": "api", "hostname": "web1"}
    expected |= {"format": "journald", "_SYSTEMD_UNIT": "api.service", "_PID": "77"}
    assert_fields(first, level="ERROR", message="no route", PRIORITY="3", **expected)
    assert_fields(second, level="INFO", message="two\nlines", PRIORITY="6", **expected)
    assert second["DATA"] == base64.b64encode(b"\xff\n\x00").decode()
    assert second["base64_fields"] == ["DATA"]


def test_genuine_journals(tmp_path: Path, certs: Path) -> None:
    """Those of other people's machines, through systemd's own programs: JSON and export are the same records."""
    folder = senders.ROOT.parent / "shared/corpora/journald/real"
    if not folder.is_dir():
        pytest.skip(f"no journals in {folder}")
    sent = [
        (folder / "rhel91").with_suffix(suffix).read_bytes() for suffix in (".export", ".json-all.ndjson")
    ]
    entries = sent[1].count(b"\n")
    with Daemon(tmp_path, certs) as daemon:
        for data in sent:
            daemon.send(data)
        records = written(daemon, 2 * entries, journald=2 * entries)
    by_cursor: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        del record["received_at"]
        by_cursor.setdefault(record["__CURSOR"], []).append(record)
    assert len(by_cursor) == entries
    for one, other in by_cursor.values():
        assert one == other


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_fastavro(tmp_path: Path, certs: Path, codec: str) -> None:
    """An object container file of several blocks, with logical types, written to the connection itself."""
    types: dict[str, Any] = {"timestamp": {"type": "long", "logicalType": "timestamp-micros"}}
    types["level"] = {"type": "enum", "name": "Level", "symbols": ["INFO", "ERROR"]}
    types |= {"service": "string", "message": "string", "status": ["null", "int"]}
    fields = [{"name": name, "type": type_} for name, type_ in types.items()]
    schema = fastavro.parse_schema({"type": "record", "name": "Log", "fields": fields})
    record = {"timestamp": datetime.fromisoformat(WHEN), "level": "ERROR", "service": "api", "status": 503}
    records = [record | {"message": f"no route {number:03}"} for number in range(MESSAGES)]
    with Daemon(tmp_path, certs) as daemon:
        with daemon.connect() as sock, sock.makefile("wb") as file:
            fastavro.writer(file, schema, records, codec, sync_interval=1000)
        for number, stored in enumerate(written(daemon, MESSAGES, avro=MESSAGES)):
            assert_fields(
                stored,
                timestamp=WHEN,
                level="ERROR",
                service="api",
                message=f"no route {number:03}",
                status=503,
                format="avro",
            )


def test_protobuf_producer(tmp_path: Path, certs: Path) -> None:
    stream = BytesIO(b"INGEST/1 protobuf\n")
    stream.seek(0, 2)
    for number in range(MESSAGES):
        attributes = {"status": "503", "path": "/" * number}  # so that lengths are of one and of two bytes
        entry = LogEntry(timestamp=WHEN, level="error", service="api", message=f"no route {number:03}")
        entry.attributes.update(attributes)
        serialize_length_prefixed(entry, stream)
    with Daemon(tmp_path, certs) as daemon:
        daemon.send(stream.getvalue())
        for number, record in enumerate(written(daemon, MESSAGES, protobuf=MESSAGES)):
            assert_fields(
                record,
                timestamp=WHEN,
                level="ERROR",
                service="api",
                message=f"no route {number:03}",
                status="503",
                path="/" * number,
                format="protobuf",
            )


@pytest.mark.parametrize("tag", ["api: ", ""])
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_python_syslog_handler(tmp_path: Path, kind: socket.SocketKind, tag: str) -> None:
    """It ends each message with NUL, over TCP too, and sends neither time nor host."""
    with Daemon(tmp_path) as daemon:
        address = daemon.udp if kind is socket.SOCK_DGRAM else daemon.tcp
        handler = logging.handlers.SysLogHandler(
            address, logging.handlers.SysLogHandler.LOG_LOCAL3, socktype=kind
        )
        handler.setFormatter(logging.Formatter(tag + "%(message)s"))
        logger = logging.Logger("sender")
        logger.addHandler(handler)
        for number in range(10):
            logger.warning("no route %d", number)
        for number, record in enumerate(written(daemon, 10, syslog=10)):  # before the connection ends
            service = "api" if tag else "unknown"
            assert_fields(record, message=f"no route {number}", service=service, level="WARN")
            assert (record["facility"], record["severity"]) == ("local3", "warning")
        handler.close()


def test_nc_and_bash(tmp_path: Path) -> None:
    """A line of each format over TCP from nc, in a datagram of nc, and in one of bash: twelve senders at once."""
    nc = senders.program("nc.openbsd")
    lines = {
        "json": b'{"level":"error","service":"api","message":"no route"}\n',
        "raw": b"2026-11-20 12:00:00,123 ERROR api: no route\n",
        "syslog": b"<11>Nov 20 12:00:00 web1 api: no route\n",
        "journald": b'{"PRIORITY":"3","SYSLOG_IDENTIFIER":"api","MESSAGE":"no route","__CURSOR":"1"}\n',
    }
    with Daemon(tmp_path) as daemon:
        commands: list[senders.Command] = [
            [nc, "-N", daemon.tcp[0], str(daemon.tcp[1])],
            [nc, "-u", "-w", "1", daemon.udp[0], str(daemon.udp[1])],
            ["bash", "-c", f"cat > /dev/udp/{daemon.udp[0]}/{daemon.udp[1]}"],
        ]

        def send(command: senders.Command, line: bytes) -> None:
            subprocess.run(command, input=line, check=True, env=senders.environment())

        with ThreadPoolExecutor() as pool:
            list(pool.map(send, commands * len(lines), [line for line in lines.values() for _ in commands]))
        for record in written(daemon, 12, **dict.fromkeys(lines, 3)):
            assert (record["level"], record["service"], record["message"]) == ("ERROR", "api", "no route")
