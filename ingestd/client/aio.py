"""The asyncio face: `AsyncClient`, on the same engine; its thread, not the caller's loop, waits for disk and zstd."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Self, Unpack

from ingestd.client.books import OnAcknowledge, OnReject, Stats
from ingestd.client.client import CLOSE_TIMEOUT_S
from ingestd.client.engine import Engine
from ingestd.client.errors import ClientError
from ingestd.client.options import Options, Settings, parse_addresses


class AsyncClient:
    """As `Client`; where that waits, this is awaited. Callbacks run on the background thread, not on the loop."""

    def __init__(
        self,
        addresses: str | Sequence[str],
        *,
        on_reject: OnReject | None = None,
        on_acknowledge: OnAcknowledge | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        """See Client."""
        self._options = Options(**settings)
        self._engine = Engine(parse_addresses(addresses), self._options, on_reject, on_acknowledge)
        self._intake = self._engine.intake
        self._all_acknowledged = False
        self._finish = weakref.finalize(self, self._engine.stop)

    @property
    def first_sequence(self) -> int:
        """See Client."""
        return self._engine.first_sequence

    async def send(self, record: bytes) -> None:
        """See Client. Gives way to other tasks only where it has to wait."""
        intake = self._intake
        if intake.barred or len(record) >= intake.large_bytes:
            since_s = time.monotonic()
            while (waiting := intake.add_slowly(record)) is not None:
                await self._wait_room(waiting, since_s)
            return
        pending = intake.pending
        pending.append(record)
        if len(pending) >= intake.batch_records:
            intake.fill()

    async def send_many(self, block: bytes, records: int) -> None:
        """See Client."""
        since_s = time.monotonic()
        while (waiting := self._intake.add_block(block, records)) is not None:
            await self._wait_room(waiting, since_s)

    async def flush(self, timeout_s: float | None = None, *, durable: bool = False) -> None:
        """See Client."""
        future = self._engine.settled(durable=durable)
        try:
            await asyncio.wait_for(asyncio.wrap_future(future), timeout_s)
        except TimeoutError:
            raise self._engine.late(timeout_s) from None

    def stats(self) -> Stats:
        """See Client."""
        return self._engine.stats()

    async def close(self, timeout_s: float | None = CLOSE_TIMEOUT_S) -> bool:
        """See Client."""
        if self._finish.alive:
            try:
                await self.flush(timeout_s)
                self._all_acknowledged = True
            except (TimeoutError, ClientError):
                self._all_acknowledged = False
            await asyncio.to_thread(self._finish)
        return self._all_acknowledged

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _wait_room(self, waiting: Future[None], since_s: float) -> None:
        limit_s = self._options.block_timeout_s
        left_s = None if limit_s is None else max(0.0, since_s + limit_s - time.monotonic())
        try:
            await asyncio.wait_for(asyncio.wrap_future(waiting), left_s)
        except TimeoutError:
            raise self._intake.full_error() from None
