"""Runs a plan: lanes in threads, in one process or several, and one account in the end.

A thread per connection is enough, because sending releases the GIL; more processes are for loads that one core
cannot make. The pools, one a format, are rendered before the fork, so that processes share them. A page of shared
memory holds the stop flag and each lane's progress, one writer a value. Only the first process listens to signals:
SIGINT or SIGTERM stops the lanes at the end of their batch, a second one, or GRACE_S, breaks the connections that
hang.
"""

from __future__ import annotations

import mmap
import multiprocessing
import multiprocessing.connection
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from itertools import count
from types import FrameType
from typing import Any

import numpy as np

from tools.loadgen.acked import AckedLane
from tools.loadgen.layouts import BATCH_LAYOUTS, LAYOUTS
from tools.loadgen.pacing import Pace
from tools.loadgen.payloads import DATAGRAM_LIMIT_BYTES, Pool, Renderer, build_pool
from tools.loadgen.plan import Plan
from tools.loadgen.report import Report
from tools.loadgen.senders import Lane, Outcome, Work
from tools.loadgen.transports import SetupError, Target, connect

GRACE_S = 10.0
"""After a stop, how long connections have to close in order."""
_TICK_S = 0.1

Watch = Callable[[int, int, float], None]
"""Told now and then: records and bytes sent, and the seconds since the start."""


class Control:
    """Shared memory: how urgently to stop (0 not, 1 in order, 2 at once), and each lane's records and bytes."""

    def __init__(self, lanes: int) -> None:
        self._memory = mmap.mmap(-1, 8 * (1 + 2 * lanes))
        values = np.frombuffer(self._memory, np.int64)
        self._stop = values[:1]
        self._lanes = values[1:].reshape(lanes, 2)

    @property
    def urgency(self) -> int:
        """How urgently to stop."""
        return int(self._stop[0])

    def stop(self, urgency: int = 1) -> None:
        """Ask all lanes of all processes to stop."""
        self._stop[0] = max(self.urgency, urgency)

    def stopped(self) -> bool:
        """Whether lanes should stop."""
        return self.urgency > 0

    def progress(self, lane: int, sent: int, sent_bytes: int) -> None:
        """What a lane has sent so far."""
        self._lanes[lane] = (sent, sent_bytes)

    def totals(self) -> tuple[int, int]:
        """Records and bytes of all lanes."""
        sent, sent_bytes = self._lanes.sum(axis=0)
        return int(sent), int(sent_bytes)


def run(plan: Plan, watch: Watch) -> Report:
    """Do what the plan says, until it is done or a signal comes. SetupError: nothing could be sent."""
    layouts = LAYOUTS if plan.acked is None else BATCH_LAYOUTS
    pools = {name: build_pool(name, plan.run, plan.seed, plan.pool_records, layouts) for name in plan.formats}
    control = Control(plan.connections)
    with signals(control):
        start_s = time.monotonic()
        works = list(enumerate(plan.lanes(start_s)))
        shares = [works[first :: plan.processes] for first in range(min(plan.processes, len(works)))]
        tick = partial(_tick, control, watch, start_s)
        if len(shares) == 1:
            outcome, cpu_s = _run_share(plan, pools, control, shares[0], tick)
        else:
            outcome, cpu_s = _run_processes(plan, pools, control, shares, tick)
        seconds = time.monotonic() - start_s
    tick()
    if outcome.failed and not outcome.sent:
        raise SetupError(_unreachable(plan.target, outcome.notes))
    if plan.target.udp and any(pool.group.total_bytes >= DATAGRAM_LIMIT_BYTES for pool in pools.values()):
        outcome.note(f"a record is larger than a datagram of {DATAGRAM_LIMIT_BYTES} bytes should be")
    return Report.of(
        outcome, plan.run, plan.format, plan.target.transport, seconds, cpu_s, plan.acked is not None
    )


_Pools = dict[str, Pool]
_Share = list[tuple[int, tuple[Work, float, float]]]
_Result = tuple[Outcome, float]


def _run_share(
    plan: Plan, pools: _Pools, control: Control, share: _Share, tick: Callable[[], None]
) -> _Result:
    """Run some lanes in threads of this process; their account and the CPU time this process took."""
    before_s = _cpu_s()
    lanes = [_lane(plan, pools, control, number, *timed) for number, timed in share]
    with ThreadPoolExecutor(len(lanes)) as threads:
        running = [threads.submit(lane.run) for lane in lanes]
        _wait(running, lanes, control, tick)
    total, problem = Outcome(), ""
    for (number, _), lane, future in zip(share, lanes, running, strict=True):
        try:
            future.result()
        except SetupError as error:
            problem = str(error)
            lane.outcome.note(problem)
        lane.outcome.formats[plan.format_of(number)] = lane.outcome.sent
        total.merge(lane.outcome)
    if problem and not total.sent:
        raise SetupError(problem)
    return total, _cpu_s() - before_s


def _lane(
    plan: Plan, pools: _Pools, control: Control, number: int, work: Work, step_s: float, first_s: float
) -> Lane | AckedLane:
    """Lane `number`, which sends the format whose turn it is."""
    name = plan.format_of(number)
    pool = pools[name]
    pace = Pace(step_s, first_s)
    renderer = Renderer(pool, number * pool.records // plan.connections, work.batch)
    if plan.acked is not None:
        return AckedLane(
            work,
            pace,
            renderer,
            partial(
                plan.acked.client_of, number, plan.target, name, plan.schema, work.batch, token=plan.token
            ),
            pool.layout.preamble,
            plan.acked.journal,
            control.stopped,
            partial(control.progress, number),
        )
    return Lane(
        work,
        pace,
        renderer,
        partial(connect, plan.target, plan.header(name), pool.group.total_bytes, pool.layout.preamble),
        control.stopped,
        partial(control.progress, number),
    )


def _wait(
    running: list[Future[Outcome]],
    lanes: list[Lane | AckedLane],
    control: Control,
    tick: Callable[[], None],
) -> None:
    """Wait for all lanes; stop the others where one fails, and break those that do not end in time."""
    abort_s = float("inf")
    while True:
        done, pending = wait(running, timeout=_TICK_S)
        tick()
        if not pending:
            return
        if any(future.exception() for future in done):
            control.stop()
        if control.stopped():
            abort_s = min(abort_s, time.monotonic() + GRACE_S)
        if control.urgency > 1 or time.monotonic() > abort_s:
            for lane in lanes:
                lane.interrupt()


def _run_processes(
    plan: Plan, pools: _Pools, control: Control, shares: list[_Share], tick: Callable[[], None]
) -> _Result:
    """Fork a process for each share and merge what they report."""
    fork = multiprocessing.get_context("fork")
    waiting: dict[multiprocessing.connection.Connection, Any] = {}
    for share in shares:
        ours, theirs = fork.Pipe(duplex=False)
        process = fork.Process(
            target=_child, args=(plan, pools, control, share, os.getpid(), theirs), daemon=True
        )
        process.start()
        theirs.close()
        waiting[ours] = process
    total, cpu_s, problem = Outcome(), 0.0, ""
    while waiting:
        for ready in multiprocessing.connection.wait(list(waiting), _TICK_S):
            assert isinstance(ready, multiprocessing.connection.Connection)
            process = waiting.pop(ready)
            try:
                result = ready.recv()
            except EOFError:
                result = (
                    "a sender process ended before its time: what it sent is not known, so there is no report"
                )
            process.join()
            ready.close()
            if isinstance(result, str):
                problem = problem or result
                control.stop()
            else:
                total.merge(result[0])
                cpu_s += result[1]
        tick()
    if problem:
        raise SetupError(problem)
    return total, cpu_s


def _child(
    plan: Plan,
    pools: _Pools,
    control: Control,
    share: _Share,
    parent: int,
    results: multiprocessing.connection.Connection,
) -> None:
    """A sender process. The terminal's SIGINT reaches it too, but the parent decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: control.stop())

    def tick() -> None:
        if os.getppid() != parent:
            control.stop(2)

    try:
        results.send(_run_share(plan, pools, control, share, tick))
    except SetupError as error:
        results.send(str(error))


def _tick(control: Control, watch: Watch, start_s: float) -> None:
    watch(*control.totals(), time.monotonic() - start_s)


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system


def _unreachable(target: Target, notes: dict[str, int]) -> str:
    option = "--udp-port" if target.udp else "--tcp-port"
    return (
        f"cannot send to {target.address}:{target.port} ({'; '.join(notes)}): is ingestd running there? "
        f"Start it with make run, or name its port with {option}"
    )


@contextmanager
def signals(control: Control) -> Iterator[None]:
    """SIGINT and SIGTERM stop the lanes: in order the first time, at once the second.

    Counted is what this process heard: one that is sent to all of them stops the lanes in another one, too.
    """
    heard = count(1)

    def stop(_number: int, _frame: FrameType | None) -> None:
        control.stop(next(heard))

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
