"""The heir of a worker that died and gets no successor in its slot, as one that retires does not.

It does what a successor would have done first: close the segment, count what of it nobody lived to count, say which
batches of clients are on disk and which are lost. Until then the slot's records are in flight, and these clients wait,
for as long as the disk lets nobody know.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time

import uvloop

from ingestd.accounting import Ledger
from ingestd.child import settle_in
from ingestd.shared import Shared, writer_settings
from ingestd.stats import DRAINING, HEARTBEAT, STATE, Slot
from ingestd.store.batch import Message, Recovery
from ingestd.store.writer import SegmentWriter

HEARTBEAT_S = 0.5


def run(number: int, shared: Shared, supervisor_pid: int) -> int:
    """Settle slot `number`; returns the exit code. Called in the child, right after the fork."""
    settle_in(supervisor_pid)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_settle(number, shared))


async def _settle(number: int, shared: Shared) -> int:
    loop = asyncio.get_running_loop()
    slot = shared.board.slot(number)
    slot.adopt(os.getpid(), time.monotonic_ns(), time.time_ns())
    slot[STATE] = DRAINING
    beating = loop.create_task(_beat(slot))
    ledger = Ledger(slot, lambda nbytes: None)
    orphans = shared.sequences.orphans(number)
    done = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, done.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])

    def hear(message: Message) -> None:
        ledger.message(message)
        if isinstance(message, Recovery) and message.complete:
            shared.sequences.settle(orphans, message.clients)
            done.set()

    settings = writer_settings(shared, number, ledger.counted_frames)
    writer = SegmentWriter(
        settings, lambda message: loop.call_soon_threadsafe(hear, message), lambda marks: None
    )
    writer.start()
    await done.wait()
    await loop.run_in_executor(None, writer.close, shared.config.server.drain_timeout)
    beating.cancel()
    return 0


async def _beat(slot: Slot) -> None:
    while True:
        slot[HEARTBEAT] = time.monotonic_ns()
        await asyncio.sleep(HEARTBEAT_S)
