"""The supervisor: binds, forks, watches, drains. It handles no records and starts no thread.

    before the fork   lock the data folder, bind every socket, load the certificate, map the shared memory
    after it          one loop: wait for a signal or a tick; bury the dead, replace them, stop the hung

Signal handlers only put a byte into a pipe. A worker that dies is replaced at once; one that keeps dying young
(`SHORT_LIVES` in a row) cannot boot, and the daemon ends with an error that says so. A worker whose heartbeat is
older than `server.heartbeat_timeout` gets SIGABRT, upon which faulthandler prints its stacks, and then SIGKILL.
SIGTERM and SIGINT drain: the listening sockets close, each worker reads what its clients had sent and writes it.
"""

from __future__ import annotations

import logging
import os
import resource
import secrets
import select
import signal
import socket
import time
from pathlib import Path
from typing import Final

from ingestd import __version__, registry, sidecar, worker
from ingestd.child import SIGNALS, Child, ending
from ingestd.config import Config
from ingestd.net.balance import LoadTable
from ingestd.net.sockets import Address, bind_http, bind_workers, shown
from ingestd.net.tls import server_context
from ingestd.notify import Notifier
from ingestd.sequences import checkpoint
from ingestd.sequences.table import Sequences
from ingestd.statedir import announce, greet, lock_data_dir, prepare_folders, withdraw
from ingestd.stats import DRAINING, HEARTBEAT, READY, STATE, Board, index
from ingestd.store.retention import Limits, sweep

#: How often the supervisor looks around when no signal wakes it; while starting, more often.
TICK_S: Final = 0.25
START_TICK_S: Final = 0.01

#: A worker that lived less than `YOUNG_S` died young; so many in a row and the daemon gives up.
YOUNG_S: Final = 2.0
SHORT_LIVES: Final = 5

#: The longest pause before a sidecar that keeps dying is started again.
SIDECAR_PAUSE_S: Final = 5.0

#: From SIGABRT (stacks are printed) to SIGKILL, and from the end of the drain time to SIGKILL.
GRACE_S: Final = 2.0

RETENTION_S: Final = 10.0

_WORKER_RESTARTS: Final = index("ingestd_worker_restarts_total")
_SIDECAR_RESTARTS: Final = index("ingestd_sidecar_restarts_total")
_DELETED: Final = index("ingestd_segments_deleted_total")
_WRITE_ERRORS: Final = index("ingestd_write_errors_total", "retention")

log = logging.getLogger("ingestd")


def run(config: Config) -> int:
    """Be the daemon until SIGTERM or SIGINT; returns the exit code. Raises `StartError`."""
    tcp = config.listen.tcp
    context = None
    if not tcp.plaintext:
        client_ca = Path(tcp.client_ca) if tcp.client_ca else None
        context = server_context(Path(tcp.cert), Path(tcp.key), client_ca)
    data_dir, state_dir = Path(config.server.data_dir), Path(config.server.state_dir)
    prepare_folders(data_dir, state_dir)
    lock = lock_data_dir(data_dir)
    withdraw(state_dir)  # one that was killed left its own
    workers = config.server.workers or len(os.sched_getaffinity(0))
    _allow_connections(config.limits.max_connections, workers)
    sockets = bind_workers(
        workers,
        Address(tcp.address, tcp.port),
        Address(config.listen.udp.address, config.listen.udp.port),
        tcp.backlog,
        config.listen.udp.receive_buffer,
    )
    http = bind_http(Address(config.http.address, config.http.port))
    board = Board(workers)
    sequences = Sequences()
    checkpoint.restore(sequences, state_dir, data_dir, int(time.time()))
    shared = worker.Shared(
        config, secrets.token_hex(8), board, sequences, LoadTable(workers), sockets, context
    )
    try:
        code = Supervisor(shared, http).run()
        _save(sequences, state_dir, data_dir)
        return code
    finally:
        withdraw(state_dir)
        lock.close()


def _save(sequences: Sequences, state_dir: Path, data_dir: Path) -> None:
    """The last checkpoint: the next start has no segment to read."""
    try:
        checkpoint.save(sequences, state_dir, data_dir)
    except OSError as error:
        log.error("cannot write %s: %s", state_dir / checkpoint.FILE, error.strerror)


def _allow_connections(configured: int, workers: int) -> None:
    """Raise the limit of open files as far as it goes without privileges, and say so where that is not enough."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    allowed = worker.connection_limit(configured, workers)
    if allowed < configured:
        log.warning(
            "only %d of limits.max_connections = %d are possible with %d open files; raise LimitNOFILE or ulimit -Hn",
            allowed,
            configured,
            hard,
        )


class Supervisor:
    """The loop and its children."""

    def __init__(self, shared: worker.Shared, http: socket.socket) -> None:
        config = shared.config
        self._config = config
        self._board = shared.board
        self._slot = shared.board.supervisor
        self._sockets = shared.sockets
        self._http = http
        self._notifier = Notifier()
        self._stopping_s: float | None = None
        self._exit_code = 0
        self._announced = False
        self._next_sweep_s = self._next_watchdog_s = 0.0
        self._began_s = time.monotonic()
        self._listen = {
            "tcp": shown(shared.sockets[0].tcp),
            "udp": shown(shared.sockets[0].udp),
            "http": shown(http),
        }
        me = os.getpid()
        self._workers = [
            Child(f"worker {number}", lambda number=number: worker.run(number, shared, me))  # type: ignore[misc]
            for number in range(len(shared.sockets))
        ]
        view = sidecar.View(
            version=__version__,
            started_ns=time.time_ns(),
            hostname=socket.gethostname(),
            listen=self._listen,
            data_dir=config.server.data_dir,
            supervisor_pid=me,
            heartbeat_timeout_s=config.server.heartbeat_timeout,
            registry=registry.Settings(
                Path(config.server.state_dir) / registry.DATABASE,
                config.registry.token,
                config.registry.max_body_bytes,
            ),
        )
        self._sidecar = Child("sidecar", lambda: self._be_sidecar(view))

    def _be_sidecar(self, view: sidecar.View) -> int:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        for group in self._sockets:
            for each in group:
                each.close()
        sidecar.run(self._board, self._http, view)
        return 0

    def run(self) -> int:
        """Start everything, watch it until a signal ends it, and drain."""
        wake, signals = self._listen_to_signals()
        self._slot.adopt(os.getpid(), time.monotonic_ns(), time.time_ns())
        try:
            for child in (*self._workers, self._sidecar):
                child.fork()
            while self._alive():
                ready, _, _ = select.select([wake], [], [], TICK_S if self._announced else START_TICK_S)
                if ready:
                    for number in wake.recv(4096):
                        self._signalled(number)
                self._tick()
        finally:
            signal.set_wakeup_fd(-1)
            wake.close()
            signals.close()
        return self._exit_code

    def _listen_to_signals(self) -> tuple[socket.socket, socket.socket]:
        wake, signals = socket.socketpair()
        wake.setblocking(False)
        signals.setblocking(False)
        signal.set_wakeup_fd(signals.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        return wake, signals

    def _alive(self) -> bool:
        return any(child.pid for child in (*self._workers, self._sidecar))

    def _signalled(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            if self._stopping_s is None:
                log.info("stopping on %s: reading what clients had sent", signal.Signals(number).name)
            self._stop()
        elif number == signal.SIGHUP:
            log.warning("SIGHUP: reload is not supported yet; restart to apply a new configuration")

    def _stop(self) -> None:
        """Drain; asked a second time, hurry."""
        if self._stopping_s is None:
            self._stopping_s = time.monotonic()
            self._slot[STATE] = DRAINING
            self._notifier.send("STOPPING=1", "STATUS=Draining")
            for group in self._sockets:
                group.tcp.close()
                group.udp.close()
        for child in self._workers:
            child.send(signal.SIGTERM)
        if not any(child.pid for child in self._workers):
            self._sidecar.send(signal.SIGTERM)

    def _tick(self) -> None:
        now = time.monotonic()
        self._slot[HEARTBEAT] = time.monotonic_ns()
        self._bury()
        if self._stopping_s is not None:
            if now > self._stopping_s + self._config.server.drain_timeout + GRACE_S:
                self._give_up()
            return
        self._watch(now)
        if not self._sidecar.pid and now >= self._sidecar.due_s:
            self._slot.add(_SIDECAR_RESTARTS)
            self._sidecar.fork()
        if not self._announced:
            self._announce_when_ready()
        if now >= self._next_sweep_s:
            self._next_sweep_s = now + RETENTION_S
            self._sweep()
        if self._notifier.watchdog_s and now >= self._next_watchdog_s:
            self._next_watchdog_s = now + self._notifier.watchdog_s / 2
            self._notifier.send("WATCHDOG=1")

    def _bury(self) -> None:
        """Take leave of dead children; replace them unless the daemon is stopping."""
        for child in (*self._workers, self._sidecar):
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if not pid:
                continue
            child.pid = 0
            code = os.waitstatus_to_exitcode(status)
            if self._stopping_s is not None:
                self._buried_while_stopping(child, code)
            else:
                self._replace(child, code)

    def _buried_while_stopping(self, child: Child, code: int) -> None:
        if code and child is not self._sidecar:
            log.error("%s %s while draining; its records in flight are lost", child.name, ending(code))
            self._exit_code = 1
        if not any(worker.pid for worker in self._workers):
            self._sidecar.send(signal.SIGTERM)

    def _replace(self, child: Child, code: int) -> None:
        young = time.monotonic() - child.started_s < YOUNG_S
        child.short_lives = child.short_lives + 1 if young else 0
        if child is self._sidecar:
            # Without it nobody sees the counters, but records go on: it is tried for ever, less and less often.
            child.due_s = time.monotonic() + min(0.1 * 2 ** min(child.short_lives, 10), SIDECAR_PAUSE_S)
            log.error("%s %s; replacing it", child.name, ending(code))
            return
        if child.short_lives >= SHORT_LIVES:
            log.critical(
                "%s %s %d times within %g s of its start; giving up: see the messages above for the cause",
                child.name,
                ending(code),
                child.short_lives,
                YOUNG_S,
            )
            self._exit_code = 1
            self._stop()
            return
        log.error("%s %s; replacing it", child.name, ending(code))
        self._slot.add(_WORKER_RESTARTS)
        child.fork()

    def _watch(self, now: float) -> None:
        """Stop workers that are alive but stuck."""
        timeout_s = self._config.server.heartbeat_timeout
        for number, child in enumerate(self._workers):
            beat_s = self._board.slot(number)[HEARTBEAT] / 1e9
            silent_s = now - max(beat_s, child.started_s)
            if not child.pid or silent_s <= timeout_s:
                continue
            if child.aborted_s is None:
                log.error("%s has not moved for %.1f s; its stacks follow", child.name, silent_s)
                child.aborted_s = now
                child.send(signal.SIGABRT)
            elif now > child.aborted_s + GRACE_S:
                child.send(signal.SIGKILL)

    def _announce_when_ready(self) -> None:
        if all(self._board.slot(number)[STATE] == READY for number in range(len(self._workers))):
            self._announced = True
            self._slot[STATE] = READY
            announce(Path(self._config.server.state_dir), self._listen)
            greet(self._config, self._listen, len(self._workers), time.monotonic() - self._began_s)
            status = f"STATUS=Listening on {self._listen['tcp']} (TCP), {self._listen['udp']} (UDP)"
            self._notifier.send("READY=1", status)

    def _sweep(self) -> None:
        retention = self._config.retention
        limits = Limits(retention.max_total_bytes, retention.max_age, retention.min_free_bytes)
        try:
            self._slot.add(_DELETED, sweep(Path(self._config.server.data_dir), limits))
        except OSError as error:
            self._slot.add(_WRITE_ERRORS)
            log.error("retention cannot clean %s: %s", self._config.server.data_dir, error)

    def _give_up(self) -> None:
        for child in (*self._workers, self._sidecar):
            if child.pid:
                log.error("%s did not end within the drain time; killing it", child.name)
                child.send(signal.SIGKILL)
                self._exit_code = 1
