"""Limits and settings of the kernel: open files, queues, buffers, memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ingestd.config import Config
from ingestd.doctor.finding import Finding, Machine, Running, fail, human, ok, warn
from ingestd.shared import OWN_FILES, SOCKETS_PER_WORKER

#: Above this part of the machine's memory, what the configuration allows may meet what others need.
_MUCH: Final = 0.5


def open_files(config: Config, workers: int, hard_limit: int, whose: str) -> Finding:
    """`hard_limit` of `whose`: the daemon's, or that of this shell."""
    check = "open files"
    wanted = config.limits.max_connections + OWN_FILES + SOCKETS_PER_WORKER * workers
    if hard_limit >= wanted:
        return ok(
            check, f"{hard_limit} for {whose} allow limits.max_connections = {config.limits.max_connections}"
        )
    possible = max(1, hard_limit - OWN_FILES - SOCKETS_PER_WORKER * workers)
    says = f"{hard_limit} for {whose} allow {possible} of limits.max_connections = {config.limits.max_connections}"
    do = f"LimitNOFILE={wanted} in the unit (systemctl edit ingestd), or ulimit -Hn {wanted}"
    return (fail if possible < OWN_FILES else warn)(check, says, do)


def receive_buffer(config: Config, machine: Machine, running: Running | None) -> Finding:
    """The largest receive buffer of UDP that a process without privileges gets."""
    check, wanted = "net.core.rmem_max", config.listen.udp.receive_buffer
    allowed = machine.sysctl(check)
    if allowed is None:
        return _unreadable(check)
    if running is not None and running.net_admin:
        return ok(check, f"{human(allowed)}, which the daemon may exceed (CAP_NET_ADMIN)")
    if allowed >= wanted:
        return ok(check, f"{human(allowed)} allow listen.udp.receive_buffer = {human(wanted)}")
    says = (
        f"{human(allowed)} are less than listen.udp.receive_buffer = {human(wanted)}: the kernel drops "
        "datagrams of a burst sooner, unless ingestd.socket passes larger buffers"
    )
    return warn(check, says, _set(check, wanted))


def backlog(config: Config, machine: Machine) -> Finding:
    """The longest queue of connections that nobody has accepted yet."""
    check, wanted = "net.core.somaxconn", config.listen.tcp.backlog
    allowed = machine.sysctl(check)
    if allowed is None:
        return _unreadable(check)
    if allowed >= wanted:
        return ok(check, f"{allowed} allow listen.tcp.backlog = {wanted}")
    says = f"{allowed} is less than listen.tcp.backlog = {wanted}: a storm of connections is refused sooner"
    return warn(check, says, _set(check, wanted))


def migration(machine: Machine) -> Finding:
    """Whether what is queued at a listener that closes goes to another of the same port (Linux 5.14)."""
    check = "net.ipv4.tcp_migrate_req"
    value = machine.sysctl(check)
    if value is None:
        return _unreadable(check)
    if value:
        return ok(check, "what is queued at a listening socket that closes moves to another")
    says = "0: a handshake under way at a listening socket that closes (fewer workers, a stop) is reset"
    return warn(check, says, _set(check, 1))


def memory(config: Config, machine: Machine, workers: int) -> Finding:
    """What connections and queues of all workers may take at most, beside what the machine has."""
    check = "memory"
    total = _total_bytes(machine)
    if total is None:
        return _unreadable("/proc/meminfo")
    most = workers * (config.limits.memory_budget + config.buffer.high_water)
    says = f"connections and queues of {workers} workers take {human(most)} at most, of {human(total)}"
    if most <= _MUCH * total:
        return ok(check, says)
    return warn(check, says, "lower limits.memory_budget, buffer.high_water or server.workers")


def _total_bytes(machine: Machine) -> int | None:
    try:
        lines = (machine.proc / "meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((_kibibytes(line) for line in lines if line.startswith("MemTotal:")), None)


def _kibibytes(line: str) -> int:
    return int(line.split()[1]) << 10


def examine(
    config: Config, machine: Machine, running: Running | None, workers: int, own_limit: int
) -> Iterator[Finding]:
    """All of this module. `own_limit`: the hard limit of open files of this process."""
    if running is not None:
        yield open_files(config, workers, running.open_files, f"the daemon (pid {running.pid})")
    else:
        yield open_files(config, workers, own_limit, "this shell")
    yield receive_buffer(config, machine, running)
    yield backlog(config, machine)
    yield migration(machine)
    yield memory(config, machine, workers)


def _set(name: str, value: int) -> str:
    return f"sysctl -w {name}={value}, and the same in /etc/sysctl.d/60-ingestd.conf for the next boot"


def _unreadable(name: str) -> Finding:
    return warn(name, "cannot be read here", f"read it where the daemon runs: sysctl {name}")
