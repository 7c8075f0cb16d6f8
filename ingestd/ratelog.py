"""Log lines that an attacker could write without end: one per topic and interval, with a count of the others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

INTERVAL_S: Final = 10.0


class RateLog:
    """A logger that says a topic at once, and then at most every `INTERVAL_S`, adding how many it held back."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._topics: dict[str, tuple[float, int]] = {}

    def warning(self, topic: str, message: str, *args: object) -> None:
        self._log(logging.WARNING, topic, message, args)

    def error(self, topic: str, message: str, *args: object) -> None:
        self._log(logging.ERROR, topic, message, args)

    def _log(self, level: int, topic: str, message: str, args: tuple[object, ...]) -> None:
        now = self._clock()
        said_at, held_back = self._topics.get(topic, (float("-inf"), 0))
        if now - said_at < INTERVAL_S:
            self._topics[topic] = (said_at, held_back + 1)
            return
        self._topics[topic] = (now, 0)
        suffix = f" (and {held_back} more like it)" if held_back else ""
        self._logger.log(level, message + "%s", *args, suffix, stacklevel=3)
