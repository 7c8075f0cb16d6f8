"""Asking a daemon again and again, beside whoever draws: a slow answer never holds up a key or a resize."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final, NamedTuple

from ingestd.ask import AskError, Daemon
from ingestd.terminal.answers import Snapshot, ask_snapshot

#: Points of the past that are kept: more than the widest terminal draws.
PAST: Final = 600


class Reading(NamedTuple):
    """What is known at one moment."""

    snapshot: Snapshot | None = None
    """The last answer, None before the first."""
    trouble: AskError | None = None
    """Why there is none now; None: `snapshot` is of now."""
    since_s: float = 0.0
    """When the first answer in a row failed to come, UNIX time; 0 while they come."""
    received_per_second: tuple[float, ...] = ()
    """Of each of the last seconds, oldest first."""
    loads: Mapping[int, float] = MappingProxyType({})
    """CPU time per time of each worker since the answer before, by pid; above 1 where threads run at once."""
    number: int = 0
    """Counts readings."""


class Watch:
    """A thread that asks each `interval_s`. `reading` is the newest; `stop()` at the end."""

    def __init__(self, daemon: Daemon, interval_s: float) -> None:
        self.reading = Reading()
        self._daemon = daemon
        self._interval_s = interval_s
        self._past: deque[tuple[float, float]] = deque(maxlen=PAST)
        self._cpu_s: dict[int, float] = {}
        self._asked_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it goes on asking; without, `reading` would be shown as the present for ever."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Returns at once; a question that is under way is left to itself."""
        self._stopping.set()

    def _run(self) -> None:
        while True:
            asked_s = time.monotonic()
            self.look()
            if self._stopping.wait(max(0.0, self._interval_s - (time.monotonic() - asked_s))):
                return

    def look(self) -> Reading:
        """Ask once."""
        last = self.reading
        try:
            snapshot, _ = ask_snapshot(self._daemon)
        except AskError as error:
            since_s = last.since_s or time.time()
            self.reading = last._replace(trouble=error, since_s=since_s, number=last.number + 1)
        else:
            self._remember(snapshot, again=last.trouble is not None or last.snapshot is None)
            rates = tuple(rate for _, rate in self._past)
            self.reading = Reading(snapshot, None, 0.0, rates, self._loads(snapshot), last.number + 1)
        return self.reading

    def _remember(self, snapshot: Snapshot, again: bool) -> None:
        """Add the newest point to the past; after a silence, what the daemon remembers of it."""
        if again:
            with suppress(AskError, KeyError, TypeError, ValueError):  # without it the past begins now
                past = self._daemon.ask("/api/history", resolution="1s")
                points = zip(past["time"], past["received_per_second"], strict=False)
                self._past = deque(((float(at), float(rate or 0)) for at, rate in points), maxlen=PAST)
        point = snapshot.point
        if point and (not self._past or point.time > self._past[-1][0]):
            self._past.append((point.time, point.received_per_second or 0.0))

    def _loads(self, snapshot: Snapshot) -> dict[int, float]:
        """How much of a core each worker used; none of one that is new."""
        now_s, before_s = time.monotonic(), self._asked_s
        before = self._cpu_s
        workers = snapshot.stats.workers
        self._cpu_s = {each.pid: each.cpu_seconds for each in workers if each.cpu_seconds is not None}
        self._asked_s = now_s
        return {
            pid: max(0.0, cpu_s - before[pid]) / (now_s - before_s)
            for pid, cpu_s in self._cpu_s.items()
            if pid in before and now_s > before_s
        }
