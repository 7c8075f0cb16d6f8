"""Turns: who has more work than fits into one waits in a queue, of which each pass of the event loop serves the first.

Between two turns the loop polls its sockets, so a sender whose records cost little has them taken at once, however
many others there are that cost much; those share what is left of the time, by turns and not by bytes. While the
writer is behind (the gate is closed) nobody has a turn: what waits here is already received and would only
grow the queue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from ingestd.net.backpressure import Gate


class Worker(Protocol):
    """Something whose work is done in turns."""

    def turn(self) -> bool:
        """Work for about `pace.TURN_S`; whether there is more to do."""
        ...


class Turns:
    """The queue of one worker process. A worker is in it once at most."""

    def __init__(self, loop: asyncio.AbstractEventLoop, gate: Gate) -> None:
        self._loop = loop
        self._gate = gate
        self._queue: deque[Worker] = deque()
        self._called = False
        gate.register(self)

    def add(self, worker: Worker) -> None:
        """Give `worker` turns until it has no more work."""
        self._queue.append(worker)
        self._call()

    def stop(self) -> None:
        """What is not done yet never will be."""
        self._queue.clear()

    def pause(self) -> None:
        """The gate closes: `_pass` looks at it."""

    def halt(self) -> None:
        """It did already."""

    def resume(self) -> None:
        self._call()

    def _call(self) -> None:
        if self._queue and not self._called and not self._gate.closed:
            self._called = True
            self._loop.call_soon(self._pass)

    def _pass(self) -> None:
        self._called = False
        if self._gate.closed or not self._queue:
            return
        worker = self._queue.popleft()
        if worker.turn():
            self._queue.append(worker)
        self._call()
