"""Socket activation (sd_listen_fds(3)): sockets that the service manager made, and holds when the daemon ends.

LISTEN_FDS says how many there are, from descriptor 3 on, LISTEN_FDNAMES what FileDescriptorName= of the unit of each
says. `tcp`, `udp` and `http` are taken at their word. Under any other name, such as that of a unit which has all of
them, a datagram socket is for UDP, a stream socket on the port of `http.port` is for HTTP, and others take logs in.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping
from typing import Final, NamedTuple

from ingestd.errors import StartError

FIRST_FD: Final = 3
KINDS: Final = ("tcp", "udp", "http")

_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class Passed(NamedTuple):
    """The sockets that were passed. Of a kind of which there is none the daemon makes its own."""

    tcp: tuple[socket.socket, ...] = ()
    udp: tuple[socket.socket, ...] = ()
    http: tuple[socket.socket, ...] = ()

    def kinds(self) -> frozenset[str]:
        return frozenset(kind for kind in KINDS if getattr(self, kind))


def take(http_port: int, environ: MutableMapping[str, str] = os.environ, first_fd: int = FIRST_FD) -> Passed:
    """What was passed to this process; the variables are taken out, for they do not concern its children.

    Raises `StartError` for a socket that is of no use here.
    """
    pid, count, names = (environ.pop(variable, "") for variable in _VARIABLES)
    if pid != str(os.getpid()) or not count.isdecimal():
        return Passed()
    given = names.split(":") if names else []
    found: dict[str, list[socket.socket]] = {kind: [] for kind in KINDS}
    with contextlib.ExitStack() as undo:
        for number in range(int(count)):
            name = given[number] if number < len(given) else ""
            sock = undo.enter_context(_socket(first_fd + number, name))
            found[_kind(sock, name, http_port)].append(sock)
        if len(found["http"]) > 1:
            raise StartError(
                "systemd passes more than one socket for http; keep one ListenStream= of that port"
            )
        undo.pop_all()
    return Passed(*(tuple(found[kind]) for kind in KINDS))


def _socket(fd: int, name: str) -> socket.socket:
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise StartError(
            f"descriptor {fd}, which systemd passes as {name!r}, is no socket: {error.strerror}; "
            "use ListenStream= and ListenDatagram= alone"
        ) from error
    sock.set_inheritable(False)
    return sock


def _kind(sock: socket.socket, name: str, http_port: int) -> str:
    """What this socket is for. Raises `StartError`."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        raise StartError(
            f"the socket {name!r} that systemd passes is not of IPv4 or IPv6; give ListenStream= an address or a port"
        )
    stream = sock.type == socket.SOCK_STREAM
    if name in KINDS:
        if stream == (name == "udp"):
            wanted = "ListenDatagram=" if name == "udp" else "ListenStream="
            raise StartError(f"the socket {name!r} that systemd passes must be made by {wanted}")
        return name
    if not stream:
        return "udp"
    return "http" if http_port and sock.getsockname()[1] == http_port else "tcp"
