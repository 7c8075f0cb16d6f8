"""One TCP sender: reads its header (net/header.py), opens a door (pipeline.py), and then passes on what it receives.

Two facts of uvloop's TLS shape this file. A paused TLS transport goes on filling its own buffer, and the end of the
stream would discard that: with read limits of one byte it stops the socket itself, so the end waits behind the
data. And closing discards what was not read, so whoever closes must know that nothing waits.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Final, Protocol

from formats.errors import FrameError
from ingestd.net.acknowledged import Acknowledged, Refusal
from ingestd.net.header import Header, HeaderError, read_header
from ingestd.ratelog import RateLog
from ingestd.schema.catalog import UnknownSchemaError
from ingestd.stats import Slot, index

#: How long a refused connection may take to read the reason before it is closed.
LINGER_S: Final = 1.0

_BYTES: Final = index("ingestd_received_bytes_total", "tcp")


class Way(Protocol):
    """The way in that a sender's header asked for: a `Door`, one behind a decompressor, or acknowledged batches."""

    def feed(self, data: bytes) -> None: ...

    def finish(self, clean: bool) -> None: ...


#: Opens the way that a header asks for, from this source. Raises UnknownSchemaError and Refusal.
OpenWay = Callable[[Header, str, "Connection"], Way]

log = RateLog(logging.getLogger("ingestd.tcp"))


class Server(Protocol):
    """What a connection needs of the server that took it on."""

    loop: asyncio.AbstractEventLoop
    time: Callable[[], float]
    slot: Slot
    open_way: OpenWay
    draining: bool

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection, reason: str) -> None: ...


class Connection(asyncio.Protocol):
    """One sender. `data_received` is the header reader first and the door's `feed` after it."""

    def __init__(self, server: Server, source: str) -> None:
        self._server = server
        self._source = source
        self._way: Way | None = None
        self._head = b""
        self._named = False
        self._reason: str | None = None
        self.began_s = self.active_s = server.time()
        self.quiet_looks = 0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "pause_reading")
        self.transport = transport  # type: ignore[assignment]  # uvloop's are no subclasses of asyncio's
        if transport.get_extra_info("ssl_object") is not None:
            transport.set_read_buffer_limits(high=1, low=0)  # type: ignore[attr-defined]
        self.active_s = self._server.time()
        self._server.opened(self)

    def data_received(self, data: bytes) -> None:
        server = self._server
        server.slot[_BYTES] += len(data)
        self.active_s = server.time()
        if self._way is not None:
            self._feed(self._way, data)
        elif self._reason is None:
            self._read_header(data)

    def _feed(self, way: Way, data: bytes) -> None:
        try:
            way.feed(data)
        except FrameError as error:
            self.refuse("frame_error", str(error))
        except Refusal as refusal:
            self.refuse(refusal.reason, str(refusal))

    def _read_header(self, data: bytes) -> None:
        self._head += data
        try:
            header = read_header(self._head)
        except HeaderError as error:
            self.refuse("bad_header", str(error))
            return
        if header is not None:
            self._open(header)

    def _open(self, header: Header) -> None:
        self._named = header.named
        self._head = b""
        try:
            self._way = way = self._server.open_way(header, self._source, self)
        except UnknownSchemaError as error:
            self.refuse("bad_header", str(error))
            return
        except Refusal as refusal:
            self.refuse(refusal.reason, str(refusal), refusal.told)
            return
        if self._server.draining:
            self.announce_drain()
        if header.rest:
            self._feed(way, header.rest)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._way is None and self._head:
            self._open(Header("auto", False, self._head))  # ended within what might have become a header
        if self._way is not None:
            self._way.finish(clean=exc is None and self._reason is None)  # else the daemon itself cut it off
        if self._reason is None:
            self._reason = "eof" if exc is None else "tls_error" if isinstance(exc, ssl.SSLError) else "reset"
        self._server.closed(self, self._reason)

    def pause(self) -> None:
        self.transport.pause_reading()

    def resume(self) -> None:
        self.began_s = self.active_s = self._server.time()  # the pause was not the sender's
        self.transport.resume_reading()

    @property
    def speaking(self) -> bool:
        """Whether the connection got past its header."""
        return self._way is not None

    @property
    def ending(self) -> bool:
        """Whether it has ended, or was told to."""
        return self._reason is not None

    def send(self, line: bytes) -> None:
        """Answer the sender."""
        self.transport.write(line)

    def announce_drain(self) -> None:
        """Ask a sender that spoke our header to end its stream; one that did not would take it for garbage."""
        if isinstance(self._way, Acknowledged):
            self._way.drain()
        elif self._named:
            self.transport.write(b"ERR shutting down\n")

    def refuse(self, reason: str, answer: str, told: str = "") -> None:
        """Tell the sender why, ignore the rest, and close when it has had time to read that.

        The log has the same, unless it is `told` something else.
        """
        if self._reason is not None:
            return
        self._reason, self._head = reason, b""
        if self._way is not None:
            self._way.finish(clean=False)
            self._way = None
        log.warning(reason, "refused a connection from %s: %s", self._source, told or answer)
        self.transport.write(b"ERR %b\n" % answer.encode())
        self._server.loop.call_later(LINGER_S, self.transport.close)

    def close(self, reason: str) -> None:
        """End the connection; what was received goes on."""
        if self._reason is None:
            self._reason = reason
            self.transport.close()
