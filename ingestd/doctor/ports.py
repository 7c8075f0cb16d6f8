"""The addresses to listen on: free, the daemon's own, or held for it."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ingestd.config import Config
from ingestd.doctor.finding import Finding, Machine, Running, fail, ok, warn
from ingestd.net.sockets import Address

_MANAGER: Final = 1  # the pid of systemd


def examine(config: Config, machine: Machine, running: Running | None) -> Iterator[Finding]:
    """All of this module."""
    tcp, udp, http = config.listen.tcp, config.listen.udp, config.http
    for key, address, kind in (
        ("listen.tcp", Address(tcp.address, tcp.port), socket.SOCK_STREAM),
        ("listen.udp", Address(udp.address, udp.port), socket.SOCK_DGRAM),
        ("http", Address(http.address, http.port), socket.SOCK_STREAM),
    ):
        yield port(key, address, kind, machine, running, not os.geteuid())


def port(
    key: str,
    address: Address,
    kind: socket.SocketKind,
    machine: Machine,
    running: Running | None,
    privileged: bool,
) -> Finding:
    """Whether the daemon could listen there, or does. `privileged`: who asks may look at all processes."""
    check = f"port of {key}"
    host = f"[{address.host}]" if ":" in address.host else address.host
    shown = f"{host}:{address.port}"
    if running is not None and (shown in running.listen or not address.port):
        return ok(check, f"the daemon (pid {running.pid}) listens on {shown}")
    code = _try(address, kind)
    if not code:
        return ok(check, f"{shown} is free" if address.port else f"any free port of {address.host}")
    if code == errno.EADDRINUSE:
        pid, name = _holder(address.port, kind, machine)
        if pid == _MANAGER:
            return ok(check, f"systemd holds {shown} for the daemon (ingestd.socket)")
        if not pid and not privileged:
            return warn(check, f"somebody listens on {shown} whom you may not look at", "run this as root")
        who = f"{name} (pid {pid})" if pid else "another process"
        return fail(
            check, f"{who} listens on {shown}", f"stop it, or set {key}.port; ss -lnp shows who it is"
        )
    if code == errno.EACCES:
        says = f"only root may listen on {shown}"
        return fail(check, says, "take a port above 1023, or have systemd hold this one: ingestd.socket")
    if code == errno.EADDRNOTAVAIL:
        return fail(
            check, f"this machine has no address {address.host}", f"set {key}.address; ip address shows all"
        )
    return fail(check, f"cannot listen on {shown}: {os.strerror(code)}", f"set {key}.address or {key}.port")


def _try(address: Address, kind: socket.SocketKind) -> int:
    """0, or why it cannot be bound."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family, kind) as trial:
            if kind == socket.SOCK_STREAM:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        return error.errno or errno.EINVAL
    return 0


def _holder(number: int, kind: socket.SocketKind, machine: Machine) -> tuple[int, str]:
    """Pid and name of a process that has a socket on that port; 0 where it cannot be told.

    /proc/net/tcp (proc(5)): number, local address:port in hexadecimal, …, the socket's inode in the tenth field.
    """
    names = ("tcp", "tcp6") if kind == socket.SOCK_STREAM else ("udp", "udp6")
    inodes = set()
    for name in names:
        try:
            lines = (machine.proc / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        inodes |= {f"socket:[{line.split()[9]}]" for line in lines if _port_of(line) == number}
    holders = sorted(pid for pid in _pids(machine.proc) if _has(machine.proc / str(pid), inodes))
    # A child that inherited it is not who holds it.
    pid = holders[0] if holders else 0
    try:
        return pid, (machine.proc / str(pid) / "comm").read_text().strip() if pid else ""
    except OSError:
        return pid, "a process"


def _port_of(line: str) -> int:
    return int(line.split()[1].rpartition(":")[2], 16)


def _pids(proc: Path) -> Iterator[int]:
    return (int(path.name) for path in proc.iterdir() if path.name.isdecimal())


def _has(folder: Path, inodes: set[str]) -> bool:
    try:
        return any(str(link.readlink()) in inodes for link in (folder / "fd").iterdir())
    except OSError:
        return False  # gone, or not for us to see
