"""A generation: the workers that one start or one reload makes, and what they share. Nothing of it runs here.

What a reload leaves as it was is kept: a socket stays open as long as its address stays in the configuration, so what
the kernel has queued for it is served, by whoever serves then. Workers that become fewer share out the sockets of all.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import secrets
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ingestd import ports
from ingestd.activation import Passed
from ingestd.config import Config
from ingestd.crew import SLOTS_PER_WORKER
from ingestd.net.balance import LoadTable
from ingestd.net.sockets import Address, bind_tcp, bind_udp, deal, grow_receive_buffer
from ingestd.observe import channel
from ingestd.ports import Sockets
from ingestd.sequences import checkpoint
from ingestd.sequences.table import Sequences
from ingestd.shared import Shared, connection_limit, tls_context
from ingestd.stats import Board
from ingestd.store.folder import Folder
from ingestd.store.takeover import strays

log: Final = logging.getLogger("ingestd")


def workers_of(config: Config) -> int:
    """How many worker processes the configuration asks for."""
    return config.server.workers or len(os.sched_getaffinity(0))


def first(config: Config, passed: Passed) -> Shared:
    """What the first generation of a daemon shares, with the sockets that it was passed. Raises `StartError`."""
    workers = workers_of(config)
    allow_connections(config.limits.max_connections, workers)
    context = tls_context(config)
    tcp, udp, bind = config.listen.tcp, config.listen.udp, _Bind(config, workers)
    listeners = ports.first(passed.tcp, "listen.tcp", Address(tcp.address, tcp.port), workers, bind.tcp)
    receivers = ports.first(passed.udp, "listen.udp", Address(udp.address, udp.port), workers, bind.udp)
    _set_queues(config, listeners, receivers)
    data_dir, state_dir = Path(config.server.data_dir), Path(config.server.state_dir)
    sequences = Sequences()
    checkpoint.restore(sequences, state_dir, data_dir, int(time.time()))
    return Shared(
        config,
        secrets.token_hex(8),
        Folder.at(data_dir),
        strays(data_dir, workers),
        Board(SLOTS_PER_WORKER * workers),
        sequences,
        LoadTable(workers),
        deal(workers, listeners, receivers),
        range(workers),
        context,
        channel.make_pair(),
        passed.kinds(),
    )


def following(before: Shared, config: Config, slots: Sequence[int]) -> Shared:
    """What the generation after `before` shares, with these slots. Raises `StartError`; then nothing was changed."""
    workers = len(slots)
    allow_connections(config.limits.max_connections, workers)
    context = tls_context(config)
    was, now = before.config.listen, config.listen
    bind = _Bind(config, workers)
    with contextlib.ExitStack() as undo:
        listeners = ports.following(
            (sock for sockets in before.sockets for sock in sockets.tcp),
            workers,
            passed="tcp" in before.passed,
            moved=(was.tcp.address, was.tcp.port) != (now.tcp.address, now.tcp.port),
            bind=bind.tcp,
            undo=undo,
        )
        receivers = ports.following(
            (sock for sockets in before.sockets for sock in sockets.udp),
            workers,
            passed="udp" in before.passed,
            moved=(was.udp.address, was.udp.port) != (now.udp.address, now.udp.port),
            bind=bind.udp,
            undo=undo,
        )
        undo.pop_all()
    _set_queues(config, listeners, receivers)
    return before._replace(
        config=config,
        loads=LoadTable(workers),
        sockets=deal(workers, listeners, receivers),
        slots=slots,
        context=context,
    )


class _Bind:
    """Binds what `config` names, for so many workers."""

    def __init__(self, config: Config, workers: int) -> None:
        self._listen = config.listen
        self._workers = workers

    def tcp(self) -> list[socket.socket]:
        tcp = self._listen.tcp
        return bind_tcp(self._workers, Address(tcp.address, tcp.port), tcp.backlog)

    def udp(self) -> list[socket.socket]:
        udp = self._listen.udp
        return bind_udp(self._workers, Address(udp.address, udp.port), udp.receive_buffer)


def _set_queues(config: Config, listeners: Sockets, receivers: Sockets) -> None:
    """What the kernel may queue, for sockets that were there before as well."""
    for listener in listeners:
        listener.listen(config.listen.tcp.backlog)  # once more, where it does: that sets the length
    for receiver in receivers:
        grow_receive_buffer(receiver, config.listen.udp.receive_buffer)


def sockets_of(shared: Shared) -> set[socket.socket]:
    return {sock for sockets in shared.sockets for sock in sockets.all()}.union(shared.observations)


def allow_connections(configured: int, workers: int) -> None:
    """Raise the limit of open files as far as it goes without privileges, and say so where that is not enough."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    allowed = connection_limit(configured, workers)
    if allowed < configured:
        log.warning(
            "only %d of limits.max_connections = %d are possible with %d open files; raise LimitNOFILE or ulimit -Hn",
            allowed,
            configured,
            hard,
        )
