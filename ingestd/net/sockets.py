"""Sockets made before the fork, and the hand-over of connections between workers after it.

Every worker has a listening TCP socket and a UDP socket of its own on the shared ports (SO_REUSEPORT). The
supervisor keeps them open, so what a dead worker had queued waits for its successor instead of being reset. For the
same reason a reload keeps them: workers that become fewer serve several each, and only a port given up is closed.

The kernel spreads connections over the listeners by a hash, which is uneven where they are few (4 over 2 workers
came out 3:1). So whoever accepts passes the bare socket on to the least loaded worker, by `send_fds` over a datagram
socket pair that each worker has; the receiving end is inherited by a successor as well.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
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

    tcp: tuple[socket.socket, ...]
    udp: tuple[socket.socket, ...]
    inbox: socket.socket
    outbox: socket.socket

    def all(self) -> tuple[socket.socket, ...]:
        return (*self.tcp, *self.udp, self.inbox, self.outbox)


class Address(NamedTuple):
    """Where to listen; port 0 takes a free one."""

    host: str
    port: int


def bind_tcp(count: int, address: Address, backlog: int) -> list[socket.socket]:
    """`count` listening sockets on one port. Raises `StartError` where it is taken."""
    made = _bind_group(count, address, socket.SOCK_STREAM, "listen.tcp")
    for listener in made:
        listener.listen(backlog)
    return made


def bind_udp(count: int, address: Address, receive_buffer_bytes: int) -> list[socket.socket]:
    """`count` receiving sockets on one port. Raises `StartError` where it is taken."""
    made = _bind_group(count, address, socket.SOCK_DGRAM, "listen.udp")
    for receiver in made:
        grow_receive_buffer(receiver, receive_buffer_bytes)
    return made


def more_like(sock: socket.socket, count: int) -> list[socket.socket]:
    """`count` further sockets on the port of `sock`, bound only. Raises `StartError`."""
    address = Address(*sock.getsockname()[:2])
    key = "listen.tcp" if sock.type == socket.SOCK_STREAM else "listen.udp"
    return _bind_all(count, address, socket.SocketKind(sock.type), key)


def deal(workers: int, tcp: Sequence[socket.socket], udp: Sequence[socket.socket]) -> list[WorkerSockets]:
    """Share the sockets out, at least one of each to a worker, with a new hand-over channel for each.

    Where there are fewer than workers, several workers have the same one, and the kernel wakes whoever is idle.
    """
    made = []
    for position in range(workers):
        inbox, outbox = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.append(
            WorkerSockets(_share(tcp, position, workers), _share(udp, position, workers), inbox, outbox)
        )
        for each in made[-1].all():
            each.setblocking(False)
    return made


def _share(sockets: Sequence[socket.socket], position: int, workers: int) -> tuple[socket.socket, ...]:
    return tuple(sockets[position::workers]) or (sockets[position % len(sockets)],)


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


def _bind_group(count: int, address: Address, kind: socket.SocketKind, key: str) -> list[socket.socket]:
    # A first bind without SO_REUSEPORT finds out whether another process shares the port already: two daemons would
    # otherwise split the traffic between them unseen.
    probe = _bind(address, kind, key, reuse_port=False)
    port = probe.getsockname()[1]
    probe.close()
    return _bind_all(count, Address(address.host, port), kind, key)


def _bind_all(count: int, address: Address, kind: socket.SocketKind, key: str) -> list[socket.socket]:
    with contextlib.ExitStack() as undo:  # closes what was bound when something after it cannot be
        made = [undo.enter_context(_bind(address, kind, key, reuse_port=True)) for _ in range(count)]
        undo.pop_all()
    return made


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


def grow_receive_buffer(receiver: socket.socket, nbytes: int) -> None:
    """As large as asked; without CAP_NET_ADMIN as large as net.core.rmem_max allows.

    A socket that somebody with that right has made larger, such as systemd, is left as it is.
    """
    try:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, nbytes)
    except PermissionError:
        with socket.socket(receiver.family, socket.SOCK_DGRAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, nbytes)
            allowed = trial.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        if allowed > receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF):
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, nbytes)
