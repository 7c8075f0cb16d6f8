"""Which worker takes a connection: the one that has the fewest.

Every worker of a generation (those that one reload started) keeps one row of a table in shared memory that only it
writes, so no lock is needed:

    row w:  open (connections w holds) | taken (hand-overs w has received) | handed to 0 | handed to 1 | …

The load of worker t is its open connections and the hand-overs under way to it:
open[t] + sum of handed[.][t] - taken[t].
Two workers that decide in the same instant can be off by one; the next connection evens it out. Workers of an older
generation that still serve their connections count only towards the limit of all.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from ingestd.memory import Memory
from ingestd.net.sockets import WorkerSockets
from ingestd.stats import READY, STATE, Board, index

_OPEN = 0
_TAKEN = 1
_HANDED = 2

_CONNECTIONS = index("ingestd_connections_open")


class LoadTable:
    """The shared table of one generation; made before the fork."""

    def __init__(self, workers: int, memory: Memory | None = None) -> None:
        """`memory` is that of a table made before, for as many workers."""
        self.workers = workers
        self._width = _HANDED + workers
        self.memory = memory or Memory("ingestd-loads", 8 * workers * self._width)
        self._values = self.memory.words()

    def row(self, worker: int) -> memoryview[int]:
        return self._values[worker * self._width : (worker + 1) * self._width]

    def load(self, worker: int) -> int:
        """Connections that `worker` has or is about to have."""
        row = self.row(worker)
        handed = sum(self.row(other)[_HANDED + worker] for other in range(self.workers))
        return row[_OPEN] + handed - row[_TAKEN]


class Balance:
    """One worker's part in it. Counts its own connections, passes others on, receives what was passed to it."""

    def __init__(
        self,
        worker: int,
        table: LoadTable,
        sockets: Sequence[WorkerSockets],
        board: Board,
        slots: Sequence[int],
    ) -> None:
        """`slots` are those of the workers of the generation, by position; `sockets` likewise, and may be more."""
        self._worker = worker
        self._table = table
        self._row = table.row(worker)
        self._row[_OPEN] = 0
        self._inbox = sockets[worker].inbox
        self._outboxes = [group.outbox for group in sockets]
        self._slots = [board.slot(number) for number in slots]
        self._older = [board.slot(number) for number in range(board.slots) if number not in slots]

    def opened(self) -> None:
        self._row[_OPEN] += 1

    def closed(self) -> None:
        self._row[_OPEN] -= 1

    def total(self) -> int:
        """Connections of all workers, those of older generations included."""
        ours = sum(self._table.load(worker) for worker in range(self._table.workers))
        return ours + sum(slot[_CONNECTIONS] for slot in self._older)

    def hand_over(self, sock: socket.socket) -> bool:
        """Pass `sock` to the least loaded worker; False where that is this one, or none other is ready."""
        least, load = self._worker, self._table.load(self._worker)
        for other in range(self._table.workers):
            if other != self._worker and self._slots[other][STATE] == READY:
                other_load = self._table.load(other)
                if other_load < load:
                    least, load = other, other_load
        if least == self._worker:
            return False
        try:
            socket.send_fds(self._outboxes[least], [b"\0"], [sock.fileno()])
        except OSError:
            return (
                False  # its inbox is full, so it is not keeping up: this worker takes the connection itself
            )
        self._row[_HANDED + least] += 1
        return True

    def receive(self) -> socket.socket | None:
        """The next connection that was passed to this worker; None when there is none."""
        try:
            _, fds, _, _ = socket.recv_fds(self._inbox, 1, 1)
        except (BlockingIOError, InterruptedError):
            return None
        self._row[_TAKEN] += 1
        if not fds:
            return self.receive()  # the kernel could not install the descriptor (out of descriptors)
        return socket.socket(fileno=fds[0])
