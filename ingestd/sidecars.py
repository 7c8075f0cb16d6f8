"""The sidecar's process, and during a reload two of them: the old one answers until the new one does.

Both accept from one listening socket, so no scrape is refused. Without a sidecar nobody sees the counters, but records
go on: it is tried for ever, less and less often.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ingestd import journal, sidecar
from ingestd.child import Child, ending
from ingestd.inherit import Life
from ingestd.stats import Board, index

#: The longest pause before a sidecar that keeps dying is started again.
LONGEST_PAUSE_S: Final = 5.0

_RESTARTS: Final = index("ingestd_sidecar_restarts_total")

log = logging.getLogger("ingestd")


class Sidecars:
    """The sidecar that answers, or is about to, and those it replaces."""

    def __init__(
        self, board: Board, hearing: socket.socket, held: Callable[[], Iterable[socket.socket]]
    ) -> None:
        """`hearing`: where workers' observations arrive; `held()`: every socket of the supervisor."""
        self._board = board
        self._hearing = hearing
        self._held = held
        self._newest = Child("sidecar", lambda: 0)
        self._older: list[Child] = []
        self._due_s = float("inf")
        self._answers = -1  # a pipe on which the newest says that it serves
        self.serving = False

    def adopt(self, lives: Sequence[Life]) -> None:
        """Go on with those that the program before this one started."""
        for life in lives:
            child = Child(life.name, lambda: 0)
            child.pid, child.started_s = life.pid, life.started_s
            self._older.append(child)

    def lives(self) -> list[Life]:
        return [Life(child.name, child.pid, child.started_s) for child in self.all() if child.pid]

    def all(self) -> tuple[Child, ...]:
        return (self._newest, *self._older)

    def start(self, http: socket.socket, view: sidecar.View) -> None:
        """Start one; those before it end when it answers."""
        if self._newest.pid:
            self._older.append(self._newest)
        self._newest = Child("sidecar", lambda: self._be(http, view))
        self._fork()

    def _fork(self) -> None:
        if self._answers >= 0:
            os.close(self._answers)
        self._answers, self._answer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._due_s, self.serving = float("inf"), False
        self._newest.fork()
        os.close(self._answer)

    def _be(self, http: socket.socket, view: sidecar.View) -> int:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        for sock in self._held():
            if sock is not http and sock is not self._hearing:
                sock.close()
        sidecar.run(self._board, http, view, lambda: os.write(self._answer, b"\0"), self._hearing)
        return 0

    def alive(self) -> bool:
        return any(child.pid for child in self.all())

    @property
    def settled(self) -> bool:
        """Whether the newest answers, or has shown that it cannot."""
        return self.serving or bool(self._newest.short_lives)

    def tick(self, now_s: float) -> None:
        """Replace a dead one when it is time, and send the older ones away when the newest answers."""
        self._bury(now_s)
        if not self._newest.pid and now_s >= self._due_s:
            self._board.supervisor.add(_RESTARTS)
            self._fork()
        if not self.serving and self._answers >= 0:
            try:
                self.serving = bool(os.read(self._answers, 1))
            except BlockingIOError:
                return
            if self.serving:
                for child in self._older:
                    child.send(signal.SIGUSR1)

    def _bury(self, now_s: float) -> None:
        for child in self._older[:]:
            if child.ended() is not None:
                self._older.remove(child)
        code = self._newest.ended()
        if code is not None:
            newest = self._newest
            newest.short_lives = newest.short_lives + 1 if newest.young else 1
            self._due_s = now_s + min(0.1 * 2 ** min(newest.short_lives, 10), LONGEST_PAUSE_S)
            died = journal.event("sidecar_died")
            log.error("%s %s; replacing it", newest.name, ending(code), extra=died)

    def bury_at_the_end(self) -> None:
        """Take leave of those that ended; nobody is replaced any more."""
        for child in self.all():
            child.ended()

    def send(self, number: signal.Signals) -> None:
        for child in self.all():
            child.send(number)
