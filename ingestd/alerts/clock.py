"""The time of alerts: that of the machine, and when it was set is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

#: Less is how clocks are, and no jump.
LEAST_JUMP_S: Final = 2.0


class Clock:
    """UNIX seconds that jump only where somebody asks whether they should."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._offset_s = wall() - steady()

    def __call__(self) -> float:
        return self._offset_s + self._steady()

    def follow(self) -> float:
        """By how much the machine's clock was set, or the machine slept; from now on it is in this one."""
        moved_s = self._wall() - self()
        if abs(moved_s) < LEAST_JUMP_S:
            return 0.0
        self._offset_s += moved_s
        return moved_s
