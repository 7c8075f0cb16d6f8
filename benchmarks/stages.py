"""Each stage of the JSON path timed alone, in this process, over the same blocks of loadgen's records.

What a stage costs with warm caches, a GIL of its own and nobody else on the core: the least it can cost. The same
stages in the running daemon (`perf`) cost more, and the difference is what contention and cold caches take. CPU time of
this thread, user and system; the best of several rounds over all blocks.
"""

from __future__ import annotations

import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from benchmarks import perf
from benchmarks.corpus import BLOCK_BYTES, Block, context, json_blocks
from benchmarks.micro_store import frames_of
from formats import json as json_format
from formats.framing import Lines
from formats.record import Encoded
from ingestd.accounting import Ledger
from ingestd.stats import Board
from ingestd.store.batch import Batch
from ingestd.store.frame import FRAME_BYTES
from ingestd.store.segment import Compressor
from ingestd.store.writer import SYNC_BYTES

#: About 16 MB as sent, so that no round finds its input in the cache.
BLOCKS: Final = 64

_TLS_READ_BYTES: Final = BLOCK_BYTES


def time_alone(certs: Path, folder: Path, rounds: int) -> dict[str, float]:
    """Nanoseconds per record by stage of `perf.STAGES`. `certs` is a folder of `ingestd certs`."""
    blocks = json_blocks(BLOCKS)
    records = sum(block.records for block in blocks)
    sent = b"".join(block.sent for block in blocks)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        stages: dict[str, Callable[[], float]] = {
            perf.RECEIVE: partial(_receive, sent),
            perf.TLS: partial(_tls, sent, certs),
            perf.FRAMING: partial(_timed, partial(_frame, sent)),
            perf.ENCODE: partial(_timed, partial(_encode, blocks)),
            perf.LOOP: partial(_timed, partial(_account, blocks)),
            perf.COMPRESS: partial(_timed, partial(_compress, blocks)),
            perf.WRITE: partial(_write, _frames(blocks), Path(scratch) / "segment"),
        }
        return {name: min(run() for _ in range(rounds)) / records for name, run in stages.items()}


def _timed(run: Callable[[], object]) -> float:
    start_ns = time.thread_time_ns()
    run()
    return time.thread_time_ns() - start_ns


def _receive(sent: bytes) -> float:
    """TCP over loopback, in reads as large as the event loop's."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as out,
    ):
        incoming, _ = server.accept()
        with incoming:
            sender = threading.Thread(target=out.sendall, args=(sent,))
            sender.start()
            buffer = bytearray(BLOCK_BYTES)
            left = len(sent)
            start_ns = time.thread_time_ns()
            while left:
                left -= incoming.recv_into(buffer)
            taken_ns = time.thread_time_ns() - start_ns
            sender.join()
    return taken_ns


def _tls(sent: bytes, certs: Path) -> float:
    """Decryption of what a TLS 1.3 client made of the corpus, from memory."""
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    accepting.load_cert_chain(certs / "server.crt", certs / "server.key")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_context = ssl.create_default_context(cafile=str(certs / "ca.crt"))
    client = client_context.wrap_bio(to_client, to_server, server_hostname="localhost")
    server = accepting.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue  # the other side's turn
    taken_ns = 0
    for start in range(0, len(sent), _TLS_READ_BYTES):
        part = sent[start : start + _TLS_READ_BYTES]
        client.write(part)
        left = len(part)
        begun_ns = time.thread_time_ns()
        while left:
            left -= len(server.read(left))
        taken_ns += time.thread_time_ns() - begun_ns
    return taken_ns


def _frame(sent: bytes) -> None:
    """Reads that end anywhere, as they do, not at a line's end."""
    feed = Lines(1_000_000).feed
    for start in range(0, len(sent), BLOCK_BYTES):
        feed(sent[start : start + BLOCK_BYTES])


def _encode(blocks: list[Block]) -> None:
    for block in blocks:
        json_format.encode(block.sent, context())


def _account(blocks: list[Block]) -> None:
    """What a block costs beside its records: the move of the counters and the queue to the writer."""
    ledger = Ledger(Board(1).slot(0), lambda nbytes: None)
    queue: SimpleQueue[Batch] = SimpleQueue()
    for block in blocks:
        encoded = Encoded("json", block.chunks, 0, block.records)
        ledger.received(encoded, "tcp")
        queue.put(Batch(encoded, "tcp", time.monotonic_ns()))
        queue.get()


def _frames(blocks: list[Block]) -> list[bytes]:
    compressor = Compressor(level=1)
    return [compressor.compress(*frame) for frame in frames_of(blocks, FRAME_BYTES)]


def _compress(blocks: list[Block]) -> None:
    _frames(blocks)


def _write(frames: list[bytes], path: Path) -> float:
    """One write a frame, one sync for as much as the writer gathers."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    unsynced = 0
    start_ns = time.thread_time_ns()
    try:
        for frame in frames:
            os.write(fd, frame)
            unsynced += len(frame)
            if unsynced >= SYNC_BYTES:
                os.fdatasync(fd)
                unsynced = 0
        os.fdatasync(fd)
        return time.thread_time_ns() - start_ns
    finally:
        os.close(fd)
