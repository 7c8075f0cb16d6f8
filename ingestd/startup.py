"""From nothing to a supervisor, or from the program that it replaces.

    first    lock the data folder, bind every socket, make the shared memory, load the certificate
    later    (SIGHUP) take all of that over from the program before, which has the same pid, and let the reload go on

`rehearse` is the question before a reload: whether this code could do the latter.
"""

from __future__ import annotations

import importlib
import logging
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec

from ingestd import activation, generation, inherit, ports, rehearsal
from ingestd.config import Config
from ingestd.crew import SLOTS_PER_WORKER
from ingestd.errors import IngestdError, StartError
from ingestd.inherit import Will
from ingestd.memory import Memory
from ingestd.net.balance import LoadTable
from ingestd.net.sockets import WorkerSockets
from ingestd.observe import channel
from ingestd.rings import Rings
from ingestd.sequences import checkpoint, table
from ingestd.sequences.table import Sequences
from ingestd.shared import Shared, tls_context
from ingestd.statedir import lock_data_dir, prepare_folders, withdraw
from ingestd.stats import LAYOUT, SLOT_WIDTH, Board, Foreign
from ingestd.store.folder import Folder
from ingestd.supervisor import Supervisor

log = logging.getLogger("ingestd")


def run(load: Callable[[], Config]) -> int:
    """Be the daemon until SIGTERM or SIGINT; returns the exit code. Raises `IngestdError`."""
    will = inherit.take()
    return _begin(load()) if will is None else _go_on(will, load)


def _begin(config: Config) -> int:
    data_dir, state_dir = Path(config.server.data_dir), Path(config.server.state_dir)
    prepare_folders(data_dir, state_dir)
    lock = lock_data_dir(data_dir)
    withdraw(state_dir)  # one that was killed left its own
    passed = activation.take(config.http.port)
    shared = generation.first(config, passed)
    http = ports.first_http(config, passed)
    return _run(Supervisor(shared, http, lock, None, None), None, lock, state_dir)


def _go_on(will: Will, load: Callable[[], Config]) -> int:
    config = _config_in_force(will, load)
    http = socket.socket(fileno=will.http)
    lock = os.fdopen(will.lock, "r+")
    board, foreign = _board(will, load)
    loads = LoadTable(len(will.slots), Memory.inherited(will.memory["loads"]))
    context = _context(config, load)
    sequences = Sequences(memory=Memory.inherited(will.memory["sequences"]))
    path, device, inode = will.data_dir
    shared = Shared(
        config,
        will.instance,
        Folder(Path(path), device, inode),
        will.strays,
        board,
        sequences,
        loads,
        _sockets(will),
        will.slots,
        context,
        _observations(will),
        frozenset(will.passed),
    )
    supervisor = Supervisor(shared, http, lock, will, foreign)
    return _run(supervisor, load, lock, Path(config.server.state_dir))


def _run(supervisor: Supervisor, load: Callable[[], Config] | None, lock: IO[str], state_dir: Path) -> int:
    try:
        code = supervisor.run(load)
        _save(supervisor.crew.shared)
        return code
    finally:
        withdraw(state_dir)
        lock.close()


def _save(shared: Shared) -> None:
    """The last checkpoint: the next start has no segment to read."""
    state_dir = Path(shared.config.server.state_dir)
    try:
        checkpoint.save(shared.sequences, state_dir, Path(shared.config.server.data_dir))
    except OSError as error:
        log.error("cannot write %s: %s", state_dir / checkpoint.FILE, error.strerror)


def rehearse(config: Config) -> str:
    """Go as far with a start as is possible without taking anything; the identity of what would run.

    Raises `IngestdError` that says what is in the way, and whatever a half-installed package raises.
    """
    importlib.import_module("ingestd.sidecar.process")  # all that a daemon imports late
    will = inherit.offered()
    if will is not None:
        fixed = ("data_dir", "state_dir")
        now = msgspec.to_builtins(config.server)
        changed = [f"server.{key}" for key in fixed if Path(will.config["server"][key]) != Path(now[key])]
        if changed:
            raise StartError(
                f"{' and '.join(changed)} cannot change while the daemon runs; restart it for that"
            )
        if will.sequences_layout != table.LAYOUT:
            raise StartError(
                "this version keeps the clients' sequences in another way; restart the daemon for it"
            )
    return rehearsal.identity(config)


def _config_in_force(will: Will, load: Callable[[], Config]) -> Config:
    """The configuration of the workers that serve. Where this version cannot read it any more, the new one."""
    try:
        return msgspec.convert(will.config, Config)
    except msgspec.ValidationError as error:
        log.warning("the configuration so far means nothing to this version: %s", error)
        return load()


def _context(config: Config, load: Callable[[], Config]) -> ssl.SSLContext | None:
    """For a worker of the generation in force that must be replaced. Where its certificate is gone, the new one."""
    try:
        return tls_context(config)
    except StartError as error:
        log.warning("the certificate so far is gone: %s", error)
        return tls_context(load())


def _sockets(will: Will) -> list[WorkerSockets]:
    """The sockets of the generation in force, as they were dealt out."""
    dealt = list(zip(will.tcp, will.udp, will.inboxes, will.outboxes, strict=True))
    descriptors = {fd for tcp, udp, inbox, outbox in dealt for fd in (*tcp, *udp, inbox, outbox)}
    sockets = {fd: socket.socket(fileno=fd) for fd in descriptors}  # workers may share one
    for each in sockets.values():
        each.setblocking(False)
    return [
        WorkerSockets(
            tuple(sockets[fd] for fd in tcp),
            tuple(sockets[fd] for fd in udp),
            sockets[inbox],
            sockets[outbox],
        )
        for tcp, udp, inbox, outbox in dealt
    ]


def _observations(will: Will) -> channel.Pair:
    """The pair that workers and sidecars tell each other by; a new one where the program before had none."""
    if not will.observations:
        return channel.make_pair()
    pair = channel.Pair(*(socket.socket(fileno=fd) for fd in will.observations))
    for end in pair:
        end.setblocking(False)
    return pair


def _board(will: Will, load: Callable[[], Config]) -> tuple[Board, Foreign | None]:
    """The counters: in the memory where they are, or where they lie differently now, or are too few, carried over."""
    try:
        slots = max(will.board_slots, SLOTS_PER_WORKER * generation.workers_of(load()))
    except IngestdError:
        slots = will.board_slots  # the reload will say what is wrong
    memory = Memory.inherited(will.memory["board"])
    rings = Rings(Memory.inherited(will.memory["rings"])) if "rings" in will.memory else None
    if (will.layout, will.slot_width, will.board_slots) == (LAYOUT, SLOT_WIDTH, slots):
        return Board(slots, memory, rings), None
    board, foreign = (
        Board(slots, rings=rings),
        Foreign(memory, will.board_slots, will.slot_width, will.layout),
    )
    for number in range(will.board_slots):
        foreign.transcribe(number, board.slot(number))
    foreign.transcribe(will.board_slots, board.supervisor)
    return board, foreign
