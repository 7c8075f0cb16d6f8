"""The supervisor: watches, replaces, reloads, drains. It handles no records and starts no thread.

    before the fork   startup.py locks the data folder, binds sockets, makes the shared memory, or takes all over
    after it          one loop: wait for a signal or a tick; bury the dead, replace them, stop the hung, reload

Signal handlers only put a byte into a pipe. A worker that dies is replaced at once; one that keeps dying young cannot
boot, and the daemon ends with an error that says so. A worker whose heartbeat is older than
`server.heartbeat_timeout` gets SIGABRT, upon which faulthandler prints its stacks, and then SIGKILL.
SIGTERM and SIGINT drain: the listening sockets close, each worker reads what its clients had sent and writes it.
SIGHUP reloads (reload.py).
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Final

import msgspec

from ingestd import __version__, generation, inherit, journal, registry, rehearsal, sidecar
from ingestd.alerting import alert_settings, page_url
from ingestd.child import SIGNALS
from ingestd.config import Config
from ingestd.config_shown import shown_settings
from ingestd.crew import GRACE_S, Crew
from ingestd.inherit import Will
from ingestd.net.drops import KernelDrops
from ingestd.net.sockets import shown
from ingestd.notify import Notifier
from ingestd.pulse import Pulse
from ingestd.reload import Reload
from ingestd.sequences import table
from ingestd.shared import Shared
from ingestd.sidecars import Sidecars
from ingestd.statedir import announce, greet
from ingestd.stats import DRAINING, HEARTBEAT, LAYOUT, READY, SLOT_WIDTH, STATE, Foreign, index
from ingestd.store.retention import Limits, sweep

#: How often the supervisor looks around when no signal wakes it; while something starts, more often.
TICK_S: Final = 0.25
START_TICK_S: Final = 0.01

RETENTION_S: Final = 10.0

_STOPS: Final = (signal.SIGTERM, signal.SIGINT)

_DELETED: Final = index("ingestd_segments_deleted_total")
_WRITE_ERRORS: Final = index("ingestd_write_errors_total", "retention")

log = logging.getLogger("ingestd")


class Supervisor:
    """The loop. Its parts: the crew of workers, the sidecars, and the reload under way."""

    def __init__(
        self,
        shared: Shared,
        http: socket.socket,
        lock: IO[str],
        will: Will | None,
        foreign: Foreign | None,
    ) -> None:
        """`will`: what the program before this one left; `foreign`: the board on which its workers count."""
        self.http = http
        self.slot = shared.board.supervisor
        self.notifier = Notifier()
        self.crew = Crew(shared, lambda: self._sockets, foreign)
        self.sidecars = Sidecars(shared.board, shared.observations.hearing, lambda: self._sockets)
        self._sockets = {http, *generation.sockets_of(shared)}
        self._lock = lock
        self._drops = KernelDrops(self.slot, self._sockets, will.kernel_drops if will else None)
        self._pulse = Pulse(self.notifier, shared.board, self.crew, self.sidecars, self._listen)
        self._started_ns = time.time_ns() if will is None else will.started_ns
        self._stopping_s: float | None = None
        self._exit_code = 0
        self._announced = will is not None
        self._next_sweep_s = 0.0
        self._began_s = time.monotonic()
        self._reload = Reload(self)
        if will is not None:
            self.crew.adopt(will.serving, will.leaving)
            self.sidecars.adopt(will.sidecars)

    @property
    def _config(self) -> Config:
        return self.crew.shared.config

    def run(self, load: Callable[[], Config] | None) -> int:
        """Start everything or, told by `load` how to get the new configuration, go on with a reload; watch until a
        signal ends it, and drain. Returns the exit code."""
        wake, signals = self._listen_to_signals()
        try:
            if load is None:
                self.slot.adopt(os.getpid(), time.monotonic_ns(), time.time_ns())
                self.crew.start()
                self.start_sidecar()
            else:
                self._reload.go_on(load)
            while self.crew.alive() or self.sidecars.alive():
                idle = self._announced and not self._reload.under_way
                ready, _, _ = select.select([wake], [], [], TICK_S if idle else START_TICK_S)
                if ready:
                    for number in wake.recv(4096):
                        self._signalled(number)
                self._tick()
        finally:
            signal.set_wakeup_fd(-1)
            wake.close()
            signals.close()
        self._drops.count(self._sockets)
        return self._exit_code

    def _listen_to_signals(self) -> tuple[socket.socket, socket.socket]:
        wake, signals = socket.socketpair()
        wake.setblocking(False)
        signals.setblocking(False)
        signal.set_wakeup_fd(signals.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # blocked while one program replaced the other
        self._wake = wake
        return wake, signals

    def _signalled(self, number: int) -> None:
        if number in _STOPS:
            if self._stopping_s is None:
                log.info(
                    "stopping on %s: reading what clients had sent",
                    signal.Signals(number).name,
                    extra=journal.event("stopping"),
                )
            self._stop()
        elif number == signal.SIGHUP and self._stopping_s is None:
            self._reload.ask()

    def _stop(self) -> None:
        """Drain; asked a second time, hurry."""
        if self._stopping_s is None:
            self._stopping_s = time.monotonic()
            self._reload.cancel()
            self.slot[STATE] = DRAINING
            patience_s = self._config.server.drain_timeout + 2 * GRACE_S
            self.notifier.send("STOPPING=1", "STATUS=Draining", f"EXTEND_TIMEOUT_USEC={patience_s * 1e6:.0f}")
            self.let_go(
                [sock for sock in self._sockets if sock.type == socket.SOCK_STREAM and sock is not self.http]
            )
        self.crew.send(signal.SIGTERM)
        if not self.crew.alive():
            self.sidecars.send(signal.SIGTERM)

    def _tick(self) -> None:
        now = time.monotonic()
        self.slot[HEARTBEAT] = time.monotonic_ns()
        self.crew.transcribe()
        self._drops.count(self._sockets)
        if self._stopping_s is not None:
            self._tick_at_the_end(now, self._stopping_s)
            return
        self.crew.bury()
        if self.crew.hopeless:
            self._exit_code = 1
            self._stop()
            return
        self.crew.watch(now, self._config.server.heartbeat_timeout)
        self.sidecars.tick(now)
        if not self._announced:
            self._announce_when_ready()
        else:
            self._reload.tick()
        if now >= self._next_sweep_s:
            self._next_sweep_s = now + RETENTION_S
            self._sweep()
        self._pulse.tick(now, quiet=not self._announced or self._reload.under_way)

    def _tick_at_the_end(self, now: float, stopping_s: float) -> None:
        if not self.crew.bury_at_the_end():
            self._exit_code = 1
        self.sidecars.bury_at_the_end()
        if not self.crew.alive():
            self.sidecars.send(signal.SIGTERM)
        if now > stopping_s + self._config.server.drain_timeout + GRACE_S:
            for child in (*self.crew.all(), *self.sidecars.all()):
                if child.pid:
                    log.error("%s did not end within the drain time; killing it", child.name)
                    child.send(signal.SIGKILL)
                    self._exit_code = 1

    def _announce_when_ready(self) -> None:
        if self.crew.ready(self.crew.serving):
            self._announced = True
            self.slot[STATE] = READY
            self.announce()
            greet(self._config, self._listen(), len(self.crew.serving), time.monotonic() - self._began_s)

    def announce(self) -> None:
        """Tell the world where the daemon listens, and that it is ready. Raises `StartError`."""
        listen = self._listen()
        announce(Path(self._config.server.state_dir), listen)
        self.notifier.send("READY=1", f"STATUS=Listening on {listen['tcp']} (TCP), {listen['udp']} (UDP)")

    def _listen(self) -> dict[str, str]:
        sockets = self.crew.shared.sockets[0]
        return {"tcp": shown(sockets.tcp[0]), "udp": shown(sockets.udp[0]), "http": shown(self.http)}

    def start_sidecar(self) -> None:
        """Start a sidecar that shows what is in force now; it replaces the one that is there."""
        config, listen = self._config, self._listen()
        view = sidecar.View(
            version=__version__,
            started_ns=self._started_ns,
            hostname=socket.gethostname(),
            listen=listen,
            data_dir=config.server.data_dir,
            supervisor_pid=os.getpid(),
            heartbeat_timeout_s=config.server.heartbeat_timeout,
            registry=registry.Settings(
                Path(config.server.state_dir) / registry.DATABASE,
                config.registry.token,
                config.registry.max_body_bytes,
            ),
            tokens_file=config.http.tokens_file,
            cert=config.http.cert,
            key=config.http.key,
            queue_limit_bytes=config.buffer.high_water,
            settings=tuple(sidecar.Setting(*one) for one in shown_settings(config)),
            alerts=alert_settings(config, page_url(config, listen["http"])),
        )
        self.sidecars.start(self.http, view)

    def hold(self, sockets: Iterable[socket.socket]) -> None:
        """Know these as the daemon's, so that children close those that are not theirs."""
        self._sockets.update(sockets)

    def let_go(self, sockets: Iterable[socket.socket]) -> None:
        """Close these and forget them; a worker that has one serves what is queued in it."""
        self._drops.count(self._sockets)
        for sock in sockets:
            self._sockets.discard(sock)
            self._drops.forget(sock)
            sock.close()

    def _sweep(self) -> None:
        retention = self._config.retention
        limits = Limits(retention.max_total_bytes, retention.max_age, retention.min_free_bytes)
        try:
            self.slot.add(_DELETED, sweep(Path(self._config.server.data_dir), limits))
        except OSError as error:
            self.slot.add(_WRITE_ERRORS)
            log.error("retention cannot clean %s: %s", self._config.server.data_dir, error)

    def will(self) -> Will:
        """What a program in the place of this one must know."""
        shared = self.crew.shared
        return Will(
            pid=os.getpid(),
            instance=shared.instance,
            started_ns=self._started_ns,
            data_dir=(str(shared.data_dir.path), shared.data_dir.device, shared.data_dir.inode),
            strays=dict(shared.strays),
            config=msgspec.to_builtins(shared.config),
            slots=list(shared.slots),
            board_slots=shared.board.slots,
            slot_width=SLOT_WIDTH,
            layout=LAYOUT,
            sequences_layout=table.LAYOUT,
            memory={
                "board": shared.board.memory.fd,
                "rings": shared.board.rings.memory.fd,
                "sequences": shared.sequences.memory.fd,
                "loads": shared.loads.memory.fd,
            },
            lock=self._lock.fileno(),
            http=self.http.fileno(),
            tcp=[[sock.fileno() for sock in each.tcp] for each in shared.sockets],
            udp=[[sock.fileno() for sock in each.udp] for each in shared.sockets],
            inboxes=[each.inbox.fileno() for each in shared.sockets],
            outboxes=[each.outbox.fileno() for each in shared.sockets],
            kernel_drops=self._drops.last,
            serving=[child.life() for child in self.crew.serving],
            leaving=[child.life() for child in self.crew.leaving],
            sidecars=self.sidecars.lives(),
            observations=[end.fileno() for end in shared.observations],
            passed=sorted(shared.passed),
        )

    def replace_program(self) -> None:
        """Execute the installed program in the place of this one, which does not return: unless a stop was asked for
        meanwhile. Raises `OSError` where it cannot be done; nothing has changed then."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # what comes from here on waits for the new program
        try:
            if not self._stop_asked():
                will = self.will()
                number = inherit.write(will)
                inherit.keep(will.descriptors(), kept=True)
                command = rehearsal.own_command()
                environ = os.environ | self.notifier.variables | {inherit.VARIABLE: str(number)}
                try:
                    os.execve(command[0], command, environ)
                finally:  # it did not
                    inherit.keep(will.descriptors(), kept=False)
                    os.close(number)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _stop_asked(self) -> bool:
        """Look at the signals that were handled and not yet answered."""
        try:
            numbers = self._wake.recv(4096)
        except BlockingIOError:
            return False
        for number in numbers:
            self._signalled(number)
        return self._stopping_s is not None
