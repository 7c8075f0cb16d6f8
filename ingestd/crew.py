"""The workers: which slot each has, of which generation it is, and what follows when one dies.

    arriving    started by a reload, not all ready yet; one that dies makes the reload fail
    serving     the generation in force, one per position; one that dies is replaced in its slot
    leaving     retired: no longer accepting, at their connections' last; or heirs, who count and close what a dead one
                left in its slot. A slot is free again when the last who had it is gone

A slot has one writer at any time, so counters only go up, and the number of the slot is in the names of the worker's
segments, so nobody closes what another still writes.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ingestd import heir, journal, worker
from ingestd.child import YOUNG_S, Child, ending
from ingestd.inherit import Life
from ingestd.shared import Shared
from ingestd.stats import CERTIFICATES, HEARTBEAT, READY, STATE, Foreign, index

#: So many in a row that died young, and the daemon gives up.
SHORT_LIVES: Final = 5

#: From SIGABRT (stacks are printed) to SIGKILL.
GRACE_S: Final = 2.0

#: Slots for each worker of the configuration: so many generations can linger side by side.
SLOTS_PER_WORKER: Final = 4

_RESTARTS: Final = index("ingestd_worker_restarts_total")

log = logging.getLogger("ingestd")


class Worker(Child):
    """A child that has a slot. `foreign`: it counts on the board that another version of this program made. `heir`: it
    only settles what a dead one left."""

    def __init__(self, name: str, slot: int, position: int, main: Callable[[Worker], int]) -> None:
        super().__init__(name, lambda: main(self))
        self.slot = slot
        self.position = position
        self.foreign = False
        self.heir = False

    def introduce(self) -> None:
        journal.be(self.name, self.slot)

    def life(self) -> Life:
        return Life(self.name, self.pid, self.started_s, self.short_lives, self.slot, self.position)


class Crew:
    """All workers of the daemon. `held()`: every socket of the supervisor, of which a child closes what is not its."""

    def __init__(
        self,
        shared: Shared,
        held: Callable[[], Iterable[socket.socket]],
        foreign: Foreign | None,
    ) -> None:
        self.shared = shared
        self.arriving: list[Worker] = []
        self.serving: list[Worker] = []
        self.leaving: list[Worker] = []
        #: Why the generation that arrives cannot serve; empty while nothing is known against it.
        self.failure = ""
        #: A worker cannot start: the daemon must end.
        self.hopeless = False
        self._board = shared.board
        self._held = held
        self._foreign = foreign
        self._me = os.getpid()

    def all(self) -> tuple[Worker, ...]:
        return (*self.serving, *self.arriving, *self.leaving)

    def alive(self) -> bool:
        return any(child.pid for child in self.all())

    def start(self) -> None:
        """Start the first generation."""
        self._start(self.shared, self.serving)

    def adopt(self, serving: Sequence[Life], leaving: Sequence[Life]) -> None:
        """Go on with the workers that the program before this one started."""
        self.serving = [self._adopted(life) for life in serving]
        self.leaving = [self._adopted(life) for life in leaving]

    def _adopted(self, life: Life) -> Worker:
        child = Worker(life.name, life.slot, life.position, lambda child: self._be(child, self.shared))
        child.pid, child.started_s, child.short_lives = life.pid, life.started_s, life.short_lives
        child.foreign = self._foreign is not None
        return child

    def free_slots(self, count: int) -> list[int] | None:
        """The lowest `count` slots that nobody has; None where there are fewer."""
        taken = {child.slot for child in self.all()}
        free = [number for number in range(self._board.slots) if number not in taken]
        return free[:count] if len(free) >= count else None

    def enlist(self, shared: Shared) -> None:
        """Start a generation beside the one that serves."""
        self.failure = ""
        self._start(shared, self.arriving)

    def _start(self, shared: Shared, crew: list[Worker]) -> None:
        for position, slot in enumerate(shared.slots):
            child = Worker(
                f"worker {slot}",
                slot,
                position,
                lambda child: self._be(child, shared if child in self.arriving else self.shared),
            )
            self._board.slot(slot).assign(position)
            crew.append(child)
            child.fork()

    def _be(self, child: Worker, shared: Shared) -> int:
        """In the child. Sockets of others held open here would go on taking what nobody reads from them."""
        mine = {id(sock) for sock in shared.sockets[child.position].all()}
        mine |= {id(sockets.outbox) for sockets in shared.sockets}
        mine.add(id(shared.observations.telling))
        for sock in self._held():
            if id(sock) not in mine:
                sock.close()
        return worker.run(child.position, shared, self._me)

    def ready(self, crew: Sequence[Worker]) -> bool:
        return all(child.pid and self._board.slot(child.slot)[STATE] == READY for child in crew)

    def have_certificates(self) -> bool:
        """Whether all that serve have the certificates that the supervisor asked them to load."""
        wanted = self._board.supervisor[CERTIFICATES]
        return all(self._board.slot(child.slot)[CERTIFICATES] == wanted for child in self.serving)

    def switch(self, shared: Shared) -> None:
        """Those that arrived serve from now on; the others retire."""
        retired, self.serving, self.arriving = self.serving, self.arriving, []
        self.shared = shared
        self._retire(retired)

    def dismiss(self) -> None:
        """Send those that arrived away again; what they took on in the meantime they serve to its end."""
        refused, self.arriving = self.arriving, []
        self._retire(refused)

    def _retire(self, crew: Sequence[Worker]) -> None:
        for child in crew:
            child.send(signal.SIGUSR1)
            self.leaving.append(child)

    def send(self, number: signal.Signals) -> None:
        for child in self.all():
            child.send(number)

    def bury(self) -> None:
        """Take leave of the dead, and do for each what its place asks for."""
        for child in self.all():
            code = child.ended()
            if code is None:
                continue
            if child.foreign:
                self._transcribe(child)
                child.foreign = False
            if child in self.serving:
                self._replace(child, code)
            elif child in self.arriving:
                self.failure = self.failure or f"{child.name} {ending(code)}"
                self.arriving.remove(child)
                self._inherit(child, code)
            else:
                self.leaving.remove(child)
                self._inherit(child, code)

    def bury_at_the_end(self) -> bool:
        """Take leave of the dead while the daemon stops; False where one of them lost something."""
        good = True
        for child in self.all():
            code = child.ended()
            if code:
                log.error(
                    "%s %s while draining; its records in flight are lost",
                    *(child.name, ending(code)),
                    extra=journal.event("worker_died", child.slot),
                )
                good = False
        return good

    def _replace(self, child: Worker, code: int) -> None:
        child.short_lives = child.short_lives + 1 if child.young else 0
        if child.short_lives >= SHORT_LIVES:
            log.critical(
                "%s %s %d times within %g s of its start; giving up: see the messages above for the cause",
                *(child.name, ending(code), child.short_lives, YOUNG_S),
                extra=journal.event("crash_loop", child.slot),
            )
            self.hopeless = True
            return
        died = journal.event("worker_died", child.slot)
        log.error("%s %s; replacing it", child.name, ending(code), extra=died)
        self._board.supervisor.add(_RESTARTS)
        self._board.slot(child.slot).assign(
            child.position
        )  # what the dead one said last is no word of its successor
        child.fork()

    def _inherit(self, dead: Worker, code: int) -> None:
        """Free its slot; where it did not leave in order, have an heir settle it before."""
        if not code or dead.heir:
            if code:
                log.error("%s %s; the next worker in its slot tries again", dead.name, ending(code))
            self._board.slot(dead.slot).release()
            return
        died = journal.event("worker_died", dead.slot)
        log.error("%s %s; settling what it left", dead.name, ending(code), extra=died)
        shared, me = self.shared, self._me

        def settle(_: Worker) -> int:
            for sock in self._held():
                sock.close()
            return heir.run(dead.slot, shared, me)

        settler = Worker(f"heir of {dead.name}", dead.slot, dead.position, settle)
        settler.heir = True
        self.leaving.append(settler)
        settler.fork()

    def watch(self, now_s: float, timeout_s: float) -> None:
        """Stop workers that are alive but stuck."""
        for child in self.all():
            beat_s = self._board.slot(child.slot)[HEARTBEAT] / 1e9
            silent_s = now_s - max(beat_s, child.started_s)
            if not child.pid or silent_s <= timeout_s:
                continue
            if child.aborted_s is None:
                hung = journal.event("worker_hung", child.slot)
                log.error("%s has not moved for %.1f s; its stacks follow", child.name, silent_s, extra=hung)
                child.aborted_s = now_s
                child.send(signal.SIGABRT)
            elif now_s > child.aborted_s + GRACE_S:
                child.send(signal.SIGKILL)

    def transcribe(self) -> None:
        """Carry what workers of another version have counted over to our board."""
        if self._foreign is None:
            return
        self._foreign.beat(time.monotonic_ns())
        for child in self.all():
            if child.foreign:
                self._transcribe(child)

    def _transcribe(self, child: Worker) -> None:
        assert self._foreign is not None
        self._foreign.transcribe(child.slot, self._board.slot(child.slot))
