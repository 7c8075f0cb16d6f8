"""Sockets made before the fork, and the hand-over of connections between workers after it.

Every worker has a listening TCP socket and a UDP socket of its own on the shared ports (SO_REUSEPORT). The
supervisor keeps them open, so what a dead worker had queued waits for its successor instead of being reset.

The kernel spreads connections over the listeners by a hash, which is uneven where they are few (4 over 2 workers
came out 3:1). So whoever accepts passes the bare socket on to the least loaded worker, by `send_fds` over a datagram
socket pair that each worker has; the receiving end is inherited by a successor as well.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Final, NamedTuple

from ingestd.errors import StartError

#: Linux, include/uapi/asm-generic/socket.h: a getsockopt of the socket's memory counters; Python has no name for it.
SO_MEMINFO: Final = 55
_SK_MEMINFO_VARS: Final = 9
_SK_MEMINFO_DROPS: Final = 8

#: Linux, include/uapi/asm-generic/socket.h: SO_RCVBUF beyond net.core.rmem_max, for CAP_NET_ADMIN.
SO_RCVBUFFORCE: Final = 33


class WorkerSockets(NamedTuple):
    """What one worker listens on, and the two ends of its hand-over channel."""

    tcp: socket.socket
    udp: socket.socket
    inbox: socket.socket
    outbox: socket.socket


class Address(NamedTuple):
    """Where to listen; port 0 takes a free one."""

    host: str
    port: int


def bind_workers(
    workers: int, tcp: Address, udp: Address, backlog: int, receive_buffer_bytes: int
) -> list[WorkerSockets]:
    """The sockets of all workers, on one TCP and one UDP port. Raises `StartError` where a port is taken."""
    with contextlib.ExitStack() as undo:  # closes what was bound when something after it cannot be
        tcp_sockets = [
            undo.enter_context(each) for each in _bind_group(workers, tcp, socket.SOCK_STREAM, "listen.tcp")
        ]
        udp_sockets = [
            undo.enter_context(each) for each in _bind_group(workers, udp, socket.SOCK_DGRAM, "listen.udp")
        ]
        for listener in tcp_sockets:
            listener.listen(backlog)
        for receiver in udp_sockets:
            _grow_receive_buffer(receiver, receive_buffer_bytes)
        undo.pop_all()
    pairs = (socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(workers))
    made = [WorkerSockets(t, u, *pair) for t, u, pair in zip(tcp_sockets, udp_sockets, pairs, strict=True)]
    for group in made:
        for each in group:
            each.setblocking(False)
    return made


def bind_http(address: Address) -> socket.socket:
    """The sidecar's listening socket. Raises `StartError`."""
    made = _bind(address, socket.SOCK_STREAM, "http", reuse_port=False)
    made.listen(128)
    made.setblocking(False)
    return made


def shown(sock: socket.socket) -> str:
    """`127.0.0.1:3001` or `[::1]:3001`: where a socket is bound."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def kernel_drops(receiver: socket.socket) -> int:
    """Datagrams dropped at this socket since it was made (modulo 2**32): what SO_RXQ_OVFL tells with a datagram.

    Read by SO_MEMINFO, which shows the same counter (`sk_drops`) at any time and costs nothing per datagram; an
    ancillary message would leave the drops behind the last datagram untold.
    """
    counters = receiver.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * _SK_MEMINFO_VARS)
    return int.from_bytes(counters[4 * _SK_MEMINFO_DROPS : 4 * _SK_MEMINFO_VARS], "little")


def _bind_group(count: int, address: Address, kind: socket.SocketKind, key: str) -> Iterator[socket.socket]:
    # A first bind without SO_REUSEPORT finds out whether another process shares the port already: two daemons would
    # otherwise split the traffic between them unseen.
    probe = _bind(address, kind, key, reuse_port=False)
    port = probe.getsockname()[1]
    probe.close()
    for _ in range(count):
        yield _bind(Address(address.host, port), kind, key, reuse_port=True)


def _bind(address: Address, kind: socket.SocketKind, key: str, reuse_port: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    made = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        raise StartError(
            f"cannot bind {key} to {address.host} port {address.port}: {os.strerror(error.errno or 0)}; "
            f"stop what uses it, or set {key}.port or {key}.address"
        ) from error
    return made


def _grow_receive_buffer(receiver: socket.socket, nbytes: int) -> None:
    """As large as asked; without CAP_NET_ADMIN as large as net.core.rmem_max allows."""
    try:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, nbytes)
    except PermissionError:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, nbytes)
