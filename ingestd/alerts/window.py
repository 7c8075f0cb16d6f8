"""How much there was in the last so many seconds, in a bounded number of steps."""

from __future__ import annotations

from collections import deque
from typing import Final

#: A sum is exact but for the oldest step, which goes as a whole.
STEPS: Final = 60


class Window:
    """A sliding sum over `span_s`; what is added counts from then on until the span has passed, less a step at most."""

    __slots__ = ("_step_s", "_steps", "total")

    def __init__(self, span_s: float) -> None:
        self._step_s = span_s / STEPS
        self._steps: deque[tuple[int, float]] = deque()
        self.total = 0.0

    def add(self, amount: float, now_s: float) -> None:
        """Count `amount` now."""
        self.turn(now_s)
        step = int(now_s / self._step_s)
        if self._steps and self._steps[-1][0] >= step:
            step, before = self._steps.pop()
            self._steps.append((step, before + amount))
        else:
            self._steps.append((step, amount))
        self.total += amount

    def turn(self, now_s: float) -> float:
        """Forget what is over; the sum of the rest."""
        oldest = int(now_s / self._step_s) - STEPS
        while self._steps and self._steps[0][0] <= oldest:
            self.total -= self._steps.popleft()[1]
        if not self._steps:
            self.total = 0.0  # whatever rounding left
        return self.total
