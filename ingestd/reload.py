"""SIGHUP: new certificates, a new configuration, new code, and nobody who sends notices.

    rehearse     a subprocess starts the installed code on the configuration as far as that goes without taking anything
    refuse       it cannot: say why, change nothing
    certificates it would be the same code with the same configuration: the workers load the certificates again
    replace      else the supervisor executes the installed program in its own place, with the same pid
    arrive       that starts a generation of workers beside the one that serves, and when all are ready has the old ones
                 retire; where one cannot start, the new ones do. The sidecar is replaced last

Each is a step of a generator that the supervisor's loop moves on, so it goes on watching, burying and stopping. One
reload at a time: signals that come meanwhile are one more reload afterwards.
"""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Callable, Generator, Iterable
from typing import Final, Protocol

from ingestd import __version__, generation, inherit, journal, ports, rehearsal
from ingestd.config import Config
from ingestd.crew import Crew
from ingestd.errors import IngestdError, StartError
from ingestd.inherit import Will
from ingestd.notify import Notifier
from ingestd.shared import tls_context
from ingestd.sidecars import Sidecars
from ingestd.stats import CERTIFICATES, Slot, index

_RESULTS: Final = {
    result: index("ingestd_reloads_total", result) for result in ("applied", "certificates", "refused")
}

log = logging.getLogger("ingestd")


class Daemon(Protocol):
    """What a reload needs of the supervisor."""

    crew: Crew
    sidecars: Sidecars
    notifier: Notifier
    slot: Slot
    http: socket.socket

    def will(self) -> Will:
        """What a program in the place of this one must know."""
        ...

    def replace_program(self) -> None:
        """Execute the installed program in the place of this one. Returns only where a stop was asked for."""
        ...

    def hold(self, sockets: Iterable[socket.socket]) -> None:
        """Know these as the daemon's."""
        ...

    def let_go(self, sockets: Iterable[socket.socket]) -> None:
        """Close these and forget them."""
        ...

    def announce(self) -> None:
        """Tell the world where the daemon listens now, and that it is ready."""
        ...

    def start_sidecar(self) -> None:
        """Start one that shows what is in force now."""
        ...


class Reload:
    """At most one reload under way. `tick` moves it on."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._asked = False
        self._steps: Generator[None, None, None] | None = None
        self._identity = rehearsal.identity(daemon.crew.shared.config)

    def ask(self) -> None:
        """Reload, as soon as none is under way."""
        self._asked = True

    @property
    def under_way(self) -> bool:
        return self._steps is not None

    def tick(self) -> None:
        """Go a step further, or begin."""
        if self._steps is None and self._asked:
            self._asked = False
            self._daemon.notifier.reloading()
            self._steps = self._rehearse()
        self._go_on()

    def cancel(self) -> None:
        """The daemon stops."""
        if self._steps is not None:
            self._steps.close()
            self._steps = None

    def go_on(self, load: Callable[[], Config]) -> None:
        """This is the program that was to replace another: finish what that one began."""
        self._steps = self._arrive(load)

    def _go_on(self) -> None:
        if self._steps is not None:
            try:
                next(self._steps)
            except StopIteration:
                self._steps = None

    def _rehearse(self) -> Generator[None, None, None]:
        log.info("reloading on SIGHUP", extra=journal.event("reload_began"))
        asked = rehearsal.Rehearsal(inherit.write(self._daemon.will()))
        try:
            while (verdict := asked.verdict()) is None:
                yield
        finally:
            asked.cancel()
        if verdict.faults:
            self._refuse(*verdict.faults)
        elif verdict.identity == self._identity:
            yield from self._take_certificates()
        else:
            try:
                self._daemon.replace_program()
            except OSError as error:
                self._refuse(f"cannot execute {rehearsal.own_command()[0]}: {error.strerror}")

    def _take_certificates(self) -> Generator[None, None, None]:
        daemon = self._daemon
        crew = daemon.crew
        try:
            context = tls_context(crew.shared.config)
        except StartError as error:  # it was good a moment ago
            self._refuse(str(error))
            return
        crew.shared = crew.shared._replace(context=context)
        daemon.slot[CERTIFICATES] += 1
        for child in crew.serving:
            child.send(signal.SIGUSR2)
        while not crew.have_certificates():
            yield
        if crew.shared.config.http.cert:
            daemon.start_sidecar()
            while not daemon.sidecars.settled:
                yield
        self._finish("certificates", "neither code nor configuration changed; certificates were loaded again")

    def _arrive(self, load: Callable[[], Config]) -> Generator[None, None, None]:
        daemon = self._daemon
        crew, began_s = daemon.crew, time.monotonic()
        before = crew.shared
        new: set[socket.socket] = set()
        try:
            config = load()
            workers = generation.workers_of(config)
            if crew.free_slots(workers) is None:
                log.warning(
                    "workers of earlier reloads still serve connections; reloading when enough have ended"
                )
            while (slots := crew.free_slots(workers)) is None:
                yield
            shared = generation.following(before, config, slots)
            new = generation.sockets_of(shared) - generation.sockets_of(before)
            old = generation.sockets_of(before) - generation.sockets_of(shared)
            http = ports.following_http(daemon.http, before, config)
        except IngestdError as error:
            ports.close(new)
            daemon.start_sidecar()
            self._refuse(*str(error).splitlines())
            return
        if http is not daemon.http:
            new.add(http)
            old.add(daemon.http)
        daemon.hold(new)
        crew.enlist(shared)
        while not crew.failure and not crew.ready(crew.arriving):
            yield
        if crew.failure:
            daemon.let_go(new)
            crew.dismiss()
            daemon.start_sidecar()
            self._refuse(f"{crew.failure}; see the messages above for the cause")
            return
        daemon.let_go(old)
        crew.switch(shared)
        daemon.http = http
        daemon.start_sidecar()
        while not daemon.sidecars.settled:
            yield
        seconds = time.monotonic() - began_s
        self._finish("applied", f"ingestd {__version__} with {workers} workers serves after {seconds:.2f} s")

    def _refuse(self, *faults: str) -> None:
        for fault in faults:
            log.error("reload: %s", fault.strip(), extra=journal.event("reload_fault"))
        self._finish("refused", "reload refused, nothing was changed")

    def _finish(self, result: str, text: str) -> None:
        daemon = self._daemon
        self._identity = rehearsal.identity(daemon.crew.shared.config)
        daemon.slot.add(_RESULTS[result])
        level = logging.ERROR if result == "refused" else logging.INFO
        log.log(level, "%s", text, extra=journal.event(f"reload_{result}"))
        try:
            daemon.announce()
        except StartError as error:
            log.error("%s", error)
