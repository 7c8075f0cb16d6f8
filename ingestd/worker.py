"""A worker: one process, one uvloop, one writer thread. Built once from the configuration, then it runs straight.

    sockets (made before the fork) -> TcpServer, UdpServer -> Pipeline -> SegmentWriter -> messages back to the Ledger
                                       Catalog -> rules ----^

Everything on the loop's thread but the writer, whose messages come back through `call_soon_threadsafe`; so the slot has
one writer. The heartbeat is a timer of the same loop, and each block that it takes: a stuck loop has none.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import gc
import logging
import os
import resource
import signal
import ssl
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import uvloop

from formats import timestamps
from formats.record import CORE_FIELDS
from ingestd import registry
from ingestd.accounting import Ledger
from ingestd.batches import BatchDoor
from ingestd.config import Config
from ingestd.enrich import Enricher
from ingestd.net.acknowledged import Acknowledged, Clients
from ingestd.net.backpressure import Gate
from ingestd.net.balance import Balance, LoadTable
from ingestd.net.compression import Decompressor
from ingestd.net.connection import Connection, Way
from ingestd.net.header import Header
from ingestd.net.sockets import WorkerSockets
from ingestd.net.tcp import TcpLimits, TcpServer
from ingestd.net.udp import UdpServer
from ingestd.pipeline import Door, Pipeline
from ingestd.samples import Sampler
from ingestd.schema.catalog import Catalog
from ingestd.schema.record import Limits, RecordRules
from ingestd.schema.rules import All, OwnRules, Rules, ServiceRules
from ingestd.sequences.keeper import Keeper
from ingestd.sequences.table import Sequences
from ingestd.stats import DRAINING, HEARTBEAT, READY, STATE, Board
from ingestd.store.batch import Commit, Lost, Message, Recovery
from ingestd.store.writer import SegmentWriter, WriterSettings

HEARTBEAT_S: Final = 0.5

#: The part of the drain time that is kept for the writer.
WRITER_SHARE: Final = 0.25

#: Descriptors a worker needs beside connections: its own, generously, and what it inherits for each worker.
OWN_FILES: Final = 64
SOCKETS_PER_WORKER: Final = 4

#: sysexits.h: an internal software error; the supervisor replaces the worker.
EX_SOFTWARE: Final = os.EX_SOFTWARE

_PR_SET_PDEATHSIG: Final = 1  # Linux, prctl(2)

log = logging.getLogger("ingestd.worker")


class Shared(NamedTuple):
    """What the supervisor made before the fork and every worker uses."""

    config: Config
    instance: str
    board: Board
    sequences: Sequences
    loads: LoadTable
    sockets: Sequence[WorkerSockets]
    context: ssl.SSLContext | None


def run(number: int, shared: Shared, supervisor_pid: int) -> int:
    """Be worker `number` until SIGTERM; returns the exit code.

    Called in the child, right after the fork, with SIGTERM blocked: it waits until there is something to drain.
    """
    die_with_parent(supervisor_pid)
    for other, group in enumerate(shared.sockets):
        if other != number:  # held open here, they would go on taking what their own worker no longer reads
            group.tcp.close()
            group.udp.close()
            group.inbox.close()
    faulthandler.enable()
    threading.excepthook = _end_with_the_thread
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(number, shared))


async def _serve(number: int, shared: Shared) -> int:
    return await Worker(number, shared).serve()


class Worker:
    """The parts of one worker, joined. Made on its running event loop."""

    def __init__(self, number: int, shared: Shared) -> None:
        config = shared.config
        self._loop = asyncio.get_running_loop()
        self._number = number
        self._drain_timeout_s = config.server.drain_timeout
        self._lost = False
        self._slot = slot = shared.board.slot(number)
        slot.adopt(os.getpid(), time.monotonic_ns(), time.time_ns())
        gate = Gate(config.buffer.high_water, config.buffer.low_water, slot)
        self._ledger = Ledger(slot, gate.free)
        self._clients = Clients(shared.sequences, number, config.limits.max_batch_bytes, self._loop, slot)
        self._keeper = Keeper(
            shared.sequences,
            Path(config.server.state_dir),
            Path(config.server.data_dir),
            config.server.client_ttl,
            slot,
        )
        self._writer = SegmentWriter(
            _writer_settings(config, shared, number, self._ledger.counted_frames),
            lambda message: self._loop.call_soon_threadsafe(self._hear, message),
            self._clients.durable,
        )
        pipeline = Pipeline(
            self._ledger,
            self._writer,
            config.enrich.default_service,
            gate.add,
            Sampler(shared.board.samples, number),
        )
        enricher = Enricher(
            config.enrich.environment,
            config.enrich.app_version,
            config.enrich.fields,
            ZoneInfo(config.syslog.timezone),
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
            if not header.client:
                door = open_door(header.format, "tcp", source, header.schema)
                return Decompressor(door) if header.compressed else door
            avro = catalog.avro(header.schema) if header.format == "avro" and header.schema else b""
            own = header.schema and not avro
            rules = All([common, OwnRules(catalog.named(header.schema))]) if own else common
            batches = BatchDoor(pipeline, header.format, source, enricher.source(source), limit, rules, avro)
            way = Acknowledged(self._clients, header.client, header.compressed, batches, connection)
            way.start()
            return way

        sockets = shared.sockets[number]
        balance = Balance(number, shared.loads, shared.sockets, shared.board)
        limits = TcpLimits(
            connection_limit(config.limits.max_connections, len(shared.sockets)),
            config.limits.header_timeout,
            config.limits.idle_timeout,
        )
        self._tcp = TcpServer(self._loop, sockets, shared.context, limits, open_way, gate, balance, slot)
        self._udp = UdpServer(self._loop, sockets.udp, open_door, gate, self._ledger, slot)

    async def serve(self) -> int:
        """Serve until SIGTERM, then drain; a second SIGTERM ends the drain. 0 where nothing was lost."""
        stop, hurry = asyncio.Event(), asyncio.Event()
        self._loop.add_signal_handler(signal.SIGTERM, lambda: (hurry if stop.is_set() else stop).set())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        beating = self._loop.create_task(self._beat())
        keeping = self._loop.create_task(self._keeper.run())
        await self._loop.run_in_executor(None, self._catalog.look)
        self._catalog.start()
        self._writer.start()
        self._tcp.start()
        self._udp.start()
        gc.collect()
        gc.freeze()
        self._slot[STATE] = READY
        await stop.wait()
        self._slot[STATE] = DRAINING
        await self._drain(hurry)
        beating.cancel()
        keeping.cancel()
        self._catalog.stop()
        return EX_SOFTWARE if self._lost else 0

    async def _drain(self, hurry: asyncio.Event) -> None:
        """Read what TCP clients had sent, then what the kernel holds of UDP; write, sync, rename; count it."""
        deadline_s = self._loop.time() + self._drain_timeout_s * (1 - WRITER_SHARE)
        draining = self._loop.create_task(self._tcp.drain(deadline_s))
        hurrying = self._loop.create_task(hurry.wait())
        await asyncio.wait({draining, hurrying}, return_when=asyncio.FIRST_COMPLETED)
        if not draining.done():
            log.warning("worker %d was told to hurry: not all that clients had sent was read", self._number)
            draining.cancel()
        hurrying.cancel()
        await self._udp.drain()
        await self._loop.run_in_executor(None, self._writer.close, self._drain_timeout_s * WRITER_SHARE)

    async def _beat(self) -> None:
        while True:
            self._slot[HEARTBEAT] = time.monotonic_ns()
            self._udp.count_drops()
            self._clients.check_fences()
            await asyncio.sleep(HEARTBEAT_S)

    def _hear(self, message: Message) -> None:
        self._lost |= isinstance(message, Lost)
        self._ledger.message(message)
        match message:
            case Commit():
                for mark in message.marks:
                    mark.acknowledge(mark.sequence)
            case Recovery():
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


def _writer_settings(config: Config, shared: Shared, number: int, counted_frames: int) -> WriterSettings:
    return WriterSettings(
        folder=Path(config.server.data_dir),
        instance=shared.instance,
        worker=number,
        workers=len(shared.sockets),
        level=config.segment.level,
        max_bytes=config.segment.max_bytes,
        max_age_s=config.segment.max_age,
        flush_interval_s=config.segment.flush_interval,
        rejects_max_bytes=config.limits.rejects_max_bytes,
        counted_frames=counted_frames,
    )


def connection_limit(configured: int, workers: int) -> int:
    """How many connections there may be: always fewer than open files, so that the writer never wants for one."""
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(configured, open_files - OWN_FILES - SOCKETS_PER_WORKER * workers))


def die_with_parent(parent_pid: int) -> None:
    """Be told to stop (SIGTERM) when the parent dies, however it dies. Raises `OSError`."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    if os.getppid() != parent_pid:  # it died before the call
        os.kill(os.getpid(), signal.SIGTERM)


def _end_with_the_thread(args: threading.ExceptHookArgs) -> None:
    """A worker without its writer is of no use: print the bug and end, so that the supervisor replaces it."""
    log.critical("thread %s failed", args.thread, exc_info=args.exc_value)
    os._exit(EX_SOFTWARE)
