"""One TCP sender: reads its header (net/header.py), opens a door (pipeline.py), and then passes on what it receives.

Reading stops while the gate is closed, a rate limit is overdrawn, answers are not read, after each turn's work, and
while work is left that did not fit into one (net/turns.py); an end of the stream is dealt with behind that work.
It rests a moment, too, where small reads follow each other closely: part of what a record costs is per read, and a
sender whose every TLS record of 16 KiB wakes the worker would cost a third more than one read 256 KiB at a time.

Two facts of uvloop's TLS shape this file. A paused TLS transport goes on filling its own buffer, and the end of the
stream would discard that: with read limits of one byte it stops the socket itself, so the end waits behind the
data. And closing discards what was not read, so whoever closes must know that nothing waits.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Final, Protocol

from formats.errors import FrameError
from ingestd.net.acknowledged import Acknowledged, Refusal
from ingestd.net.budget import Budget
from ingestd.net.header import Header, HeaderError, read_header
from ingestd.net.rates import Rates
from ingestd.net.turns import Turns
from ingestd.pace import TURN_S
from ingestd.ratelog import RateLog
from ingestd.schema.catalog import UnknownSchemaError
from ingestd.stats import Slot, index

#: How long a refused connection may take to read the reason before it is closed.
LINGER_S: Final = 1.0

#: Of answers; a sender that leaves more unread is not read any more.
UNREAD_BYTES: Final = 64 << 10

#: A read of less, so soon after the last, is followed by a rest of `REST_S`: the next one finds more.
SMALL_BYTES: Final = 128 << 10
REST_S: Final = 0.001

#: Why a connection is not read; several at once.
_GATE, _WORK, _RATE, _ANSWERS, _PASS, _REST = 1, 2, 4, 8, 16, 32

_BYTES: Final = index("ingestd_received_bytes_total", "tcp")
_LIMITED: Final = index("ingestd_rate_limit_pauses_total")


class Way(Protocol):
    """The way in that a sender's header asked for: a `Stream`, one behind a decompressor, or acknowledged batches.

    `feed` takes bytes in steps of about `pace.TURN_S`, and no others before the last. `pending_bytes` is what is held.
    """

    @property
    def pending_bytes(self) -> int: ...

    def feed(self, data: bytes) -> Iterator[None]: ...

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
    turns: Turns
    budget: Budget
    rates: Rates
    draining: bool

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection, reason: str) -> None: ...


class Connection(asyncio.Protocol):
    """One sender. `data_received` is the header reader first and the way's `feed` after it."""

    def __init__(self, server: Server, source: str) -> None:
        self._server = server
        self.source = source
        self._way: Way | None = None
        self._head = b""
        self._named = False
        self._reason: str | None = None
        self._holds = 0
        self._spared = False  # read although the gate is closed
        self._halted = False
        self._buckets = server.rates.buckets(source)
        self._waiting: asyncio.TimerHandle | None = None  # for the buckets to fill
        self._steps: Iterator[None] | None = None  # work that is left
        self._behind: list[bytes] = []  # what a transport delivered after it was paused for that
        self._worked_s = 0.0  # since it last let others go first
        self._slow = False  # whether the last read was more than a turn's work
        self._lost: tuple[Exception | None] | None = None  # how it ended, perhaps while work was left
        self._told = False  # whether the server knows that it ended
        self._answered = False
        self.held_bytes = 0
        self.began_s = self.active_s = server.time()
        self.quiet_looks = 0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "pause_reading")
        self.transport = transport  # type: ignore[assignment]  # uvloop's are no subclasses of asyncio's
        if transport.get_extra_info("ssl_object") is not None:
            transport.set_read_buffer_limits(high=1, low=0)  # type: ignore[attr-defined]
        self.transport.set_write_buffer_limits(high=UNREAD_BYTES)
        self.active_s = self._server.time()
        self._server.opened(self)

    def data_received(self, data: bytes) -> None:
        server = self._server
        server.slot[_BYTES] += len(data)
        now_s = server.time()
        is_close, self.active_s = now_s - self.active_s <= REST_S, now_s
        if self._reason is not None:
            return
        if is_close and len(data) < SMALL_BYTES and self._way is not None and not self._holds & _REST:
            self._hold(_REST)
            server.loop.call_later(REST_S, self._release, _REST)
        if self._buckets:
            self._meter(len(data))
        if self._steps is not None:
            self._behind.append(data)
        elif self._way is not None:
            self._feed(self._way, data)
        else:
            self._read_header(data)
        self._account()
        if self._spared:
            self._spared = False
            self._hold(_GATE)

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
            self._way = way = self._server.open_way(header, self.source, self)
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

    def _feed(self, way: Way, data: bytes) -> None:
        """Take `data` here and now where that is quickly done; what is left waits for its turn."""
        began_s = perf_counter()
        self._steps = way.feed(data)
        if self._slow or self._advance(began_s + TURN_S):
            self._slow = False
            self._hold(_WORK)
            self._server.turns.add(self)
            return
        self._worked_s += perf_counter() - began_s
        if self._worked_s > TURN_S and not self._holds & _PASS:
            # One pass of the loop may hold 32 reads of a connection, one after the other.
            self._worked_s = 0.0
            self._hold(_PASS)
            self._server.loop.call_soon(self._release, _PASS)

    def _advance(self, ends_s: float) -> bool:
        """Work until `ends_s` (perf_counter), one step at least. Whether work is left."""
        assert self._steps is not None
        try:
            for _ in self._steps:
                if perf_counter() >= ends_s:
                    return True
        except FrameError as error:
            self.refuse("frame_error", str(error))
        except Refusal as refusal:
            self.refuse(refusal.reason, str(refusal))
        self._steps = None
        return False

    def turn(self) -> bool:
        """Go on with the work that is left (see net/turns.py)."""
        self.active_s = self._server.time()
        more = False
        if self._steps is not None:
            self._slow = more = self._advance(perf_counter() + TURN_S)
        if not more and self._behind and self._way is not None:
            self._steps = self._way.feed(self._behind.pop(0))
            more = True
        self._account()
        if not more:
            self._release(_WORK)
            if self._lost is not None:
                self._end(*self._lost)
        return more

    def work(self, data: bytes) -> None:
        """Feed the way what it had put aside."""
        if self._way is not None:
            self._feed(self._way, data)
            self._account()

    @property
    def working(self) -> bool:
        """Whether something that was received waits for its turn."""
        return self._steps is not None

    def _account(self) -> None:
        """Tell the budget what this connection holds now."""
        held = len(self._head) if self._way is None else self._way.pending_bytes
        if self._answered and self._lost is None:
            held += self.transport.get_write_buffer_size()
        if self._behind:
            held += sum(map(len, self._behind))
        if held != self.held_bytes:
            self._server.budget.move(held - self.held_bytes)
            self.held_bytes = held

    def evict(self) -> None:
        self.refuse("memory_budget", "busy: this connection holds the most of limits.memory_budget")

    def _meter(self, nbytes: int) -> None:
        """Take a read from the buckets, and read on when none is overdrawn."""
        now_s = self._server.time()
        wait_s = max([bucket.take(nbytes, now_s) for bucket in self._buckets])
        if wait_s and self._waiting is None:
            self._server.slot.add(_LIMITED)
            self._hold(_RATE)
            self._waiting = self._server.loop.call_later(wait_s, self._waited)

    def _waited(self) -> None:
        self._waiting = None
        self.active_s = self._server.time()
        self._release(_RATE)

    def unlimit(self) -> None:
        """From now on no rate limit holds this connection back."""
        self._buckets = []
        if self._waiting is not None:
            self._waiting.cancel()
            self._waited()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = (exc,)
        self.unlimit()
        if self._steps is None:
            self._end(exc)

    def _end(self, exc: Exception | None) -> None:
        if self._told:
            return  # its turn came when it was over: there are none while the gate is closed
        if self._way is None and self._head:
            self._open(Header("auto", False, self._head))  # ended within what might have become a header
            if self._steps is not None:
                return  # `turn` comes back
        if self._way is not None:
            self._way.finish(clean=exc is None and self._reason is None)  # else the daemon itself cut it off
        if self._reason is None:
            self._reason = "eof" if exc is None else "tls_error" if isinstance(exc, ssl.SSLError) else "reset"
        self._way = None
        self._told = True
        self._account()
        self._server.closed(self, self._reason)

    def pause(self) -> None:
        """The gate closes. A client that waits for nothing may send once more: it is not the one to wait for others."""
        if isinstance(self._way, Acknowledged) and self._way.idle:
            self._spared = True
        else:
            self._hold(_GATE)

    def halt(self) -> None:
        """The gate closes for everybody."""
        self._spared, self._halted = False, True
        self._hold(_GATE)

    def resume(self) -> None:
        """The gate opens."""
        self._spared = self._halted = False
        self.began_s = self.active_s = self._server.time()  # the pause was not the sender's
        self._release(_GATE)

    def pause_writing(self) -> None:
        self._hold(_ANSWERS)

    def resume_writing(self) -> None:
        self._release(_ANSWERS)

    def _hold(self, why: int) -> None:
        if not self._holds and self._lost is None:
            self.transport.pause_reading()
        self._holds |= why

    def _release(self, why: int) -> None:
        if self._holds == why and self._lost is None:
            self.transport.resume_reading()
        self._holds &= ~why

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
        if self._lost is None:
            self._answered = True
            self.transport.write(line)
            if self._holds & _GATE and not self._halted:
                self._release(_GATE)
                self.pause()  # perhaps it waits for nothing any more

    def announce_drain(self) -> None:
        """Ask a sender that spoke our header to end its stream; one that did not would take it for garbage."""
        if isinstance(self._way, Acknowledged):
            self._way.drain()
        elif self._named and self._lost is None:
            self.transport.write(b"ERR shutting down\n")

    def refuse(self, reason: str, answer: str, told: str = "") -> None:
        """Tell the sender why, ignore the rest, and close when it has had time to read that.

        The log has the same, unless it is `told` something else.
        """
        if self._reason is not None:
            return
        self._reason, self._head = reason, b""
        self._behind.clear()
        self._steps = None
        if self._way is not None:
            self._way.finish(clean=False)
            self._way = None
        self._account()
        self.unlimit()
        self._release(_WORK)
        log.warning(reason, "refused a connection from %s: %s", self.source, told or answer)
        if self._lost is not None:
            return
        self.transport.write(b"ERR %b\n" % answer.encode())
        self._server.loop.call_later(LINGER_S, self._close)

    def give_up(self) -> None:
        """Leave undone the work that is left."""
        self._steps = None
        self._behind.clear()

    def close(self, reason: str) -> None:
        """End the connection; what was received goes on."""
        if self._reason is None:
            self._reason = reason
            self._close()

    def _close(self) -> None:
        self.transport.close()
        if self._lost is None and self.transport.get_write_buffer_size():
            self._server.loop.call_later(LINGER_S, self.transport.abort)  # it may never read its answers
