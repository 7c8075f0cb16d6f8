"""What the service manager is told while the daemon runs: that it lives, and in one line how it does.

The line (`systemctl status`) is made every few seconds of some numbers per slot: where the daemon listens, how much it
takes in, what is wrong. `WATCHDOG=1` comes from the supervisor's loop, so one that is stuck does not pass for alive.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ingestd.crew import Crew
from ingestd.notify import Notifier
from ingestd.sidecars import Sidecars
from ingestd.stats import DISK_FAULTS, METRICS, READY, STATE, Board, Slot, index

INTERVAL_S: Final = 5.0

_RECEIVED: Final = tuple(
    index(metric.name, *labels)
    for metric in METRICS
    if metric.name == "ingestd_records_received_total"
    for labels in metric.series
)
_FAULTS: Final = {fault: index("ingestd_disk_failing", fault) for fault in DISK_FAULTS}


class Pulse:
    """Speaks when it is time. `listen()` says where the daemon listens now."""

    def __init__(
        self,
        notifier: Notifier,
        board: Board,
        crew: Crew,
        sidecars: Sidecars,
        listen: Callable[[], Mapping[str, str]],
    ) -> None:
        self._notifier = notifier
        self._board = board
        self._crew = crew
        self._sidecars = sidecars
        self._listen = listen
        self._received = self._total()
        self._said_s = time.monotonic()
        self._next_watchdog_s = 0.0

    def tick(self, now_s: float, *, quiet: bool) -> None:
        """Tell what is due; `quiet`: something else is in the line at the moment, such as a reload."""
        watchdog_s = self._notifier.watchdog_s
        if watchdog_s and now_s >= self._next_watchdog_s:
            self._next_watchdog_s = now_s + watchdog_s / 2
            self._notifier.send("WATCHDOG=1")
        if self._notifier.heard and now_s >= self._said_s + INTERVAL_S and not quiet:
            self._notifier.send(f"STATUS={self._line(now_s)}")

    def _line(self, now_s: float) -> str:
        listen = self._listen()
        received = self._total()
        rate = (received - self._received) / (now_s - self._said_s)
        self._received, self._said_s = received, now_s
        serving = self._crew.serving
        slots = {child.slot: self._board.slot(child.slot) for child in serving}
        ready = sum(1 for child in serving if child.pid and slots[child.slot][STATE] == READY)
        wrong = list(self._wrong(slots))
        if not wrong and ready == len(serving):
            wrong = ["all is well"]
        parts = [
            f"Listening on {listen['tcp']} (TCP), {listen['udp']} (UDP)",
            f"{rate:,.0f} records/s",
            f"{ready} of {len(serving)} workers serve",
        ]
        return "; ".join(parts + wrong)

    def _total(self) -> int:
        slots = (self._board.slot(number) for number in range(self._board.slots))
        return sum(slot[place] for slot in slots for place in _RECEIVED)

    def _wrong(self, slots: Mapping[int, Slot]) -> Iterator[str]:
        for number, slot in slots.items():
            for fault, place in _FAULTS.items():
                if slot[place]:
                    yield f"worker {number} cannot write segments ({fault})"
        if not self._sidecars.serving:
            yield "HTTP is not answered"
