"""A worker: one process, one uvloop, one writer thread. Built once from the configuration, then it runs straight.

    sockets (made before the fork) -> TcpServer, UdpServer -> Pipeline -> SegmentWriter -> messages back to the Ledger
                                       Catalog -> rules ----^

Everything on the loop's thread but the writer, whose messages come back through `call_soon_threadsafe`; so the slot has
one writer. The heartbeat is a timer of the same loop, and each block that it takes: a stuck loop has none.

    SIGTERM   drain: read what was sent and leave, soon; again: hurry
    SIGUSR1   retire: a successor accepts now; serve the connections there are until they end, then leave
    SIGUSR2   take new certificates for the connections to come
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import uvloop

from formats import timestamps
from formats.record import CORE_FIELDS
from ingestd import registry
from ingestd.accounting import Ledger
from ingestd.alerts.rules import conditions
from ingestd.batches import BatchDoor
from ingestd.child import ORDERS, settle_in
from ingestd.config import Config
from ingestd.enrich import Enricher
from ingestd.errors import StartError
from ingestd.heap import keep_freed_memory
from ingestd.identities import identity
from ingestd.net import admission
from ingestd.net.acknowledged import Acknowledged, Clients
from ingestd.net.backpressure import Gate
from ingestd.net.balance import Balance
from ingestd.net.compression import Decompressor
from ingestd.net.connection import Connection, Way
from ingestd.net.header import Header
from ingestd.net.rates import RateLimits, Rates
from ingestd.net.stream import Stream
from ingestd.net.tcp import TcpLimits, TcpServer
from ingestd.net.turns import Turns
from ingestd.net.udp import UdpServer
from ingestd.observe.channel import Teller
from ingestd.observe.observer import Observer
from ingestd.pipeline import Door, Pipeline
from ingestd.samples import Sampler
from ingestd.schema.catalog import Catalog
from ingestd.schema.record import Limits, RecordRules
from ingestd.schema.rules import All, OwnRules, Rules, ServiceRules
from ingestd.sequences.keeper import Keeper
from ingestd.shared import Shared, connection_limit, tls_context, writer_settings
from ingestd.stats import CERTIFICATES, DRAINING, HEARTBEAT, READY, STATE
from ingestd.store.batch import Commit, Lost, Message, Recovery
from ingestd.store.writer import SegmentWriter

HEARTBEAT_S: Final = 0.5

#: The part of the drain time that is kept for the writer.
WRITER_SHARE: Final = 0.25

#: How long a thread runs Python while another waits to. The writer's asks for the interpreter some ten times on a
#: batch's way to its ACK, each of which would wait for the usual 5 ms where a sender of garbage keeps the loop busy.
SWITCH_S: Final = 0.0005

log = logging.getLogger("ingestd.worker")


def run(position: int, shared: Shared, supervisor_pid: int) -> int:
    """Be the worker of `position` until SIGTERM or SIGUSR1; returns the exit code.

    Called in the child, right after the fork, with these blocked: they wait until there is something to drain.
    """
    settle_in(supervisor_pid)
    keep_freed_memory()
    sys.setswitchinterval(SWITCH_S)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(position, shared))


async def _serve(position: int, shared: Shared) -> int:
    return await Worker(position, shared).serve()


class Worker:
    """The parts of one worker, joined. Made on its running event loop."""

    def __init__(self, position: int, shared: Shared) -> None:
        config = shared.config
        number = shared.slots[position]
        self._loop = asyncio.get_running_loop()
        self._number = number
        self._shared = shared
        self._drain_timeout_s = config.server.drain_timeout
        self._lost = False
        self._slot = slot = shared.board.slot(number)
        slot.adopt(os.getpid(), time.monotonic_ns(), time.time_ns())
        slot[CERTIFICATES] = shared.board.supervisor[CERTIFICATES]
        gate = Gate(config.buffer.high_water, config.buffer.low_water, slot)
        self._ledger = Ledger(slot, gate.free)
        self._admission = admitting = admission.Admission(_admission_rules(config), slot)
        self._clients = Clients(shared.sequences, number, config.limits.max_batch_bytes, self._loop, slot)
        self._keeper = Keeper(
            shared.sequences,
            Path(config.server.state_dir),
            Path(config.server.data_dir),
            config.server.client_ttl,
            slot,
        )
        self._writer = SegmentWriter(
            writer_settings(shared, number, self._ledger.counted_frames),
            lambda message: self._loop.call_soon_threadsafe(self._hear, message),
            self._clients.durable,
        )
        self._observer = observer = Observer(
            number,
            conditions(config.alert),
            Teller(shared.observations.telling),
            slot,
            self._loop.call_later,
            lambda: self._tcp.sources,
        )
        pipeline = Pipeline(
            self._ledger,
            self._writer,
            config.enrich.default_service,
            gate.add,
            Sampler(shared.board.samples, number),
            observer,
            config.heartbeat.store,
        )
        enricher = Enricher(
            config.enrich.environment,
            config.enrich.app_version,
            config.enrich.fields,
            ZoneInfo(config.syslog.timezone),
            config.heartbeat.store,
        )

        self._catalog = catalog = Catalog(
            Path(config.server.state_dir) / registry.DATABASE, {*CORE_FIELDS, *enricher.source("").keys}
        )
        common = _common_rules(config, catalog)

        limit = config.limits.max_record_bytes

        def open_door(format_: str, transport: str, source: str, schema: str = "") -> Door:
            rules = All([common, OwnRules(catalog.named(schema))]) if schema else common
            return Door(pipeline, format_, transport, source, enricher.source(source), limit, rules)

        def open_way(header: Header, source: str, connection: Connection) -> Way:
            admitting.check(header, source, connection)
            if not header.client:
                stream = Stream(open_door(header.format, "tcp", source, header.schema))
                return Decompressor(stream) if header.compressed else stream
            avro = catalog.avro(header.schema) if header.format == "avro" and header.schema else b""
            own = header.schema and not avro
            rules = All([common, OwnRules(catalog.named(header.schema))]) if own else common
            batches = BatchDoor(pipeline, header.format, source, enricher.source(source), limit, rules, avro)
            way = Acknowledged(self._clients, header.client, header.compressed, batches, connection)
            way.start()
            return way

        sockets = shared.sockets[position]
        balance = Balance(position, shared.loads, shared.sockets, shared.board, shared.slots)
        limits = TcpLimits(
            connection_limit(config.limits.max_connections, len(shared.sockets)),
            config.limits.max_connections_per_source,
            config.limits.memory_budget,
            config.limits.header_timeout,
            config.limits.idle_timeout,
        )
        self._turns = turns = Turns(self._loop, gate)
        rates = Rates(
            RateLimits(config.limits.connection_rate, config.limits.source_rate, config.limits.rate_burst),
            self._loop.time,
        )
        self._tcp = TcpServer(
            self._loop,
            sockets,
            shared.context,
            limits,
            open_way,
            gate,
            turns,
            rates,
            balance,
            slot,
            admitting.admits,
        )
        self._udp = [
            UdpServer(
                self._loop,
                receiver,
                open_door,
                gate,
                turns,
                rates,
                self._ledger,
                slot,
                admitting.admits_datagrams,
            )
            for receiver in sockets.udp
        ]

    async def serve(self) -> int:
        """Serve until SIGTERM or SIGUSR1, then drain or retire; 0 where nothing was lost."""
        stop, hurry, retire = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._loop.add_signal_handler(signal.SIGTERM, lambda: (hurry if stop.is_set() else stop).set())
        self._loop.add_signal_handler(signal.SIGUSR1, retire.set)
        self._loop.add_signal_handler(signal.SIGUSR2, self._take_certificates)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ORDERS)
        beating = self._loop.create_task(self._beat())
        keeping = self._loop.create_task(self._keeper.run())
        await self._loop.run_in_executor(None, self._catalog.look)
        self._catalog.start()
        self._writer.start()
        self._tcp.start()
        for udp in self._udp:
            udp.start()
        gc.collect()
        gc.freeze()
        self._slot[STATE] = READY
        await first(stop.wait(), retire.wait())
        self._slot[STATE] = DRAINING
        if not stop.is_set():
            await first(self._retire(), stop.wait())
        await self._drain(hurry)
        beating.cancel()
        keeping.cancel()
        self._catalog.stop()
        return os.EX_SOFTWARE if self._lost else 0

    async def _retire(self) -> None:
        """Leave what comes to the successor; serve the connections there are for `reload_timeout` at most."""
        deadline_s = self._loop.time() + self._shared.config.server.reload_timeout
        self._tcp.stop_accepting()
        for udp in self._udp:
            await udp.drain()
        await self._tcp.retire(deadline_s)

    async def _drain(self, hurry: asyncio.Event) -> None:
        """Read what TCP clients had sent, then what the kernel holds of UDP; write, sync, rename; count it."""
        deadline_s = self._loop.time() + self._drain_timeout_s * (1 - WRITER_SHARE)
        await first(self._tcp.drain(deadline_s), hurry.wait())
        if hurry.is_set():
            log.warning("worker %d was told to hurry: not all that clients had sent was read", self._number)
        for udp in self._udp:
            await udp.drain()
        self._turns.stop()
        self._observer.flush()
        await self._loop.run_in_executor(None, self._writer.close, self._drain_timeout_s * WRITER_SHARE)

    async def _beat(self) -> None:
        while True:
            self._slot[HEARTBEAT] = time.monotonic_ns()
            self._clients.check_fences()
            self._admission.look()
            self._observer.look_around()
            await asyncio.sleep(HEARTBEAT_S)

    def _take_certificates(self) -> None:
        """New connections get the certificate that is on disk now; the supervisor has checked it."""
        try:
            self._tcp.context = tls_context(self._shared.config)
        except StartError as error:
            log.error("worker %d keeps its certificate: %s", self._number, error)
        self._slot[CERTIFICATES] = self._shared.board.supervisor[CERTIFICATES]

    def _hear(self, message: Message) -> None:
        self._lost |= isinstance(message, Lost)
        self._ledger.message(message)
        match message:
            case Commit():
                for mark in message.marks:
                    mark.acknowledge(mark.sequence)
            case Recovery(complete=True):
                self._clients.settle(message.clients)


def _common_rules(config: Config, catalog: Catalog) -> Rules:
    """What holds for the records of every sender."""
    limits = Limits(
        timestamps.parse(config.schema.min_timestamp),
        config.schema.max_future,
        config.schema.max_message_chars,
    )
    record = RecordRules(limits)
    if not config.schema.services:
        return record
    services = {service: catalog.configured(name) for service, name in config.schema.services.items()}
    return All([record, ServiceRules(services)])


def _admission_rules(config: Config) -> admission.Rules:
    auth = config.auth
    return admission.Rules(
        networks=[ipaddress.ip_network(text) for text in auth.networks],
        identities=frozenset(map(identity, auth.clients)),
        tokens_file=Path(auth.tokens_file) if auth.tokens_file else None,
        tokenless_networks=[ipaddress.ip_network(text) for text in auth.tokenless_networks],
    )


async def first(*ways: Coroutine[Any, Any, object]) -> None:
    """Wait until one of them ends, and call the others off."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
