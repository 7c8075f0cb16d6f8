"""Connections to a real server: what a clean close is, and everything that only looks like one."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from pathlib import Path

import pytest

from tests.loadgen.sink import Sink, reset
from tools.loadgen import transports
from tools.loadgen.transports import (
    ServerClosedError,
    SetupError,
    Target,
    TcpTransport,
    Transport,
    UdpTransport,
    client_tls,
    connect,
)

BLOCK = memoryview(os.urandom(300_000).replace(b"\n", b".") + b"\n")


@pytest.fixture(params=["plain", "tls"])
def sink_pem(request: pytest.FixtureRequest, pem: Path) -> Path | None:
    return pem if request.param == "tls" else None


def tcp(sink: Sink, pem: Path | None) -> TcpTransport:
    tls = None if pem is None else client_tls(str(pem), insecure=False)
    return TcpTransport(Target("127.0.0.1", sink.port, udp=False, tls=tls), "json")


def wait_notice(transport: Transport) -> str:
    """The first thing the server says."""
    for _ in range(3_000):
        if said := transport.notice():
            return said
        threading.Event().wait(0.01)
    raise AssertionError("the server said nothing")


def test_a_clean_close_means_everything_was_read(sink_pem: Path | None) -> None:
    with Sink(sink_pem) as sink:
        transport = tcp(sink, sink_pem)
        for _ in range(5):
            transport.send(BLOCK)
            assert transport.notice() == ""
        assert transport.close() == ""
        assert bytes(sink.received[0]) == b"INGEST/1 json\n" + bytes(BLOCK) * 5


def test_a_reset_is_no_clean_close(sink_pem: Path | None) -> None:
    def after_some(_number: int, connection: socket.socket, received: int) -> bool:
        if received > 10:
            reset(connection)
            return False
        return True

    with Sink(sink_pem, after_some) as sink:
        transport = tcp(sink, sink_pem)
        with pytest.raises(OSError):
            transport.send(BLOCK)
            transport.close()
        transport.abort()
        transport.abort()


def test_a_server_that_closes_first_is_noticed(sink_pem: Path | None) -> None:
    with Sink(sink_pem, lambda _number, _connection, received: received < 10) as sink:
        transport = tcp(sink, sink_pem)
        with pytest.raises(ConnectionError):
            wait_notice(transport)
        transport.abort()


def test_under_tls_a_fin_without_close_notify_is_no_clean_close(pem: Path) -> None:
    def vanish(_number: int, connection: socket.socket, received: int) -> bool:
        if received < 10:
            return True
        # as a process that has read everything and is killed then: a FIN, and no more
        connection.recv(1)
        socket.socket.shutdown(connection, socket.SHUT_WR)
        return False

    with Sink(pem, vanish) as sink:
        transport = tcp(sink, pem)
        with pytest.raises(ServerClosedError):
            transport.close()
        transport.abort()


def test_what_the_server_says_is_heard(sink_pem: Path | None) -> None:
    def complain(_number: int, connection: socket.socket, received: int) -> bool:
        if received == len("INGEST/1 json\n"):
            connection.sendall(b"ERR shutting down\n")
        return True

    with Sink(sink_pem, complain) as sink:
        transport = tcp(sink, sink_pem)
        assert wait_notice(transport) == "ERR shutting down"
        assert transport.close() == "ERR shutting down"


def test_what_the_server_says_while_it_is_closed_is_heard(sink_pem: Path | None) -> None:
    ready = threading.Event()

    def complain_late(_number: int, connection: socket.socket, received: int) -> bool:
        if received == len("INGEST/1 json\n"):
            ready.wait(10)
            connection.sendall(b"ERR shutting down\n")
        return True

    with Sink(sink_pem, complain_late) as sink:
        transport = tcp(sink, sink_pem)
        threading.Timer(0.05, ready.set).start()
        assert transport.close() == "ERR shutting down"


def test_a_server_that_does_not_end_is_not_waited_for_forever(
    sink_pem: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(transports, "CLOSE_TIMEOUT_S", 0.2)
    with Sink(sink_pem, lambda *_: not over.wait(10)) as sink:
        transport = tcp(sink, sink_pem)
        with pytest.raises(TimeoutError):
            transport.close()
        transport.abort()
        over.set()


def test_breaking_off_a_close_confirms_nothing(sink_pem: Path | None) -> None:
    """Our own shutdown makes recv see an end that is not the server's."""
    over = threading.Event()
    with Sink(sink_pem, lambda *_: not over.wait(10)) as sink:
        transport = tcp(sink, sink_pem)
        timer = threading.Timer(0.1, transport.interrupt)
        timer.start()
        with pytest.raises(OSError):
            transport.close()
        timer.join()
        transport.abort()
        over.set()


def test_an_unknown_certificate_names_the_option(pem: Path, tmp_path: Path) -> None:
    with Sink(pem) as sink:
        target = Target("127.0.0.1", sink.port, udp=False, tls=client_tls(None, insecure=False))
        with pytest.raises(SetupError, match="--ca"):
            connect(target, "json", 1360)
        trusting = Target("127.0.0.1", sink.port, udp=False, tls=client_tls(None, insecure=True))
        assert connect(trusting, "json", 1360).close() == ""
    (tmp_path / "no.pem").write_text("nothing")
    with pytest.raises(SetupError, match="not a PEM"):
        client_tls(str(tmp_path / "no.pem"), insecure=False)


def test_a_plain_listener_names_the_option(pem: Path) -> None:
    def answer(_number: int, connection: socket.socket, _received: int) -> bool:
        connection.sendall(b"ERR this is no TLS\n")
        return True

    with Sink(None, answer) as sink, pytest.raises(SetupError, match="--plain"):
        tcp(sink, pem)


def test_tls_is_at_least_1_2() -> None:
    assert client_tls(None, insecure=False).minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.fixture
def receiver() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(10)
    return sock


@pytest.mark.parametrize("segmented", [True, False])
def test_datagrams_are_cut_where_they_should(
    receiver: socket.socket, segmented: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not segmented:  # as on a kernel that does not know the option
        monkeypatch.setattr(transports, "_UDP_SEGMENT", 9_999)
    with receiver:
        transport = UdpTransport(
            Target("127.0.0.1", receiver.getsockname()[1], udp=True, tls=None), datagram_bytes=1_000
        )
        block = memoryview(bytes(range(250)) * 161)
        transport.send(block)
        datagrams = [receiver.recv(65_536) for _ in range(41)]
        assert [len(datagram) for datagram in datagrams] == [1_000] * 40 + [250]
        assert b"".join(datagrams) == bytes(block)
        assert transport.notice() == ""
        assert transport.close() == ""


def test_refused_datagrams_are_told(receiver: socket.socket) -> None:
    with receiver:
        port = receiver.getsockname()[1]
    transport = UdpTransport(Target("127.0.0.1", port, udp=True, tls=None), 1_000)
    transport.send(memoryview(b"x\n"))
    with pytest.raises(ConnectionRefusedError):
        transport.close()
