"""Alerts as the sidecar has them: the engine, its notifiers, and what is kept of both.

    start   wait for the lock, take up what was kept, deliver what was not delivered
    serve   `hear` and `read` are called; a timer of `TICK_S` brings about what time alone does
    close   hear no more, give notifiers a moment, keep the rest, let go of the lock

What is heard before the lock is there waits. What changes is kept within a moment, and a notice until it is delivered:
a process that is killed in such a moment may tell something twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import Final

import msgspec

from ingestd.alerts import keeping, notifiers, silences
from ingestd.alerts.clock import Clock
from ingestd.alerts.engine import Engine
from ingestd.alerts.histogram import Histogram
from ingestd.alerts.keeping import Kept
from ingestd.alerts.notifiers.alertmanager import REFRESH_S
from ingestd.alerts.notifiers.outbox import Outbox
from ingestd.alerts.settings import Settings
from ingestd.alerts.system import Reading
from ingestd.alerts.view import SHOWN, NodeCounts, Summary
from ingestd.observe.messages import Observation
from ingestd.ratelog import RateLog
from ingestd.stats import LATENCY_BUCKETS

TICK_S: Final = 0.1

#: What notifiers get for their last notices when the process ends.
FAREWELL_S: Final = 1.0

#: Messages that wait for the lock; more than comes in the minute that it may take.
_MOST_EARLY: Final = 10_000
_LOCK_S: Final = 0.05

#: Without news, what was heard last is kept this often.
_SAVE_S: Final = 10.0
#: Keeping takes at most this part of the time.
_SAVE_SHARE: Final = 0.05

log = RateLog(logging.getLogger("ingestd.alerts"))


class Alerts:
    """Made on the running loop of the sidecar."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = Clock()
        #: None until those of an earlier process are taken up.
        self.engine: Engine | None = None
        self.latency = Histogram(LATENCY_BUCKETS)
        self.notices = 0
        self._early: deque[Observation] = deque(maxlen=_MOST_EARLY)
        self._lock: keeping.Lock | None = None
        self._closing: asyncio.Task[None] | None = None
        self._dirty = asyncio.Event()
        self._saving: asyncio.Future[None] | None = None
        self._refresh_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        chosen = settings.notifiers or (notifiers.DEFAULT,)
        self.outboxes = [Outbox(each, notifiers.make(each, settings.url), self._settled) for each in chosen]

    def hear(self, observation: Observation) -> None:
        """What a worker noticed; acted on at once."""
        if self.engine is None:
            self._early.append(observation)
        elif self._closing is None:
            now_s = self.clock()
            self.engine.hear(observation, now_s)
            self._tell(now_s)

    def read(self, reading: Reading) -> None:
        """How the daemon stands, once a second."""
        if self.engine is not None and self._closing is None:
            now_s = self.clock()
            self.engine.read(reading, now_s)
            self._tell(now_s)

    def start(self) -> None:
        """Begin; returns at once."""
        self._tasks.append(asyncio.create_task(self._live(), name="alerts"))

    def failure(self) -> BaseException | None:
        """What ended one of the tasks, which all go on for ever."""
        ended = (task for task in self._tasks if task.done() and not task.cancelled())
        return next((task.exception() for task in ended), None)

    async def _live(self) -> None:
        try:
            self._lock = keeping.Lock(self.settings.state_dir)
        except OSError as error:  # a disk that fails is what alerts are to tell of
            self._complain(keeping.LOCK_FILE, error)
        while self._lock is not None and not self._lock.take():
            await asyncio.sleep(_LOCK_S)
        self._take_up(keeping.load(self.settings.state_dir))
        self._tasks += [asyncio.create_task(box.run(), name=box.notifier.name) for box in self.outboxes]
        self._tasks.append(asyncio.create_task(self._keep(), name="keeping alerts"))
        while True:
            self.tick()
            await asyncio.sleep(TICK_S)

    def _take_up(self, kept: Kept | None) -> None:
        now_s = self.clock()
        self.engine = Engine(self.settings.engine, now_s, kept.engine if kept else None)
        for box in self.outboxes:
            box.adopt(kept.waiting.get(box.notifier.name, ()) if kept else ())
        while self._early:
            self.hear(self._early.popleft())

    def tick(self) -> None:
        """What time alone brings about."""
        assert self.engine is not None
        moved_s = self.clock.follow()
        now_s = self.clock()
        if moved_s:
            self.engine.skip(moved_s, now_s)
        if self.engine.due_s <= now_s:
            self.engine.tick(now_s)
            self._tell(now_s)
        if now_s >= self._refresh_s:
            self._refresh_s = now_s + REFRESH_S
            managers = [box for box in self.outboxes if box.notifier.kind == "alertmanager"]
            for notice in self.engine.groups.standing(now_s) if managers else ():
                for box in managers:
                    box.put(notice)

    def wake(self) -> None:
        """Silences have changed."""
        if self.engine is not None:
            now_s = self.clock()
            self.engine.groups.wake(now_s)
            self._tell(now_s)
            self._dirty.set()

    def _tell(self, now_s: float) -> None:
        assert self.engine is not None
        for notice in self.engine.notices(now_s):
            self.notices += 1
            self._dirty.set()
            for box in self.outboxes:
                box.put(notice)

    def _settled(self, latency_s: float | None) -> None:
        if latency_s is not None:
            self.latency.add(latency_s)
        self._dirty.set()

    async def _keep(self) -> None:
        """Save soon after each change, and now and then what changes all the time."""
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SAVE_S):
                    await self._dirty.wait()
            self._dirty.clear()
            began_s = loop.time()
            self._saving = loop.run_in_executor(None, self._save, self._content())
            await asyncio.shield(self._saving)
            await asyncio.sleep((loop.time() - began_s) / _SAVE_SHARE)

    def _content(self) -> bytes:
        assert self.engine is not None
        waiting = {box.notifier.name: box.waiting() for box in self.outboxes}
        return msgspec.json.encode(Kept(self.engine.save(self.clock()), waiting))

    def _save(self, content: bytes) -> None:
        try:
            keeping.save(self.settings.state_dir, content)
        except OSError as error:
            self._complain(keeping.FILE, error)

    def _complain(self, name: str, error: OSError) -> None:
        path = self.settings.state_dir / name
        log.error(
            name, "cannot write %s: %s; after a restart, alerts may be told twice", path, error.strerror
        )

    async def close(self) -> None:
        """Leave it to the next process, or to the next start. Goes on to its end, whoever is cancelled meanwhile."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="closing alerts")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self.engine is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await asyncio.gather(*(box.rest() for box in self.outboxes))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._saving is not None:
            await self._saving  # its file is that of the last one
        if self.engine is not None:
            self._save(self._content())
        for box in self.outboxes:
            await box.close()
        if self._lock is not None:
            self._lock.release()

    def summary(self) -> Summary:
        """For the dashboard."""
        views = [box.view() for box in self.outboxes]
        rules = len(self.settings.engine.rules)
        if self.engine is None:
            return Summary(rules, 0, 0, 0, [], 0, NodeCounts(), views)
        now_s = self.clock()
        firing = self.engine.firing()
        return Summary(
            rules=rules,
            firing=len(firing),
            pending=len(self.engine.roster) - len(firing),
            silenced=self.engine.silenced(firing, now_s),
            alerts=[self.engine.show(series, now_s) for series in firing[:SHOWN]],
            silences=sum(silences.view(each, now_s).active for each in self.engine.silences),
            nodes=self.engine.nodes.counts(),
            notifiers=views,
        )
