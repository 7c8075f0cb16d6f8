"""Each line of docs/formats.md that is there to be pasted does what it says, against a daemon as `make run` starts it.

A shell runs the line as it stands, in the project's folder; only the ports are those of the daemon of the test. `nc` is
the one of the Debian package that the test unpacked, and `journalctl` reads a journal that the test made.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.daemon import PATIENCE_S, Daemon
from tests.e2e import senders

LINES = [
    line
    for block in senders.document_blocks("\n## One line per format", "\n### rsyslog")
    for line in block.splitlines()
]


class Expected(NamedTuple):
    """What becomes of a line: the format and transport of its records, and their number."""

    format: str
    transport: str
    records: int = 1


ENTRIES_SHOWN = 10  # by journalctl -f, of those that are there
EXPECTED = [
    Expected("json", "tcp"),
    Expected("json", "udp"),
    Expected("raw", "tcp"),
    Expected("raw", "udp"),
    Expected("syslog", "udp"),
    Expected("syslog", "udp"),
    Expected("syslog", "tcp"),
    Expected("journald", "tcp", ENTRIES_SHOWN),
    Expected("journald", "tcp", ENTRIES_SHOWN),
    Expected("protobuf", "tcp"),
    Expected("avro", "tcp"),
]


def programs(folder: Path, line: str) -> dict[str, str]:
    """The environment of a line: the programs it names that a test must not leave to chance, first on the path."""
    folder.mkdir()
    if "nc -" in line:
        senders.wrapper(folder / "nc", senders.program("nc.openbsd"))
    if "journalctl" in line:
        journal = folder / "some.journal"
        senders.make_journal(journal, [senders.JOURNAL_ENTRY] * 2 * ENTRIES_SHOWN)
        senders.wrapper(folder / "journalctl", senders.program("journalctl"), "--file", journal)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, certs: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon"), certs) as running:
        yield running


def written(daemon: Daemon, expected: Expected) -> int:
    """How many records of a line's format and transport there are."""
    counts: dict[str, int] = daemon.stats()["formats"][expected.format][expected.transport]
    return counts["written"]


@pytest.mark.parametrize(
    ("line", "expected"),
    list(zip(LINES, EXPECTED, strict=True)),
    ids=[f"{expected.format}-{number}" for number, expected in enumerate(EXPECTED)],
)
def test_a_line_of_the_document(tmp_path: Path, daemon: Daemon, line: str, expected: Expected) -> None:
    path = programs(tmp_path / "bin", line)
    ports = {"3001": daemon.tcp[1], "3002": daemon.udp[1]}
    assert sum(line.count(port) for port in ports) == 1
    for said, meant in ports.items():
        line = line.replace(said, str(meant))
    line = line.replace(".venv/bin/python", sys.executable)
    before, of_its_kind, stored = daemon.stats()["totals"], written(daemon, expected), daemon.records_text()
    shell = subprocess.Popen(
        ["bash", "-c", line], cwd=senders.ROOT, env=path, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        totals = daemon.wait_settled(before["received"] + expected.records)
        if "journalctl -f" in line:
            os.killpg(shell.pid, signal.SIGTERM)  # as Ctrl-C would, which a background job ignores
            shell.wait(PATIENCE_S)
        else:
            assert shell.wait(PATIENCE_S) == 0, "the line failed"
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    assert (
        totals["written"] - before["written"] == totals["received"] - before["received"] == expected.records
    )
    assert written(daemon, expected) - of_its_kind == expected.records
    records = [json.loads(text) for text in (Counter(daemon.records_text()) - Counter(stored)).elements()]
    assert len(records) == expected.records
    for record in records:
        assert (record["level"], record["service"], record["message"]) == ("ERROR", "api", "no route")
        assert record["format"] == expected.format
        assert "parse_error" not in record
