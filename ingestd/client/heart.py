"""Heartbeats: while the client is open, the server is told every so often that this service on this node lives.

They go over a plain stream connection of their own, `INGEST/1 json`, so that they come while batches wait, and are
never spooled: an old heartbeat is worth nothing. Whatever fails here is tried again with the next beat, at the next
address, and is no matter of delivery's.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import cycle
from typing import Final

from ingestd.client.errors import ClientError
from ingestd.client.link import connect
from ingestd.client.options import Address, Options
from ingestd.client.protocol import stream_header_line

_FAREWELL_S: Final = 1.0

log = logging.getLogger("ingestd.client")


class Heart:
    """Beats until it is cancelled."""

    def __init__(self, addresses: Sequence[Address], options: Options) -> None:
        self._options = options
        self._addresses = cycle(addresses)
        self._writer: asyncio.StreamWriter | None = None
        self._answer: asyncio.Task[bytes] | None = None  # the server speaks only to say that it ends

    async def beat(self) -> None:
        """Send a heartbeat at once, and then every `heartbeat_interval_s`."""
        try:
            while True:
                try:
                    await self._send()
                except (OSError, ClientError) as error:
                    log.debug("no heartbeat: %s", error)
                    self._let_go()
                await asyncio.sleep(self._options.heartbeat_interval_s)
        finally:
            writer = self._writer
            self._let_go()
            if writer is not None:
                with suppress(OSError, TimeoutError):
                    async with asyncio.timeout(_FAREWELL_S):
                        await writer.wait_closed()

    async def _send(self) -> None:
        if self._answer is not None and self._answer.done():
            self._let_go()
        if self._writer is None:
            reader, self._writer = await connect(next(self._addresses), self._options)
            self._writer.write(stream_header_line("json", token=self._options.token))
            self._answer = asyncio.ensure_future(reader.read(1))
        self._writer.write(self._line())
        async with asyncio.timeout(self._options.connect_timeout_s):
            await self._writer.drain()

    def _let_go(self) -> None:
        if self._answer is not None:
            self._answer.cancel()
        if self._writer is not None:
            self._writer.close()
        self._answer = self._writer = None

    def _line(self) -> bytes:
        options = self._options
        fields: dict[str, object] = {
            "kind": "heartbeat",
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": "INFO",
            "service": options.service or options.client_id,
            "message": f"{options.client_id} lives",
            "node": options.node or socket.gethostname(),
            "interval": options.heartbeat_interval_s,
        }
        if options.version:
            fields["version"] = options.version
        return json.dumps(fields).encode() + b"\n"
