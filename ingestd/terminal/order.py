"""Lines of several workers in the order of their receipt, as far as a short wait can bring it.

Each worker writes what it has once in a while (`segment.flush_interval`), so that of two lines the later may be on disk
first. While more than one worker has lines, they are held for `HOLD_S`; those of a single one pass at once. Memory
is bounded: above `HOLD_BYTES` the oldest go without waiting.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import Final

from ingestd.terminal.selection import Line, received

#: A writer commits after three quarters of the flush interval, by default a second.
HOLD_S: Final = 0.75

#: A worker that had lines within this time may have more on the way.
RECENT_S: Final = 2.0

HOLD_BYTES: Final = 16 << 20


class Order:
    """Takes lines as they are read and gives them back in order. `now_s` is any clock that only goes forward."""

    def __init__(self) -> None:
        self._held: list[Line] = []
        self._held_bytes = 0
        self._waits: deque[tuple[float, str]] = deque()
        """When lines came, and the latest receipt among them."""
        self._heard_s: dict[int, float] = {}

    def add(self, worker: int, lines: list[Line], now_s: float) -> None:
        """Lines of one worker, in the order of its file."""
        if lines:
            self._held += lines
            self._held_bytes += sum(len(line.data) for line in lines)
            self._waits.append((now_s, max(map(received, lines))))
            self._heard_s[worker] = now_s

    def take(self, now_s: float) -> list[Line]:
        """The lines whose turn it is."""
        if not self._held:
            return []
        recent = sum(now_s - heard_s < RECENT_S for heard_s in self._heard_s.values())
        self._held.sort(key=received)
        if recent < 2 or self._held_bytes > HOLD_BYTES:
            return self._release(len(self._held))
        count = 0
        while self._waits and now_s - self._waits[0][0] >= HOLD_S:
            _, latest = self._waits.popleft()
            count = max(count, bisect_right(self._held, latest, key=received))
        return self._release(count)

    def take_all(self) -> list[Line]:
        """What is left, at the end."""
        self._held.sort(key=received)
        return self._release(len(self._held))

    def _release(self, count: int) -> list[Line]:
        lines, self._held = self._held[:count], self._held[count:]
        self._held_bytes -= sum(len(line.data) for line in lines)
        if not self._held:
            self._waits.clear()
        return lines
