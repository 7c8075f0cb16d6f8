"""What the workers of a generation share, made by the supervisor before the fork, and what follows from it for each."""

from __future__ import annotations

import resource
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ingestd.config import Config
from ingestd.net.balance import LoadTable
from ingestd.net.sockets import WorkerSockets
from ingestd.net.tls import server_context
from ingestd.observe.channel import Pair
from ingestd.sequences.table import Sequences
from ingestd.stats import Board
from ingestd.store.folder import Folder
from ingestd.store.takeover import Mine
from ingestd.store.writer import WriterSettings

#: Descriptors a worker needs beside connections: its own, generously, and what it inherits for each worker.
OWN_FILES: Final = 64
SOCKETS_PER_WORKER: Final = 4


class Shared(NamedTuple):
    """What the supervisor made before the fork and every worker of a generation uses."""

    config: Config
    instance: str
    data_dir: Folder
    strays: Mapping[str, int]  # see takeover.strays
    board: Board
    sequences: Sequences
    loads: LoadTable
    sockets: Sequence[WorkerSockets]  # by position
    slots: Sequence[int]  # by position: which of the board, and so the number in the names of segments
    context: ssl.SSLContext | None
    observations: Pair  # what workers tell the sidecar by
    passed: frozenset[str] = frozenset()  # what of `sockets` the service manager holds: see activation.KINDS


def writer_settings(shared: Shared, number: int, counted_frames: int) -> WriterSettings:
    """For the writer of worker `number`, which has counted so many frames."""
    config = shared.config
    return WriterSettings(
        folder=shared.data_dir,
        mine=Mine(number, shared.strays, shared.instance, counted_frames),
        level=config.segment.level,
        max_bytes=config.segment.max_bytes,
        max_age_s=config.segment.max_age,
        flush_interval_s=config.segment.flush_interval,
        rejects_max_bytes=config.limits.rejects_max_bytes,
    )


def tls_context(config: Config) -> ssl.SSLContext | None:
    """The context of connections to come, None without TLS. Raises `StartError`."""
    tcp = config.listen.tcp
    if tcp.plaintext:
        return None
    return server_context(Path(tcp.cert), Path(tcp.key), Path(tcp.client_ca) if tcp.client_ca else None)


def connection_limit(configured: int, workers: int) -> int:
    """How many connections there may be: always fewer than open files, so that the writer never wants for one."""
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(configured, open_files - OWN_FILES - SOCKETS_PER_WORKER * workers))
