"""Sockets before the fork: one port for all workers, clear errors, and the kernel's count of dropped datagrams."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from ingestd.errors import StartError
from ingestd.net.sockets import (
    SO_RCVBUFFORCE,
    Address,
    WorkerSockets,
    bind_http,
    bind_tcp,
    bind_udp,
    deal,
    grow_receive_buffer,
    kernel_drops,
    more_like,
    shown,
)

LOCAL = Address("127.0.0.1", 0)


@contextlib.contextmanager
def bound(
    workers: int, receive_buffer_bytes: int = 1 << 16, tcp: Address = LOCAL, udp: Address = LOCAL
) -> Iterator[list[WorkerSockets]]:
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(each) for each in bind_tcp(workers, tcp, 16)]
        receivers = [held.enter_context(each) for each in bind_udp(workers, udp, receive_buffer_bytes)]
        made = deal(workers, listeners, receivers)
        for group in made:
            held.enter_context(group.inbox)
            held.enter_context(group.outbox)
        yield made


def test_all_workers_share_one_port_of_each_kind() -> None:
    with bound(3) as groups:
        assert len(groups) == 3
        assert len({group.tcp[0].getsockname() for group in groups}) == 1
        assert len({group.udp[0].getsockname() for group in groups}) == 1
        assert all(group.tcp[0].getsockname()[1] for group in groups)
        for group in groups:
            assert group.tcp[0].getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            assert not any(each.getblocking() for each in group.all())


def test_fewer_workers_serve_the_sockets_of_all() -> None:
    with bound(3) as groups:
        listeners = [group.tcp[0] for group in groups]
        receivers = [group.udp[0] for group in groups]
        one, other = deal(2, listeners, receivers)
        assert (one.tcp, other.tcp) == ((listeners[0], listeners[2]), (listeners[1],))
        assert {*one.udp, *other.udp} == set(receivers)
        for sock in (*one, *other):
            if isinstance(sock, socket.socket):
                sock.close()


def test_more_sockets_on_a_port_that_is_held() -> None:
    with bound(1) as (group,):
        for held in (group.tcp[0], group.udp[0]):
            for sock in more_like(held, 2):
                with sock:
                    assert (sock.getsockname(), sock.type) == (held.getsockname(), held.type)


def test_inbox_and_outbox_are_the_ends_of_one_channel() -> None:
    with bound(2) as groups:
        for number, group in enumerate(groups):
            group.outbox.send(b"%d" % number)
        assert [group.inbox.recv(10) for group in groups] == [b"0", b"1"]


@pytest.mark.parametrize(
    ("key", "kind"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)], ids=["tcp", "udp"]
)
@pytest.mark.parametrize("reuse", [False, True])
def test_a_port_in_use_is_refused_with_what_to_do(key: str, kind: socket.SocketKind, reuse: bool) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        if reuse:  # as another daemon of this kind would hold it
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(LOCAL)
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        addresses: dict[str, Any] = {key: Address("127.0.0.1", port)}
        expected = (
            f"cannot bind listen.{key} to 127.0.0.1 port {port}: Address already in use; .*listen.{key}.port"
        )
        with pytest.raises(StartError, match=expected), bound(2, **addresses):
            pass


def test_an_address_of_another_machine_is_refused() -> None:
    with (
        pytest.raises(StartError, match=r"cannot bind listen\.tcp to 192\.0\.2\.1"),
        bound(1, tcp=Address("192.0.2.1", 0)),
    ):
        pass


def test_the_http_port_is_not_shared() -> None:
    with bind_http(LOCAL) as http:
        port = http.getsockname()[1]
        with pytest.raises(StartError, match=f"cannot bind http to 127.0.0.1 port {port}"):
            bind_http(Address("127.0.0.1", port))
        assert shown(http) == f"127.0.0.1:{port}"


def test_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        http = bind_http(Address("::1", 0))
    except StartError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with http:
        assert shown(http) == f"[::1]:{http.getsockname()[1]}"


def test_a_receive_buffer_of_the_size_asked_for_or_what_the_kernel_allows() -> None:
    with bound(1, receive_buffer_bytes=1 << 16) as small, bound(1, receive_buffer_bytes=1 << 18) as large:
        sizes = [group[0].udp[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for group in (small, large)]
    assert sizes[0] < sizes[1]


class Unprivileged(socket.socket):
    """As in a process without CAP_NET_ADMIN."""

    def setsockopt(self, level: int, option: int, value: int) -> None:  # type: ignore[override]
        if option == SO_RCVBUFFORCE:
            raise PermissionError
        super().setsockopt(level, option, value)


def test_a_receive_buffer_that_another_made_larger_is_left_so() -> None:
    with Unprivileged(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        large = receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        grow_receive_buffer(receiver, 1 << 16)
        assert receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == large
        grow_receive_buffer(receiver, 1 << 19)
        assert receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > large


def test_fewer_sockets_than_workers_are_shared() -> None:
    with bound(2) as groups:
        listeners = [group.tcp[0] for group in groups]
        made = deal(3, listeners, [groups[0].udp[0]])
        assert [group.tcp for group in made] == [(listeners[0],), (listeners[1],), (listeners[0],)]
        assert {group.udp for group in made} == {(groups[0].udp[0],)}
        for group in made:
            group.inbox.close()
            group.outbox.close()


def test_every_datagram_is_read_or_in_the_kernels_count() -> None:
    sent = 2_000
    with (
        bound(1, receive_buffer_bytes=1 << 14) as (group,),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        assert kernel_drops(group.udp[0]) == 0
        for _ in range(sent):
            sender.sendto(bytes(1000), group.udp[0].getsockname())
        read = 0
        with contextlib.suppress(BlockingIOError):
            while group.udp[0].recv(2000):
                read += 1
        assert 0 < read < sent
        assert read + kernel_drops(group.udp[0]) == sent
