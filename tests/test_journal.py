"""The daemon's log in the journal's native protocol, and what becomes of it where nobody reads."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestd import journal
from ingestd.journal import JournalHandler

Fields = dict[str, str]


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[socket.socket]:
    """Somebody who listens as journald does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.settimeout(10)
        yield listening


@pytest.fixture
def log(tmp_path: Path, journald: socket.socket) -> Iterator[logging.Logger]:
    """A logger that writes there."""
    logger = logging.getLogger("tests.journal")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    handler = JournalHandler(tmp_path / "socket")
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)
    handler.close()


def decoded(data: bytes) -> Fields:
    """The fields of an entry, by the protocol's own description."""
    fields: Fields = {}
    while data:
        line, _, data = data.partition(b"\n")
        key, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + length], data[9 + length :]
        fields[key.decode()] = value.decode()
    return fields


def received(journald: socket.socket) -> Fields:
    """The next entry."""
    data, descriptors, _, _ = socket.recv_fds(journald, 1 << 20, 1)
    if not descriptors:
        return decoded(data)
    assert data == b""
    with os.fdopen(descriptors[0], "rb") as file:
        file.seek(0)
        return decoded(file.read())


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.DEBUG, "7"),
        (logging.INFO, "6"),
        (logging.WARNING, "4"),
        (logging.ERROR, "3"),
        (logging.CRITICAL, "2"),
    ],
)
def test_an_entry_says_how_bad_it_is_and_where_in_the_code(
    log: logging.Logger, journald: socket.socket, level: int, priority: str
) -> None:
    log.log(level, "worker %d died", 3, extra=journal.event("worker_died", 3))
    fields = received(journald)
    assert int(fields.pop("CODE_LINE")) > 0
    assert fields == {
        "MESSAGE": "worker 3 died",
        "PRIORITY": priority,
        "SYSLOG_IDENTIFIER": "ingestd",
        "CODE_FILE": __file__,
        "CODE_FUNC": "test_an_entry_says_how_bad_it_is_and_where_in_the_code",
        "INGESTD_LOGGER": "tests.journal",
        "INGESTD_PROCESS": "supervisor",
        "INGESTD_EVENT": "worker_died",
        "INGESTD_WORKER": "3",
    }


def test_each_process_says_which_it_is(log: logging.Logger, journald: socket.socket) -> None:
    try:
        journal.be("worker 2", 2)
        log.info("x")
        fields = received(journald)
        assert (fields["INGESTD_PROCESS"], fields["INGESTD_WORKER"]) == ("worker 2", "2")
        journal.be("sidecar")
        log.info("x")
        fields = received(journald)
        assert fields["INGESTD_PROCESS"] == "sidecar"
        assert "INGESTD_WORKER" not in fields
    finally:
        journal.be("supervisor")


@pytest.mark.parametrize(
    "text",
    [
        "two\nlines",
        "",
        "=",
        "MESSAGE=forged\nPRIORITY=0",
        "\x00\x1b[31m",
        "é" * 10,
        "x" * 2_000_000,
    ],
    ids=["lines", "empty", "equals", "forged", "control", "utf-8", "large"],
)
def test_any_text_arrives_as_one_message(log: logging.Logger, journald: socket.socket, text: str) -> None:
    log.info("%s", text)
    fields = received(journald)
    assert fields["MESSAGE"] == text
    assert fields["PRIORITY"] == "6"


def test_what_is_no_unicode_is_shown_as_what_it_is() -> None:
    assert journal.encoded({"MESSAGE": "a\udcffb"}) == b"MESSAGE=a\\udcffb\n"


def test_a_traceback_is_part_of_its_message(log: logging.Logger, journald: socket.socket) -> None:
    try:
        raise RuntimeError("a bug")
    except RuntimeError:
        log.exception("pid %d failed", 5)
    message = received(journald)["MESSAGE"]
    assert message.startswith("pid 5 failed\nTraceback")
    assert message.endswith("RuntimeError: a bug")


def test_a_journal_that_does_not_read_holds_nobody_up_and_hears_how_much_it_missed(
    log: logging.Logger, journald: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(2000):
        log.info("%d", number)
    heard = 0
    journald.settimeout(0)
    with pytest.raises(BlockingIOError):
        while True:
            received(journald)
            heard += 1
    assert 0 < heard < 2000
    log.info("again")
    message = received(journald)["MESSAGE"]
    assert message == f"again ({2000 - heard} messages before this did not reach the journal)"
    log.info("and on")
    assert received(journald)["MESSAGE"] == "and on"


def test_a_journal_that_was_started_anew_is_found(
    tmp_path: Path, log: logging.Logger, journald: socket.socket
) -> None:
    journald.close()
    log.info("nobody is there")
    (tmp_path / "socket").unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as anew:
        anew.bind(str(tmp_path / "socket"))
        anew.settimeout(10)
        log.info("somebody is")
        assert received(anew)["MESSAGE"] == "somebody is (1 messages before this did not reach the journal)"


def test_what_is_not_logged_but_said_has_a_priority_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert journal.complaint("ingestd: a: 2 errors\n  b\n  c") == "ingestd: a: 2 errors\n  b\n  c"
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        monkeypatch.setattr(sys, "stderr", stream)
        assert journal.complaint("ingestd: a: 2 errors\n  b") == "<3>ingestd: a: 2 errors\n<3>  b"


def test_stderr_is_the_journal_only_where_it_still_is_that_stream(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream, (tmp_path / "other").open("w") as other:
        status = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert journal.is_stderr(environ, stream)
        assert not journal.is_stderr(environ, other)
        assert not journal.is_stderr({}, stream)
        assert not journal.is_stderr({"JOURNAL_STREAM": "nonsense"}, stream)
    assert not journal.is_stderr(environ, stream)  # closed
    assert not journal.is_stderr(environ, sys.stderr)
