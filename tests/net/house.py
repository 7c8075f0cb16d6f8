"""One worker's network side in this process: real sockets, a keeping writer, and the doors between them."""

from __future__ import annotations

import asyncio
import socket

from formats.record import Enrichment
from ingestd.accounting import Ledger
from ingestd.net.backpressure import Gate
from ingestd.net.balance import Balance, LoadTable
from ingestd.net.connection import Connection
from ingestd.net.header import Header
from ingestd.net.rates import RateLimits, Rates
from ingestd.net.sockets import Address, bind_tcp, bind_udp, deal
from ingestd.net.stream import Stream
from ingestd.net.tcp import TcpLimits, TcpServer
from ingestd.net.turns import Turns
from ingestd.net.udp import UdpServer
from ingestd.observe.channel import Teller, make_pair
from ingestd.observe.observer import Observer
from ingestd.pipeline import Door, Pipeline
from ingestd.samples import Sampler
from ingestd.stats import READY, STATE, Board
from tests.fakes import KeepingWriter

LIMITS = TcpLimits(100, 0, 1 << 30, 60.0, 60.0)
UNLIMITED = RateLimits()


class House:
    """Made on a running event loop."""

    def __init__(
        self,
        door: type[Door] = Door,
        limit_bytes: int = 1_000_000,
        limits: TcpLimits = LIMITS,
        rates: RateLimits = UNLIMITED,
    ) -> None:
        loop = asyncio.get_running_loop()
        local = Address("127.0.0.1", 0)
        self.sockets = deal(1, bind_tcp(1, local, 128), bind_udp(1, local, 4 << 20))
        self.board = Board(1)
        self.slot = self.board.slot(0)
        self.slot[STATE] = READY
        self.gate = Gate(1 << 30, 1 << 29, self.slot)
        self.ledger = Ledger(self.slot, self.gate.free)
        self.writer = KeepingWriter()
        self.channel = make_pair()
        teller = Teller(self.channel.telling)
        observer = Observer(0, (), teller, self.slot, loop.call_later, lambda: self.tcp.sources)
        self._pipeline = Pipeline(
            self.ledger, self.writer, "unknown", self.gate.add, Sampler(self.board.samples, 0), observer
        )
        self._door = door
        self._limit_bytes = limit_bytes
        self.turns = Turns(loop, self.gate)
        self.rates = Rates(rates, loop.time)
        balance = Balance(0, LoadTable(1), self.sockets, self.board, [0])
        self.tcp = TcpServer(
            loop,
            self.sockets[0],
            None,
            limits,
            self._way,
            self.gate,
            self.turns,
            self.rates,
            balance,
            self.slot,
        )
        self.udp = self.udp_server(self.sockets[0].udp[0])

    def udp_server(self, receiver: socket.socket) -> UdpServer:
        loop = asyncio.get_running_loop()
        return UdpServer(loop, receiver, self.door, self.gate, self.turns, self.rates, self.ledger, self.slot)

    def _way(self, header: Header, source: str, _: Connection) -> Stream:
        return Stream(self.door(header.format, "tcp", source))

    def door(self, format_: str, transport: str, source: str, schema: str = "") -> Door:
        return self._door(self._pipeline, format_, transport, source, Enrichment({}), self._limit_bytes)

    def records(self) -> int:
        """How many good records reached the writer."""
        return sum(batch.encoded.records for batch in self.writer.batches)

    def close(self) -> None:
        for sock in (*self.sockets[0].all(), *self.channel):
            sock.close()
