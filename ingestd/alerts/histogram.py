"""Observations by size, as Prometheus counts them."""

from __future__ import annotations

from bisect import bisect_left


class Histogram:
    """How often what was observed lay below each bound, and above the last."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Observe one."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value
