"""TCP: accepts connections (net/connection.py), balances them over the workers, times them out and drains them.

Time-outs are one sweep per second over all connections, so a read costs no timer. Closing a TLS connection discards
what was not read of it, so a drain closes only what has ended, fallen silent or run out of time. A worker that has a
successor is in no hurry: it retires, which is to serve the connections it has until their senders end them.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from ingestd.net.admission import anybody
from ingestd.net.backpressure import Gate
from ingestd.net.balance import Balance
from ingestd.net.budget import Budget
from ingestd.net.connection import LINGER_S, Connection, OpenWay
from ingestd.net.rates import Rates
from ingestd.net.sockets import WorkerSockets
from ingestd.net.tls import certificate_fault, explain
from ingestd.net.turns import Turns
from ingestd.ratelog import RateLog
from ingestd.stats import CLOSE_REASONS, Slot, index

#: During a drain: a sender that was silent for so long, and at each of so many looks, has had read all that it sent.
#: Looks are counted because a loop that stalls takes no notice of who sends meanwhile.
QUIET_S: Final = 0.5
QUIET_LOOKS: Final = 10

#: During a drain: a TLS handshake that takes longer is of nobody who has sent records.
HANDSHAKE_S: Final = 2.0

#: Connections taken from a listener per wake-up, so that a storm of them does not hold up those that send.
ACCEPT_BATCH: Final = 64

#: Until accepting is tried again after it failed for want of descriptors or memory.
ACCEPT_PAUSE_S: Final = 0.5

#: A worker that retires stays at least so long: another may have been about to hand a connection over to it.
HAND_OVER_S: Final = 1.0

RETIRE_LOOK_S: Final = 0.1
SWEEP_S: Final = 1.0

_OPEN: Final = index("ingestd_connections_open")
_ACCEPTED: Final = index("ingestd_connections_accepted_total")
_HANDED: Final = index("ingestd_connections_handed_over_total")
_CLOSED: Final = {reason: index("ingestd_connections_closed_total", reason) for reason in CLOSE_REASONS}
_FAILURES: Final = {
    fault: index("ingestd_auth_failures_total", fault) for fault in ("no_certificate", "bad_certificate")
}

log = RateLog(logging.getLogger("ingestd.tcp"))


class TcpLimits(NamedTuple):
    """Bounds on one worker's connections. `per_source` are those of one IP address, 0 where that has no limit.

    `max_connections` is counted over all workers; `per_source` and `memory_budget` (bytes) are of each.
    """

    max_connections: int
    per_source: int
    memory_budget: int
    header_timeout_s: float
    idle_timeout_s: float


class TcpServer:
    """The connections of one worker."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sockets: WorkerSockets,
        context: ssl.SSLContext | None,
        limits: TcpLimits,
        open_way: OpenWay,
        gate: Gate,
        turns: Turns,
        rates: Rates,
        balance: Balance,
        slot: Slot,
        admits: Callable[[str], bool] = anybody,
    ) -> None:
        """`admits` is asked for each source that connects, and counts those that it turns away."""
        self.loop = loop
        self.time = loop.time
        self.slot = slot
        self.open_way = open_way
        self.turns = turns
        self.rates = rates
        self.draining = False
        self._listeners = sockets.tcp
        self._inbox = sockets.inbox
        self.context = context  # of the connections to come
        self._limits = limits
        self._gate = gate
        self._balance = balance
        self._admits = admits
        self._connections: set[Connection] = set()
        self.sources: Counter[str] = Counter()  # open connections by source
        self.budget = Budget(limits.memory_budget, self._connections, loop, slot)
        self._handshakes: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        slot[_OPEN] = 0

    def start(self) -> None:
        """Begin to accept."""
        for listener in self._listeners:
            self.loop.add_reader(listener, self._accept, listener)
        self.loop.add_reader(self._inbox, self._take_handed)
        self._sweep()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                sock, address = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in (errno.ECONNABORTED, errno.EPROTO):
                    continue  # the sender was gone before it was accepted
                log.error("accept", "cannot accept a connection: %s; raise LimitNOFILE", error.strerror)
                self.loop.remove_reader(listener)
                self.loop.call_later(ACCEPT_PAUSE_S, self._accept_again, listener)
                return
            if not self._admits(address[0]):
                sock.close()
                continue
            sock.setblocking(False)
            if not self.draining and self._balance.hand_over(sock):
                self.slot.add(_HANDED)
                sock.close()
            else:
                self._take(sock, address[0])

    def _accept_again(self, listener: socket.socket) -> None:
        if not self.draining:
            self.loop.add_reader(listener, self._accept, listener)

    def _take_handed(self) -> None:
        """Take on what other workers passed to this one."""
        while (sock := self._balance.receive()) is not None:
            sock.setblocking(False)
            try:
                source = sock.getpeername()[0]
            except OSError:
                sock.close()  # reset on the way; it had not been counted as accepted
                continue
            self._take(sock, source)

    def _take(self, sock: socket.socket, source: str) -> None:
        self.slot.add(_ACCEPTED)
        self.slot.add(_OPEN)
        self._balance.opened()
        self.sources[source] += 1
        if self._balance.total() > self._limits.max_connections:
            self._turn_away(sock, source, "too_many_connections", "limits.max_connections")
            return
        if 0 < self._limits.per_source < self.sources[source]:
            self._turn_away(sock, source, "too_many_of_source", "limits.max_connections_per_source")
            return
        task = self.loop.create_task(self._serve(sock, source))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    def _turn_away(self, sock: socket.socket, source: str, reason: str, key: str) -> None:
        log.warning(reason, "refused %s: %s reached", source, key)
        self._count_closed(source, reason)
        sock.close()

    async def _serve(self, sock: socket.socket, source: str) -> None:
        """The TLS handshake; afterwards the connection lives by its callbacks."""
        context = self.context
        timeout_s = self._limits.header_timeout_s if context else None
        try:
            await self.loop.connect_accepted_socket(
                lambda: Connection(self, source),
                sock,
                ssl=context,
                ssl_handshake_timeout=timeout_s,
                # Many senders never read, so never answer a close; uvloop would hold each for 30 s.
                ssl_shutdown_timeout=LINGER_S if context else None,
            )
        except ssl.SSLError as error:
            log.warning("tls_error", "TLS handshake with %s failed: %s", source, explain(error))
            if fault := certificate_fault(error):
                self.slot.add(_FAILURES[fault])
            self._count_closed(source, "tls_error")
        except ConnectionAbortedError:
            self._count_closed(source, "header_timeout")
        except OSError:
            self._count_closed(source, "reset")

    def opened(self, connection: Connection) -> None:
        """A connection is made (its handshake done)."""
        self._connections.add(connection)
        self._gate.register(connection)

    def closed(self, connection: Connection, reason: str) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        self._gate.forget(connection)
        self._count_closed(connection.source, reason)

    def _count_closed(self, source: str, reason: str) -> None:
        self.sources[source] -= 1
        if not self.sources[source]:
            del self.sources[source]
        self.slot.add(_OPEN, -1)
        self.slot.add(_CLOSED[reason])
        self._balance.closed()

    def _sweep(self) -> None:
        """Once a second: close what sent no header in time, or nothing for too long."""
        now = self.time()
        interval_s = min(SWEEP_S, self._limits.header_timeout_s / 4, self._limits.idle_timeout_s / 4)
        if not self._gate.closed:
            for connection in tuple(self._connections):
                if not connection.speaking and now - connection.began_s > self._limits.header_timeout_s:
                    connection.close("header_timeout")
                elif now - connection.active_s > self._limits.idle_timeout_s and not connection.working:
                    connection.close("idle_timeout")
        self._sweeper = self.loop.call_later(interval_s, self._sweep)

    def stop_accepting(self) -> None:
        """Take what is queued, stop listening, tell senders that can be told. A second time nothing is left to do."""
        if self.draining:
            return
        self.draining = True
        self._accept_all()
        for listener in self._listeners:
            self.loop.remove_reader(listener)
            listener.close()
        for connection in self._connections:
            connection.announce_drain()

    async def retire(self, deadline_s: float) -> None:
        """Stop accepting, for a successor does; wait for the last connection to end, or `deadline_s` (loop time)."""
        self.stop_accepting()
        until_s = self.time() + HAND_OVER_S
        while (self._connections or self._handshakes or self.time() < until_s) and self.time() < deadline_s:
            await asyncio.sleep(RETIRE_LOOK_S)

    async def drain(self, deadline_s: float) -> None:
        """Stop accepting, and read what clients had sent until `deadline_s` (loop time)."""
        self.stop_accepting()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in self._connections:
            connection.unlimit()
        handshakes_end_s = self.time() + HANDSHAKE_S
        while self.time() < deadline_s:
            looked_s = self.time()
            await asyncio.sleep(QUIET_S / QUIET_LOOKS)  # at least once: a hand-over may be under way
            if not self._connections and (not self._handshakes or looked_s > handshakes_end_s):
                break
            for connection in tuple(self._connections):
                silent = not self._gate.closed and not connection.working and connection.active_s < looked_s
                connection.quiet_looks = connection.quiet_looks + 1 if silent else 0
                if connection.quiet_looks == QUIET_LOOKS:
                    connection.close("drain")
                elif connection.quiet_looks == 2 * QUIET_LOOKS:
                    connection.transport.abort()  # many TLS clients never answer the close
        for task in tuple(self._handshakes):
            task.cancel()
        for connection in tuple(self._connections):
            connection.give_up()
            connection.close("drain")
        self.loop.remove_reader(self._inbox)
        for _ in range(100):
            if not self._connections:
                return
            await asyncio.sleep(0.01)
        for connection in tuple(self._connections):
            connection.transport.abort()
        await asyncio.sleep(0.01)  # some turns of the loop, in which they are told

    def _accept_all(self) -> None:
        """Take on every connection that the kernel had completed: its sender may have sent and gone."""
        before = -1
        while self.slot[_ACCEPTED] != before:
            before = self.slot[_ACCEPTED]
            for listener in self._listeners:
                self._accept(listener)
