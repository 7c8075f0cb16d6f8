"""UDP: drain the socket in batches, gather the datagrams of a source into one block, feed its door.

A datagram is one or more whole records, so datagrams of one source joined by LF are a block like any other, and the
cost per datagram is the kernel's. One that begins with a PRI is syslog: one message (RFC 5426, 3.1), lines of text
within it included, or several, each with its PRI at the start of a line. A batch is bounded, so that everything else
on the loop gets its turn, and what one turn does not suffice for is done in several, with no datagram read meanwhile.
While the writer is behind, or a source over its rate, datagrams are still read, counted and dropped: what is told is
better than what the kernel drops unseen. What the kernel drops all the same is its own counter, which the supervisor
reads (`sockets.kernel_drops`): the socket outlives its reader.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from functools import lru_cache
from time import perf_counter
from typing import Final

from formats.syslog_framing import join
from ingestd.accounting import Ledger
from ingestd.net.admission import anybody
from ingestd.net.backpressure import Gate
from ingestd.net.rates import Rates
from ingestd.net.stream import Stream
from ingestd.net.turns import Turns
from ingestd.pace import TURN_S
from ingestd.pipeline import Door
from ingestd.stats import Slot, index

#: Larger batches do not lower the cost per record further.
BATCH_BYTES: Final = 256 << 10

#: So many take some milliseconds; the smallest datagrams have no bytes at all.
BATCH_DATAGRAMS: Final = 2048

#: The kernel's buffer is read in less, senders that go on never end.
DRAIN_S: Final = 1.0

#: The largest payload of a UDP datagram is below this.
MAX_DATAGRAM_BYTES: Final = 1 << 16
_LF: Final = 0x0A
_LESS_THAN: Final = 0x3C
_PRI: Final = re.compile(rb"<[0-9]{1,3}>")
_NEXT_MESSAGE: Final = re.compile(rb"\n(?=<[0-9]{1,3}>)")

_DATAGRAMS: Final = index("ingestd_udp_datagrams_total")
_REFUSED: Final = index("ingestd_udp_refused_datagrams_total")
_BYTES: Final = index("ingestd_received_bytes_total", "udp")


class UdpServer:
    """The datagrams of one worker."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        receiver: socket.socket,
        open_door: Callable[[str, str, str], Door],
        gate: Gate,
        turns: Turns,
        rates: Rates,
        ledger: Ledger,
        slot: Slot,
        admits: Callable[[str], bool] = anybody,
    ) -> None:
        """`admits` is asked for the source of each block of datagrams."""
        self._loop = loop
        self._receiver = receiver
        self._stream = lru_cache(4096)(lambda format_, source: Stream(open_door(format_, "udp", source)))
        self._steps: Iterator[None] | None = None  # work that is left
        self._gate = gate
        self._turns = turns
        self._rates = rates
        self._ledger = ledger
        self._slot = slot
        self._admits = admits
        self._buffer = bytearray(MAX_DATAGRAM_BYTES)

    def start(self) -> None:
        """Begin to read."""
        self._loop.add_reader(self._receiver, self.read)

    def read(self) -> bool:
        """Read one batch; False when there was nothing to read."""
        by_sender = self._receive()
        if by_sender is None:
            return False
        self._steps = self._feed(by_sender)
        if self._advance():
            self._loop.remove_reader(self._receiver)
            self._turns.add(self)
        return True

    def turn(self) -> bool:
        """Go on with the work that is left (see net/turns.py)."""
        more = self._advance()
        if not more and self._receiver.fileno() >= 0:
            self._loop.add_reader(self._receiver, self.read)
        return more

    def _advance(self) -> bool:
        """Work for a turn, one step at least. Whether work is left."""
        ends_s = perf_counter() + TURN_S
        for _ in self._steps or ():
            if perf_counter() >= ends_s:
                return True
        self._steps = None
        return False

    def _receive(self) -> dict[tuple[str, str], list[bytes]] | None:
        """One batch of datagrams by format and source; None when there was none."""
        receive = self._receiver.recvfrom_into
        buffer = self._buffer
        view = memoryview(buffer)
        by_sender: dict[tuple[str, str], list[bytes]] = {}
        datagrams = nbytes = 0
        while nbytes < BATCH_BYTES and datagrams < BATCH_DATAGRAMS:
            try:
                size, address = receive(buffer)
            except (BlockingIOError, InterruptedError):
                break
            datagrams += 1
            nbytes += size
            if not size:
                continue
            data = bytes(view[: size - (buffer[size - 1] == _LF)])
            sender = ("syslog" if buffer[0] == _LESS_THAN and _PRI.match(data) else "auto", address[0])
            try:
                by_sender[sender].append(data)
            except KeyError:
                by_sender[sender] = [data]
        if not datagrams:
            return None
        with self._slot.moving() as values:
            values[_DATAGRAMS] += datagrams
            values[_BYTES] += nbytes
        return by_sender

    def _feed(self, by_sender: dict[tuple[str, str], list[bytes]]) -> Iterator[None]:
        for number, ((format_, source), parts) in enumerate(by_sender.items()):
            if number:
                yield
            if not self._admits(source):
                self._slot.add(_REFUSED, len(parts))
                continue
            if format_ == "syslog":
                parts = [message for part in parts for message in _NEXT_MESSAGE.split(part)]
            if self._gate.closed:
                self._drop(format_, parts, "backpressure")
            elif not self._rates.allows(source, sum(map(len, parts))):
                self._drop(format_, parts, "rate_limit")
            elif format_ == "syslog":
                yield from self._stream(format_, source).feed(join(parts))
            else:
                parts.append(b"")
                yield from self._stream(format_, source).feed(b"\n".join(parts))

    def _drop(self, format_: str, parts: list[bytes], reason: str) -> None:
        """Count records without decoding them; under `auto` a line that begins an object counts as JSON."""
        counts = {"syslog": len(parts)}
        if format_ == "auto":
            lines = [line for part in parts for line in part.splitlines() if line.strip()]
            objects = sum(line.lstrip().startswith(b"{") for line in lines)
            counts = {"json": objects, "raw": len(lines) - objects}
        for counted, records in counts.items():
            if records:
                self._ledger.dropped(counted, "udp", reason, records)

    async def drain(self) -> None:
        """Read what the kernel still holds, for `DRAIN_S` at most, then stop. All that was read is taken.

        A second time there is nothing to do.
        """
        if self._receiver.fileno() < 0:
            return
        deadline_s = self._loop.time() + DRAIN_S
        while True:
            while self._steps is not None and self._loop.time() < deadline_s:
                await asyncio.sleep(0.001)
            for _ in self._steps or ():  # the gate may be closed for longer
                await asyncio.sleep(0)
            self._steps = None
            self._loop.remove_reader(self._receiver)
            if not self.read() or self._loop.time() >= deadline_s:
                break
            await asyncio.sleep(0)  # the clock and the writer's messages are the loop's
        self._receiver.close()
