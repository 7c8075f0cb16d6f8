"""System rules: what the daemon's counters and files say, each second.

The sidecar makes a `Reading`; each rule of this kind turns it into findings, by the labels of what it is about.
Counters are cumulative, and a rule counts their increase over its window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

import msgspec

from ingestd.alerts.rules import threshold
from ingestd.alerts.series import Finding, Labels
from ingestd.alerts.window import STEPS, Window
from ingestd.config_alerts import Alert

#: A trend takes some time to tell from noise.
LEAST_TREND_S: Final = 30.0


class Counters(msgspec.Struct, frozen=True):
    """What only rises while a daemon lives."""

    started_ns: int
    """Which daemon: one that starts anew counts from 0."""
    received: int = 0
    rejected: int = 0
    dropped: int = 0
    worker_restarts: int = 0
    udp_kernel_drops: int = 0


class Reading(msgspec.Struct, frozen=True):
    """How the daemon stands at one moment. What cannot be told is None or not there."""

    counters: Counters
    queue_share: float = 0.0
    """Of the worker that is nearest to its buffer.high_water."""
    free_bytes: int | None = None
    total_bytes: int | None = None
    certificates: Mapping[str, float] = {}
    """When each of them expires, UNIX seconds, by path."""
    faults: Mapping[str, str] = {}
    """Who is not ready and why."""


Found = dict[Labels, Finding]

_COUNTED: Final = {
    "drops": "dropped",
    "worker_restarts": "worker_restarts",
    "udp_kernel_drops": "udp_kernel_drops",
}


class SystemRule:
    """One rule of kind system. `look` answers what it holds of now."""

    def __init__(self, rule: Alert) -> None:
        self._rule = rule
        self._threshold = threshold(rule)
        self._window = Window(rule.window)
        self._whole = Window(rule.window)
        self._free: deque[tuple[float, int]] = deque()
        self._look = _LOOKS.get(rule.check, SystemRule._increase)
        self.value: float | None = None
        """What it last was, whether it holds or not."""

    def look(self, now: Reading, rise: Counters, now_s: float) -> Found:
        """`rise` is by how much the counters rose since the last reading."""
        return self._look(self, now, rise, now_s)

    def _above(self, value: float | None) -> Found:
        self.value = value
        if value is None or value <= self._threshold:
            return {}
        return {(("check", self._rule.check),): Finding(value)}

    def _disk_used(self, now: Reading, rise: Counters, now_s: float) -> Found:
        if now.free_bytes is None or not now.total_bytes:
            return self._above(None)
        return self._above(1 - now.free_bytes / now.total_bytes)

    def _queue(self, now: Reading, rise: Counters, now_s: float) -> Found:
        return self._above(now.queue_share)

    def _increase(self, now: Reading, rise: Counters, now_s: float) -> Found:
        amount = getattr(rise, _COUNTED[self._rule.check])
        if amount:
            self._window.add(amount, now_s)
        return self._above(self._window.turn(now_s))

    def _rejects_ratio(self, now: Reading, rise: Counters, now_s: float) -> Found:
        if rise.received:
            self._whole.add(rise.received, now_s)
        if rise.rejected:
            self._window.add(rise.rejected, now_s)
        whole = self._whole.turn(now_s)
        return self._above(self._window.turn(now_s) / whole if whole else 0.0)

    def _disk_full_in(self, now: Reading, rise: Counters, now_s: float) -> Found:
        """By the straight line through what was free at the two ends of the window."""
        if now.free_bytes is None:
            return self._above(None)
        step_s = self._rule.window / STEPS
        if not self._free or now_s - self._free[-1][0] >= step_s:
            self._free.append((now_s, now.free_bytes))
        while self._free[0][0] < now_s - self._rule.window:
            self._free.popleft()
        then_s, then_bytes = self._free[0]
        self.value = None
        if now_s - then_s < min(LEAST_TREND_S, self._rule.window / 2) or then_bytes <= now.free_bytes:
            return {}
        self.value = now.free_bytes * (now_s - then_s) / (then_bytes - now.free_bytes)
        if self.value >= self._threshold:
            return {}
        return {(("check", self._rule.check),): Finding(self.value)}

    def _certificate_expiry(self, now: Reading, rise: Counters, now_s: float) -> Found:
        left = {path: expires_s - now_s for path, expires_s in now.certificates.items()}
        self.value = min(left.values(), default=None)
        return {
            (("check", self._rule.check), ("certificate", path)): Finding(seconds)
            for path, seconds in left.items()
            if seconds < self._threshold
        }

    def _not_ready(self, now: Reading, rise: Counters, now_s: float) -> Found:
        self.value = float(len(now.faults))
        return {
            (("check", self._rule.check), ("worker", who)): Finding(1.0, sample=why)
            for who, why in now.faults.items()
        }


_LOOKS: Final = {
    "disk_used": SystemRule._disk_used,
    "disk_full_in": SystemRule._disk_full_in,
    "rejects_ratio": SystemRule._rejects_ratio,
    "queue": SystemRule._queue,
    "certificate_expiry": SystemRule._certificate_expiry,
    "not_ready": SystemRule._not_ready,
}


def rise(before: Counters | None, now: Counters) -> Counters:
    """By how much each counter rose. `before` None: nothing is known of earlier, and nothing rose."""
    if before is None:
        return Counters(now.started_ns)
    names = [name for name in now.__struct_fields__ if name != "started_ns"]
    if before.started_ns != now.started_ns:
        before = Counters(now.started_ns)
    return Counters(
        now.started_ns, **{name: max(0, getattr(now, name) - getattr(before, name)) for name in names}
    )
