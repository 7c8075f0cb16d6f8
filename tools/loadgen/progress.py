"""The live line: how much was sent and how fast, while it happens.

Only where standard error is a terminal; elsewhere nothing is printed. The rate is of the last second or so, so
that a stall shows at once.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

_WINDOW = 10
"""Ticks (of a tenth of a second) that the shown rate is of."""


class ProgressLine:
    """A context manager; call it with the totals so far."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._past: deque[tuple[int, float]] = deque([(0, 0.0)], maxlen=_WINDOW)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, sent: int, sent_bytes: int, seconds: float) -> None:
        """Show the totals: records, bytes, and the seconds since the start."""
        if not self._live.is_started:
            return
        then, then_s = self._past[0]
        rate = (sent - then) / max(seconds - then_s, 1e-3)
        self._past.append((sent, seconds))
        line = f"{seconds:6.1f} s  {sent:,} records  {sent_bytes / 1e6:,.0f} MB  {rate:,.0f} records/s"
        self._live.update(Text(line), refresh=True)
