"""When the next burst is due: an open loop.

The schedule is fixed at the start and never slips because the receiver is slow: burst k is due at
start + k * step, and a lane that is late sends at once until it has caught up. What it still owes at the end
is reported, for a load that could not be offered was not offered.

The clock is passed in (seconds, monotonic), so that tests turn it by hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import floor

MAX_NAP_S = 0.1
"""Longest sleep at a time: how soon a stop is noticed."""


class Pace:
    """The schedule of one lane. `step_s` 0 means unpaced: always due, never late."""

    def __init__(
        self,
        step_s: float,
        start_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._step_s = step_s
        self._start_s = start_s
        self._clock = clock
        self._sleep = sleep
        self._taken = 0
        self.latest_s = 0.0
        """How late the latest burst was begun."""

    def wait(self, stopped: Callable[[], bool], end_s: float) -> bool:
        """Sleep until the next burst is due and take it. False, and nothing taken: stopped, or `end_s` came first."""
        due_s = self._start_s + self._taken * self._step_s
        while not stopped():
            now_s = self._clock()
            if max(now_s, due_s) >= end_s:
                return False
            if now_s >= due_s:
                self._taken += 1
                if self._step_s:
                    self.latest_s = max(self.latest_s, now_s - due_s)
                return True
            self._sleep(min(due_s - now_s, end_s - now_s, MAX_NAP_S))
        return False

    def owed(self, end_s: float) -> int:
        """Bursts that were due before the earlier of now and `end_s` and were not begun."""
        if not self._step_s:
            return 0
        passed_s = min(self._clock(), end_s) - self._start_s
        return max(0, floor(passed_s / self._step_s) - self._taken)
