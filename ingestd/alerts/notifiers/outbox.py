"""The patience of a notifier: what it has to deliver, one at a time, until it is delivered.

A notice waits by its group: a newer one takes the place of an older one that was not delivered, and tells what that
would have told (`merged`). So a notifier that is dead for hours holds one notice for each group and no more, and is
told how things stand when it is back. Beyond `CAPACITY` groups the oldest goes, and is counted.

A failure is tried again after a pause that doubles up to `LONGEST_PAUSE_S`, with jitter. What was refused for what it
is goes after `REFUSALS` tries, so that it does not hold up the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from ingestd.alerts.notices import Notice, merged
from ingestd.alerts.notifiers.sender import DeliveryError, Sender
from ingestd.alerts.view import NotifierView
from ingestd.config_alerts import Notifier
from ingestd.ratelog import RateLog

CAPACITY: Final = 1000
REFUSALS: Final = 5
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0

log = RateLog(logging.getLogger("ingestd.alerts"))


class Outbox:
    """One notifier. `settled` is called when a notice was delivered or given up, with its latency where delivered."""

    def __init__(
        self,
        notifier: Notifier,
        sender: Sender,
        settled: Callable[[float | None], object] = lambda _: None,
        capacity: int = CAPACITY,
    ) -> None:
        self.notifier = notifier
        self.delivered = self.failed = self.dropped = 0
        self._sender = sender
        self._settled = settled
        self._capacity = capacity
        self._waiting: dict[str, Notice] = {}
        self._sending: Notice | None = None
        self._filled = asyncio.Event()
        self._failures = 0
        self._refusals = 0
        self._last_error = ""

    def put(self, notice: Notice) -> None:
        """Deliver it, if it is for this notifier and says anything to it."""
        if notice.notify and self.notifier.name not in notice.notify:
            return
        if not self.notifier.resolved:
            if not notice.firing or notice.reason == "resolved":
                self._waiting.pop(notice.group, None)  # what it would have told is over
                return
            notice = msgspec.structs.replace(notice, resolved=())
        before = self._waiting.get(notice.group)
        self._waiting[notice.group] = notice if before is None else merged(before, notice)
        if len(self._waiting) > self._capacity:
            del self._waiting[next(iter(self._waiting))]
            self.dropped += 1
            log.warning(
                f"{self.notifier.name}:full", "notifier %s: too much waits; it drops", self.notifier.name
            )
        self._filled.set()

    def adopt(self, notices: Iterable[Notice]) -> None:
        """Go on with what an earlier process did not deliver."""
        for notice in notices:
            self.put(notice)

    def waiting(self) -> list[Notice]:
        """What is not delivered yet, the oldest first."""
        sending = [self._sending] if self._sending is not None else []
        return [*sending, *self._waiting.values()]

    def view(self) -> NotifierView:
        """How it does."""
        return NotifierView(
            self.notifier.name,
            self.notifier.kind,
            len(self.waiting()),
            self.delivered,
            self.failed,
            self.dropped,
            self._last_error,
        )

    async def run(self) -> None:
        """Deliver, for ever."""
        while True:
            await self._filled.wait()
            if not self._waiting:
                self._filled.clear()
                continue
            group = next(iter(self._waiting))
            notice = self._sending = self._waiting.pop(group)
            pause_s = await self._try(notice)
            self._sending = None
            if pause_s:
                await asyncio.sleep(pause_s)

    async def _try(self, notice: Notice) -> float:
        """One attempt; how long to wait before the next, 0 where it was the last for this notice."""
        try:
            async with asyncio.timeout(self.notifier.timeout):
                await self._sender.deliver(notice)
        except TimeoutError:
            error = DeliveryError(f"no answer within {self.notifier.timeout:g} s")
        except DeliveryError as why:
            error = why
        except OSError as why:
            error = DeliveryError(why.strerror or type(why).__name__)
        except Exception as why:  # a bug in one way to tell must not stop the others
            logging.getLogger("ingestd.alerts").exception("notifier %s", self.notifier.name)
            error = DeliveryError(type(why).__name__)
        else:
            self.delivered += 1
            self._failures = self._refusals = 0
            self._last_error = ""
            self._settled(max(0.0, time.time() - notice.caused_s))
            return 0.0
        self.failed += 1
        self._last_error = str(error)
        self._refusals += error.permanent
        log.warning(
            f"{self.notifier.name}:failed", "notifier %s failed: %s", self.notifier.name, self._last_error
        )
        if error.permanent and self._refusals >= REFUSALS:
            self._refusals = 0
            self.dropped += 1
            self._settled(None)
            return 0.0
        self._put_back(notice)
        self._failures += 1
        longest_s: float = min(FIRST_PAUSE_S * 2 ** min(self._failures - 1, 20), LONGEST_PAUSE_S)
        return longest_s * random.uniform(0.5, 1.0)

    def _put_back(self, notice: Notice) -> None:
        """To the front, unless something newer tells of its group: that then tells both."""
        newer = self._waiting.pop(notice.group, None)
        self._waiting = {notice.group: notice if newer is None else merged(notice, newer), **self._waiting}
        self._filled.set()

    async def rest(self) -> None:
        """Wait until nothing is left to deliver."""
        while self.waiting():
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Let go of what the sender has open."""
        with contextlib.suppress(OSError):
            await self._sender.close()
