"""The journal end to end: both kinds, with and without a header, through the real daemon to segments; real senders."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import Daemon, check_law, wait_for
from tests.e2e.senders import environment, program


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, certs: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon"), certs) as daemon:
        yield daemon


def exported(mark: str, count: int = 3) -> bytes:
    """Entries as `journalctl -o export` writes them, the last with a binary message."""
    head = "__CURSOR=s=1;i={0}\n__REALTIME_TIMESTAMP={1}\n_BOOT_ID={3:032x}\n_HOSTNAME=web-1\nPRIORITY=4\n"
    entries = [
        (head + "SYSLOG_IDENTIFIER=api\nMESSAGE={2} {0}\n\n").format(
            number, 1763640000000000 + number, mark, 1
        )
        for number in range(count)
    ]
    message = f"{mark}\n\nlast".encode()
    binary = b"MESSAGE\n" + len(message).to_bytes(8, "little") + message + b"\n\n"
    return "".join(entries).encode() + head.format(count, 1763640000000000 + count, mark, 1).encode() + binary


def stored(daemon: Daemon, mark: str, count: int) -> list[dict[str, object]]:
    """The records that carry `mark` in their message, once there are `count` of them."""

    def found() -> list[dict[str, object]]:
        return [record for record in daemon.records() if mark in str(record["message"])]

    wait_for(lambda: len(found()) >= count, f"{count} records with {mark}")
    return found()


@pytest.mark.parametrize("header", [b"", b"INGEST/1 journald\n"])
def test_export(daemon: Daemon, header: bytes) -> None:
    mark = f"export{len(header)}"
    daemon.send(header + exported(mark))
    records = stored(daemon, mark, 4)
    assert [record["message"] for record in records] == [
        *(f"{mark} {n}" for n in range(3)),
        f"{mark}\n\nlast",
    ]
    for number, record in enumerate(records):
        assert record["timestamp"] == f"2025-11-20T12:00:00.00000{number}Z"
        assert (record["level"], record["PRIORITY"]) == ("WARN", "4")
        assert (record["hostname"], record["format"]) == ("web-1", "journald")
    check_law(daemon.wait_settled(4))


@pytest.mark.parametrize("header", [b"", b"INGEST/1 journald\n"])
def test_json_lines(daemon: Daemon, header: bytes) -> None:
    mark = f"lines{len(header)}"
    entry = {
        "__CURSOR": "s=1",
        "PRIORITY": "3",
        "_SYSTEMD_UNIT": "api.service",
        "MESSAGE": mark,
        "_PID": ["1", "2"],
    }
    daemon.send(header + json.dumps(entry).encode() + b"\n")
    (record,) = stored(daemon, mark, 1)
    assert (record["service"], record["level"], record["_PID"]) == ("api.service", "ERROR", ["1", "2"])
    assert record["format"] == "journald"


def test_a_lost_boundary_is_told(daemon: Daemon) -> None:
    with daemon.connect() as sock:
        sock.sendall(
            b"INGEST/1 journald\nMESSAGE=before it\n\nMESSAGE\n" + (1 << 63).to_bytes(8, "little") + b"\n"
        )
        assert sock.recv(1000).startswith(b"ERR invalid_frame: a field of 9223372036854775808 bytes")
    stored(daemon, "before it", 1)


@pytest.mark.parametrize("output", ["export", "json"])
def test_a_real_journal(daemon: Daemon, tmp_path: Path, output: str) -> None:
    remote, journalctl = program("systemd-journal-remote"), program("journalctl")
    mark = f"real-{output}"
    source, journal = tmp_path / "entries", tmp_path / "test.journal"
    source.write_bytes(exported(mark, 20))
    subprocess.run(
        [remote, "-o", journal, source], env=environment(), check=True, capture_output=True, timeout=60
    )
    made = subprocess.run(
        [journalctl, "--file", journal, "-o", output, "--all"],
        env=environment(),
        check=True,
        capture_output=True,
        timeout=60,
    )
    daemon.send(made.stdout)
    records = stored(daemon, mark, 21)
    assert [record["message"] for record in records] == [
        *(f"{mark} {n}" for n in range(20)),
        f"{mark}\n\nlast",
    ]
