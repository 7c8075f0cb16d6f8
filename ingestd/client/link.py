"""One connection to one server: opens it, keeps a window of batches on their way, and books what the server answers.

    spool --read--> batches up to the window --> server --> ACK, REJECT --> ledger

It ends by returning where nothing is wrong: the run is finished (the next one needs another connection), the server
closed while nothing was on its way, or its numbers were not ours and the rest has a new id. Else it raises:
`FencedError`, `RefusedError` where trying again at once makes no sense, `OSError` where it does.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from contextlib import suppress
from typing import Final, Protocol

from ingestd.client.errors import ConfigurationError, FencedError, RefusedError
from ingestd.client.options import Address, Options, Tls
from ingestd.client.protocol import (
    Acknowledged,
    Conversation,
    Event,
    Opened,
    ProtocolError,
    Refused,
    Rejected,
    batch_head,
    header_line,
)
from ingestd.client.spool import Spool
from ingestd.client.state import Run

_READ_BYTES: Final = 1 << 16
_FAREWELL_S: Final = 1.0
_WRITE_BUFFER_BYTES: Final = 1 << 20

#: ERR reasons that another attempt mends, by how they begin; all others are refusals.
_PASSING: Final = ("shutting down", "busy")
_FENCED: Final = "fenced"


class Ledger(Protocol):
    """Who is told what became of batches."""

    def acknowledged(self, sequence: int) -> None:
        """All up to `sequence` is durable."""

    def rejected(self, rejected: Rejected) -> None:
        """Told before the batch is acknowledged; told anew if it had to be sent again."""

    def served(self) -> None:
        """The server takes our batches."""


class ServerError(ConnectionError):
    """The server ended the connection, or never answered; it may serve us later."""


async def connect(address: Address, options: Options) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection, with TLS where that is asked for. Raises RefusedError and OSError, as `Link.serve`."""
    tls = options.tls
    try:
        context = tls.context() if isinstance(tls, Tls) else tls
        name = tls.server_name if isinstance(tls, Tls) else None
        async with asyncio.timeout(options.connect_timeout_s):
            if context is None:
                return await asyncio.open_connection(address.host, address.port)
            return await asyncio.open_connection(
                address.host,
                address.port,
                ssl=context,
                server_hostname=name or address.host,
                ssl_shutdown_timeout=_FAREWELL_S,
            )
    except ConfigurationError as error:
        raise RefusedError(str(error)) from error
    except ssl.SSLCertVerificationError as error:
        raise RefusedError(f"the certificate of {address} is not trusted: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise RefusedError(f"no TLS with {address}: {error.reason or error}") from error
    except TimeoutError:
        raise ServerError(f"{address} did not answer in {options.connect_timeout_s} s") from None


class Link:
    """Makes connections, one at a time. `more` is set by the owner when the spool has more to send."""

    def __init__(self, options: Options, spool: Spool, ledger: Ledger, more: asyncio.Event) -> None:
        self._options = options
        self._spool = spool
        self._ledger = ledger
        self._more = more

    async def serve(self, address: Address, run: Run) -> None:
        """Connect and send what there is of `run`."""
        options = self._options
        reader, writer = await connect(address, options)
        try:
            writer.transport.set_write_buffer_limits(_WRITE_BUFFER_BYTES)
            writer.write(
                header_line(
                    run.format,
                    run.client,
                    compression=None if run.compression == "none" else run.compression,
                    schema=run.schema,
                    token=options.token,
                )
            )
            exchange = _Exchange(options, self._spool, self._ledger, self._more, run, reader, writer)
            await exchange.go()
        except ProtocolError as error:
            raise RefusedError(f"{address} does not speak this protocol: {error}") from error
        except (
            ssl.SSLError
        ) as error:  # an alert of the server behind the handshake: it does not like our certificate
            raise RefusedError(f"{address} refused TLS: {error.reason or error}") from error
        finally:
            writer.close()
            with suppress(OSError, TimeoutError):
                # Not `wait_for`: up to Python 3.11 it may swallow that the client is told to end just then.
                async with asyncio.timeout(_FAREWELL_S):
                    await writer.wait_closed()


class _Exchange:
    """What happens on one connection behind the header line."""

    def __init__(
        self,
        options: Options,
        spool: Spool,
        ledger: Ledger,
        more: asyncio.Event,
        run: Run,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._options = options
        self._spool = spool
        self._ledger = ledger
        self._more = more
        self._run = run
        self._reader = reader
        self._writer = writer
        self._conversation = Conversation()
        self._on_way: deque[tuple[int, int]] = deque()  # sequence, bytes
        self._on_way_bytes = 0
        self._moved_s = time.monotonic()  # when the server last had nothing to do, or did it

    async def go(self) -> None:
        """See Link.serve."""
        first, *events = await self._events()
        if isinstance(first, Refused):
            raise _refusal(first.reason)
        assert isinstance(first, Opened), "the conversation sees to it"
        if not self._spool.resume(self._run, first.last):
            return
        self._ledger.served()
        self._acknowledge(first.last)
        self._book(events)
        hearing = asyncio.ensure_future(self._hear())
        sending = asyncio.ensure_future(self._send())
        try:
            await asyncio.wait({hearing, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and sending.exception() is not None:
                await asyncio.wait({hearing}, timeout=_FAREWELL_S)  # the server may have said why
            for task in (hearing, sending):
                if task.done():
                    task.result()
        finally:
            for task in (hearing, sending):
                task.cancel()
            await asyncio.gather(hearing, sending, return_exceptions=True)

    async def _events(self) -> list[Event]:
        """What the server says next. Raises ServerError where it says nothing for too long, or has ended."""
        limit_s = self._options.ack_timeout_s
        while True:
            try:
                async with asyncio.timeout(limit_s):
                    data = await self._reader.read(_READ_BYTES)
            except TimeoutError:
                is_due = self._on_way or not self._conversation.opened
                if is_due and time.monotonic() - self._moved_s >= limit_s:
                    raise ServerError(f"the server acknowledged nothing for {limit_s} s") from None
                continue
            if not data:
                raise ServerError("the server closed the connection")
            if events := self._conversation.feed(data):
                return events

    async def _hear(self) -> None:
        while True:
            try:
                events = await self._events()
            except ServerError:
                if not self._on_way:
                    return  # an idle connection need not be held
                raise
            self._book(events)

    def _book(self, events: list[Event]) -> None:
        """Take note of what the server said, acknowledgements but the last left out: they are cumulative."""
        last = 0
        for event in events:
            if isinstance(event, Acknowledged):
                last = event.sequence
            elif isinstance(event, Rejected):
                self._ledger.rejected(event)
            elif isinstance(event, Refused):
                self._acknowledge(last)
                raise _refusal(event.reason)
        self._acknowledge(last)

    def _acknowledge(self, sequence: int) -> None:
        while self._on_way and self._on_way[0][0] <= sequence:
            self._on_way_bytes -= self._on_way.popleft()[1]
        self._moved_s = time.monotonic()
        self._ledger.acknowledged(min(sequence, self._spool.last_of(self._run)))
        self._more.set()

    async def _send(self) -> None:
        """Send batch after batch, as far as the window allows, to the end of the run."""
        spool, options = self._spool, self._options
        sequence = spool.acknowledged + 1
        while True:
            last = spool.last_of(self._run)
            while (
                sequence <= min(last, spool.sendable)
                and len(self._on_way) < options.window_batches
                and (self._on_way_bytes < options.window_bytes)
            ):
                payload = spool.read(spool.entry(sequence))
                if not self._on_way:
                    self._moved_s = time.monotonic()
                self._on_way.append((sequence, len(payload)))
                self._on_way_bytes += len(payload)
                self._conversation.sent(sequence)
                self._writer.write(batch_head(sequence, len(payload)) + payload)
                sequence += 1
                await self._writer.drain()
            if spool.acknowledged >= last and last + 1 < spool.next_sequence:
                return  # what comes next belongs to another run
            self._more.clear()
            await self._more.wait()


def _refusal(reason: str) -> Exception:
    """The error that an `ERR <reason>` stands for."""
    if reason.startswith(_FENCED):
        return FencedError(f"another process sends under the same client_id (the server said: {reason})")
    if reason.startswith(_PASSING):
        return ServerError(f"the server said: {reason}")
    return RefusedError(f"the server said: {reason}")
