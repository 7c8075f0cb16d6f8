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
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from ingestd.config import Config
from ingestd.crew import SLOTS_PER_WORKER
from ingestd.net.balance import LoadTable
from ingestd.net.sockets import Address, bind_http, bind_tcp, bind_udp, deal, grow_receive_buffer, more_like
from ingestd.observe import channel
from ingestd.sequences import checkpoint
from ingestd.sequences.table import Sequences
from ingestd.shared import Shared, connection_limit, tls_context
from ingestd.stats import Board
from ingestd.store.folder import Folder
from ingestd.store.takeover import strays

Sockets = Sequence[socket.socket]

log: Final = logging.getLogger("ingestd")


def workers_of(config: Config) -> int:
    """How many worker processes the configuration asks for."""
    return config.server.workers or len(os.sched_getaffinity(0))


def first(config: Config) -> Shared:
    """What the first generation of a daemon shares. Raises `StartError`."""
    workers = workers_of(config)
    allow_connections(config.limits.max_connections, workers)
    context = tls_context(config)
    tcp, udp = config.listen.tcp, config.listen.udp
    listeners = bind_tcp(workers, Address(tcp.address, tcp.port), tcp.backlog)
    receivers = bind_udp(workers, Address(udp.address, udp.port), udp.receive_buffer)
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
    )


def following(before: Shared, config: Config, slots: Sequence[int]) -> Shared:
    """What the generation after `before` shares, with these slots. Raises `StartError`; then nothing was changed."""
    workers = len(slots)
    allow_connections(config.limits.max_connections, workers)
    context = tls_context(config)
    was, now = before.config.listen, config.listen
    listeners = [sock for sockets in before.sockets for sock in sockets.tcp]
    receivers = [sock for sockets in before.sockets for sock in sockets.udp]
    with contextlib.ExitStack() as undo:
        if (was.tcp.address, was.tcp.port) != (now.tcp.address, now.tcp.port):
            listeners = bind_tcp(workers, Address(now.tcp.address, now.tcp.port), now.tcp.backlog)
            undo.callback(close, listeners)
        elif len(listeners) < workers:
            more = more_like(listeners[0], workers - len(listeners))
            undo.callback(close, more)
            listeners += more
        if (was.udp.address, was.udp.port) != (now.udp.address, now.udp.port):
            receivers = bind_udp(workers, Address(now.udp.address, now.udp.port), now.udp.receive_buffer)
            undo.callback(close, receivers)
        elif len(receivers) < workers:
            more = more_like(receivers[0], workers - len(receivers))
            undo.callback(close, more)
            receivers += more
        undo.pop_all()
    for listener in listeners:
        listener.listen(now.tcp.backlog)  # once more, where it does: that sets the new length of its queue
    for receiver in receivers:
        grow_receive_buffer(receiver, now.udp.receive_buffer)
    return before._replace(
        config=config,
        loads=LoadTable(workers),
        sockets=deal(workers, listeners, receivers),
        slots=slots,
        context=context,
    )


def following_http(sock: socket.socket, before: Config, config: Config) -> socket.socket:
    """The sidecar's socket under `config`: the same, unless its address changed. Raises `StartError`."""
    if before.http == config.http:
        return sock
    return bind_http(Address(config.http.address, config.http.port))


def sockets_of(shared: Shared) -> set[socket.socket]:
    return {sock for sockets in shared.sockets for sock in sockets.all()}.union(shared.observations)


def close(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


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
