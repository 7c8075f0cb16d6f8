"""Waiting for a number to be reached, from threads and from event loops.

`Progress` is a number that only rises, such as the last acknowledged batch. Whoever waits gets a future of
`concurrent.futures`, which a thread waits on and asyncio wraps. A target is reached, or who waits is told an error.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from concurrent.futures import Future


class Progress:
    """Thread-safe."""

    def __init__(self, value: int = 0) -> None:
        self._lock = threading.Lock()
        self._value = value
        self._waiting: list[tuple[int, int, Future[None]]] = []
        self._order = itertools.count()
        self._end: Exception | None = None

    @property
    def value(self) -> int:
        return self._value

    def reach(self, value: int) -> None:
        """The number is `value` now, or stays if it was higher."""
        done = []
        with self._lock:
            self._value = max(self._value, value)
            while self._waiting and self._waiting[0][0] <= self._value:
                done.append(heapq.heappop(self._waiting)[2])
        for future in done:
            _settle(future)

    def when(self, target: int) -> Future[None]:
        """A future that is done when the number is at least `target`."""
        future: Future[None] = Future()
        with self._lock:
            if self._value < target and self._end is not None:
                future.set_exception(self._end)
                return future
            if self._value < target:
                heapq.heappush(self._waiting, (target, next(self._order), future))
                return future
        _settle(future)
        return future

    def fail(self, error: Exception) -> None:
        """Tell `error` to all that wait now; who comes later waits again."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for _, _, future in waiting:
            _settle(future, error)

    def end(self, error: Exception) -> None:
        """The number rises no more: tell `error`, or the first such, to all that wait now or later."""
        with self._lock:
            self._end = self._end or error
        self.fail(self._end)


def _settle(future: Future[None], error: Exception | None = None) -> None:
    """Finish a future, unless who waited has given up."""
    if not future.set_running_or_notify_cancel():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
