"""sd_notify(3): what is sent, to which socket, and that a missing manager is no reason to fail."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestd.notify import Notifier


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    """Where a service manager listens: a name in the abstract namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")  # Linux, unix(7): autobind to a free abstract name
        manager.settimeout(10)
        yield manager


def abstract(manager: socket.socket) -> str:
    name = manager.getsockname()
    assert isinstance(name, bytes)
    return "@" + name[1:].decode()


def test_assignments_are_one_datagram_of_lines(manager: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": abstract(manager)})
    notifier.send("READY=1", "STATUS=Listening on 127.0.0.1:3001")
    notifier.send("STOPPING=1")
    assert manager.recv(1000) == b"READY=1\nSTATUS=Listening on 127.0.0.1:3001"
    assert manager.recv(1000) == b"STOPPING=1"
    notifier.close()


def test_a_socket_in_the_file_system(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        notifier.send("READY=1")
        assert manager.recv(1000) == b"READY=1"
        notifier.close()


def test_without_a_manager_nothing_is_said() -> None:
    notifier = Notifier({})
    notifier.send("READY=1")
    assert notifier.watchdog_s == 0
    notifier.close()


def test_a_manager_that_does_not_listen_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    notifier.send("READY=1")
    assert "cannot notify systemd" in caplog.text
    notifier.close()


def test_a_manager_that_does_not_read_never_blocks(
    manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": abstract(manager)})
    for _ in range(10_000):
        notifier.send("WATCHDOG=1")
        if caplog.records:
            break
    assert "cannot notify systemd" in caplog.text
    notifier.close()


def test_children_do_not_inherit_the_right_to_speak(manager: socket.socket) -> None:
    environ = {
        "NOTIFY_SOCKET": abstract(manager),
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": str(os.getpid()),
        "PATH": "/bin",
    }
    notifier = Notifier(environ)
    assert environ == {"PATH": "/bin"}
    assert notifier.watchdog_s == 15.0
    notifier.close()


@pytest.mark.parametrize(
    ("variables", "watchdog_s"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "10000000"}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": "-1"}, 0.0),
    ],
)
def test_the_watchdog_is_fed_where_it_watches_this_process(
    manager: socket.socket, variables: dict[str, str], watchdog_s: float
) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": abstract(manager), **variables})
    assert notifier.watchdog_s == watchdog_s
    notifier.close()
