"""The engine behind both faces of the client: one thread with an event loop of its own.

    intake --payloads--> [ compress, append, one sync for all of them ] --> spool --> [ link ] --> server

Two tasks. One makes batches durable, whatever the network does; the other sends what is durable, whatever comes in.
Both touch the spool, and nobody else does. A third one sends heartbeats (heart.py). The caller's loop, if it has one,
never waits for a disk.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

import zstandard

from ingestd.client.backoff import Backoff
from ingestd.client.books import Books, OnAcknowledge, OnReject, Stats
from ingestd.client.errors import ClientError, ClosedError, FencedError, RefusedError
from ingestd.client.heart import Heart
from ingestd.client.intake import Intake
from ingestd.client.link import Link
from ingestd.client.options import Address, Options
from ingestd.client.progress import Progress
from ingestd.client.spool import Spool

#: So much is compressed and written between two looks at the network: about 10 ms.
_GROUP_BYTES: Final = 2 << 20
_DISK_RETRY_S: Final = 1.0

log = logging.getLogger("ingestd.client")


class Engine:
    """Started and stopped once by its maker. Other threads may use what has no underscore."""

    def __init__(
        self,
        addresses: Sequence[Address],
        options: Options,
        on_reject: OnReject | None = None,
        on_acknowledge: OnAcknowledge | None = None,
    ) -> None:
        """Opens the spool. Raises SpoolError."""
        self._options = options
        self._spool = Spool(options)
        self._books = Books(self._spool, self._progressed, on_reject, on_acknowledge)
        self.first_sequence = self._spool.next_sequence
        self.intake = Intake(options, self._wake)
        self.spooled_to = Progress(self._spool.next_sequence - 1)
        self.acknowledged_to = self._books.acknowledged_to
        self._backoff = Backoff(addresses, options.max_backoff_s)
        self._heart = Heart(addresses, options)
        self._compress = _compressor(options)
        self._waiting: deque[tuple[bytes, int]] = (
            deque()
        )  # compressed, not yet in the spool; with their records
        self._retry_s = 0.0  # when a disk that failed is tried again
        self._synced_s = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._work = asyncio.Event()  # for the task that spools
        self._more = asyncio.Event()  # for the task that sends
        self._stopping = False
        self._pid = os.getpid()
        name = f"ingestd-client {options.client_id}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        _engines.add(self)
        self._thread.start()

    def stats(self) -> Stats:
        """The figures now, each right in itself."""
        return Stats(
            taken=self.intake.taken,
            acknowledged=self._books.records,
            dropped=self.intake.dropped,
            rejected=dict(self._books.rejected_records),
            spooled_batches=self._spool.batches,
            spooled_bytes=self._spool.size_bytes,
            connections=self._books.connections,
            last_error=self._books.last_error,
        )

    def settled(self, *, durable: bool) -> Future[None]:
        """A future that is done when all that was taken so far is acknowledged, or with `durable` in the spool.

        Raises what ended the client.
        """
        self.intake.check()
        progress = self.spooled_to if durable else self.acknowledged_to
        return progress.when(self.first_sequence - 1 + self.intake.cut())

    def late(self, timeout_s: float | None) -> TimeoutError:
        """What somebody is told who waited for that in vain."""
        why = self._books.last_error
        return TimeoutError(f"not done after {timeout_s} s" + (f": {why}" if why else ""))

    def stop(self) -> None:
        """Take no more, spool what is pending, close connection and spool. What is not acknowledged stays there."""
        if os.getpid() != self._pid:
            return
        self.intake.stop(ClosedError("the client is closed"))
        self._stopping = True
        self._wake()
        self._thread.join()

    def forked(self) -> None:
        """In a child of the process: let go of the folder's lock, and refuse whoever calls."""
        self.intake.forked()
        self._spool.release()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: the client is
            self._loop.call_soon_threadsafe(self._work.set)

    def _run(self) -> None:
        end = ClosedError("the client is closed")
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._main())
        except BaseException:
            log.exception("the client has failed; what is in the spool is safe")
            end = ClosedError("the client has failed: see the log")
            raise
        finally:
            self._end(end)
            self.spooled_to.end(end)
            try:
                self._spool.close()
            except OSError as error:
                log.error("cannot sync the spool %s: %s", self._options.spool_dir, error.strerror)

    async def _main(self) -> None:
        sending = asyncio.ensure_future(self._keep_sending())
        spooling = asyncio.ensure_future(self._keep_spooling())
        beating = asyncio.ensure_future(self._heart.beat()) if self._options.heartbeat_interval_s else None
        try:
            await asyncio.wait({sending, spooling}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()  # ended by a fence, or by a bug, which is raised here
            await spooling
        finally:
            ending = [sending] if beating is None else [sending, beating]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)

    def _end(self, error: ClientError) -> None:
        """Nothing will ever be acknowledged again by this client: tell all who send or wait, now or later."""
        self.intake.stop(error)
        self.acknowledged_to.end(error)

    # Making batches durable.

    async def _keep_spooling(self) -> None:
        """Spool what comes in, and each linger what has not filled a batch, until `stop`; then all that is left."""
        while not self._stopping:
            try:
                async with asyncio.timeout(self._options.linger_s):
                    await self._work.wait()
            except TimeoutError:
                if not self._waiting:
                    self.intake.cut()
            self._work.clear()
            while self._spool_some():
                await asyncio.sleep(0)
            self._sync_now_and_then()
        self.intake.cut()
        self._retry_s = 0.0
        while self._spool_some():
            pass
        lost = self.intake.abandon(sum(records for _, records in self._waiting))
        if lost:
            log.error("no room in the spool %s: %d records are lost", self._options.spool_dir, lost)

    def _spool_some(self) -> bool:
        """Move some payloads into the spool. False: there are none, or no more can be moved now."""
        if not self._waiting:
            for payload in self.intake.take(_GROUP_BYTES):
                self._waiting.append((self._compress(payload.data), payload.records))
        if not self._waiting or time.monotonic() < self._retry_s:
            return False
        self._append_waiting()
        self.intake.spool_full(bool(self._waiting))
        return not self._waiting

    def _append_waiting(self) -> None:
        """Append as many as there is room for, and sync once."""
        spool, first = self._spool, self._spool.next_sequence
        try:
            try:
                for payload, records in self._waiting:
                    if not spool.has_room(len(payload)):
                        break
                    spool.append(payload, records)
            finally:
                if self._options.spool_sync == "batch":
                    spool.sync()
            if self._retry_s:
                self._retry_s = 0.0
                self._books.mended()
        except OSError as error:
            self._disk_failed(error)
        for _ in range(spool.next_sequence - first):
            self._waiting.popleft()
        self.spooled_to.reach(spool.next_sequence - 1)
        self._more.set()

    def _sync_now_and_then(self) -> None:
        """In `interval` mode, when it is time."""
        options, now_s = self._options, time.monotonic()
        if options.spool_sync == "interval" and now_s >= self._synced_s + options.spool_sync_interval_s:
            self._synced_s = now_s
            try:
                self._spool.sync()
            except OSError as error:
                self._disk_failed(error)

    def _disk_failed(self, error: OSError) -> None:
        self._retry_s = time.monotonic() + _DISK_RETRY_S
        self._books.problem(f"cannot write to the spool {self._options.spool_dir}: {error.strerror}")

    # Sending them.

    def _progressed(self) -> None:
        """Batches were acknowledged: the server is well, and the spool may have room."""
        self._backoff.succeeded()
        if self._waiting:
            self._work.set()

    async def _keep_sending(self) -> None:
        link = Link(self._options, self._spool, self._books, self._more)
        spool, backoff = self._spool, self._backoff
        while True:
            while spool.sendable <= spool.acknowledged:
                self._more.clear()
                await self._more.wait()
            connections = self._books.connections
            refused: RefusedError | None = None
            try:
                await link.serve(backoff.address, spool.run_of(spool.acknowledged + 1))
                if self._books.connections > connections:
                    continue
            except FencedError as error:
                self._books.problem(str(error))
                self._end(error)
                return
            except RefusedError as error:
                refused = error
                self._books.problem(str(error))
            except OSError as error:
                self._books.problem(f"{backoff.address}: {error.strerror or error}")
            delay_s = backoff.failed(refused is not None)
            if refused is not None and backoff.refused_everywhere:
                self.acknowledged_to.fail(refused)
            await asyncio.sleep(delay_s)


def _compressor(options: Options) -> Callable[[bytes], bytes]:
    """Makes what travels of a payload: one zstd frame with its size, or the payload itself."""
    if options.compression == "none":
        return bytes
    # Records resemble their neighbours: a window that stays in the L2 cache costs less and finds as much.
    parameters = zstandard.ZstdCompressionParameters.from_level(
        options.compression_level, window_log=17, write_content_size=True
    )
    compress: Callable[[bytes], bytes] = zstandard.ZstdCompressor(compression_params=parameters).compress
    return compress


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _forked() -> None:
    for engine in tuple(_engines):
        engine.forked()


os.register_at_fork(after_in_child=_forked)
