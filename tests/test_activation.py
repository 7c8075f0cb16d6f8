"""Sockets that a service manager passes: which is for what, and what is refused."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestd import activation
from ingestd.activation import Passed
from ingestd.errors import StartError


def beyond_all() -> int:
    """Where these tests have the passed descriptors begin: beyond what this test run has open, however much that is."""
    return max(int(path.name) for path in Path("/proc/self/fd").iterdir()) + 16


@contextlib.contextmanager
def passed(
    *sockets: tuple[socket.AddressFamily, socket.SocketKind], names: str = ""
) -> Iterator[tuple[dict[str, str], int]]:
    """The environment of a process that was passed such sockets, bound to free ports of this machine, and the first."""
    first = beyond_all()
    with contextlib.ExitStack() as held:
        for number, (family, kind) in enumerate(sockets):
            sock = held.enter_context(socket.socket(family, kind))
            if family == socket.AF_INET:
                sock.bind(("127.0.0.1", 0))
            os.dup2(sock.fileno(), first + number)
        environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sockets)), "HOME": "/"}
        yield environ | ({"LISTEN_FDNAMES": names} if names else {}), first


def close(taken: Passed) -> None:
    for sock in (*taken.tcp, *taken.udp, *taken.http):
        sock.close()


TCP = (socket.AF_INET, socket.SOCK_STREAM)
UDP = (socket.AF_INET, socket.SOCK_DGRAM)


@pytest.mark.parametrize(
    ("sockets", "names", "expected"),
    [
        ((), "", (0, 0, 0)),
        ((TCP, UDP), "", (1, 1, 0)),
        ((TCP, TCP, UDP, UDP), "ingestd.socket:ingestd.socket:ingestd.socket:ingestd.socket", (2, 2, 0)),
        ((UDP, TCP, TCP), "udp:http:tcp", (1, 1, 1)),
        ((TCP, TCP), "http:other", (1, 0, 1)),
        ((TCP, UDP), "tcp", (1, 1, 0)),
    ],
)
def test_what_each_is_for(
    sockets: tuple[tuple[socket.AddressFamily, socket.SocketKind], ...],
    names: str,
    expected: tuple[int, int, int],
) -> None:
    with passed(*sockets, names=names) as (environ, first):
        taken = activation.take(8080, environ, first)
        try:
            assert (len(taken.tcp), len(taken.udp), len(taken.http)) == expected
            assert taken.kinds() == {
                kind for kind, count in zip(activation.KINDS, expected, strict=True) if count
            }
            assert environ == {"HOME": "/"}
            assert not any(sock.get_inheritable() for sock in (*taken.tcp, *taken.udp, *taken.http))
        finally:
            close(taken)


def test_the_port_of_http_tells_that_stream_from_the_others() -> None:
    with passed(TCP, TCP) as (environ, first):
        with socket.socket(fileno=os.dup(first + 1)) as sock:
            port = sock.getsockname()[1]
        taken = activation.take(port, environ, first)
        try:
            assert [sock.fileno() for sock in taken.tcp] == [first]
            assert [sock.fileno() for sock in taken.http] == [first + 1]
        finally:
            close(taken)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"},
    ],
    ids=["none", "no pid", "another's", "no number"],
)
def test_what_is_not_for_this_process_is_left(environ: dict[str, str]) -> None:
    assert activation.take(8080, environ, beyond_all()) == Passed()
    assert environ == {}


@pytest.mark.parametrize(
    ("sockets", "names", "message"),
    [
        (
            ((socket.AF_UNIX, socket.SOCK_STREAM),),
            "tcp",
            "is not of IPv4 or IPv6; give ListenStream= an address",
        ),
        ((UDP,), "tcp", "'tcp' that systemd passes must be made by ListenStream="),
        ((UDP,), "http", "'http' that systemd passes must be made by ListenStream="),
        ((TCP,), "udp", "'udp' that systemd passes must be made by ListenDatagram="),
        ((TCP, TCP), "http:http", "more than one socket for http"),
    ],
)
def test_what_is_of_no_use_is_refused(
    sockets: tuple[tuple[socket.AddressFamily, socket.SocketKind], ...],
    names: str,
    message: str,
) -> None:
    with passed(*sockets, names=names) as (environ, first), pytest.raises(StartError, match=message):
        activation.take(8080, environ, first)


def test_a_descriptor_that_is_no_socket_is_refused() -> None:
    first = beyond_all()
    reader, writer = os.pipe()
    os.dup2(reader, first)
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "fifo"}
    try:
        with pytest.raises(
            StartError, match=f"descriptor {first}, which systemd passes as 'fifo', is no socket"
        ):
            activation.take(8080, environ, first)
    finally:
        for fd in (reader, writer, first):
            os.close(fd)
