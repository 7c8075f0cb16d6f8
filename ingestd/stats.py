"""Counters in shared memory: one slot per process, one writer per slot, no lock.

The supervisor makes the memory before it forks. Each worker is given a slot that is free, and the last one is the
supervisor's; each is an array of int64 that only its owner's event loop thread writes, and the supervisor while it is
nobody's. Counters live in the memory and not in the worker, so they survive its death, and whoever has the slot next
goes on from them. There are more slots than workers, so that while workers are replaced both have one.

Several values move together (a block is received and is in flight), so a slot opens with a version that is odd
while they move: a reader copies the slot and looks at the version again (a seqlock). A snapshot is therefore one
moment of one worker, and the accounting law holds in it exactly:

    received = written + rejected{reason} + dropped{reason} + in flight

    slot:  0 version | 1 pid | 2 heartbeat (CLOCK_MONOTONIC ns) | 3 started (UNIX ns) | 4 state |
          5 position + 1, 0 while it is free | 6 certificates (how often they were reloaded) | 7… the series of METRICS

`LAYOUT` names each of these, so that a program of another version can carry them over (`transcribe`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal, NamedTuple

from formats import FORMATS
from formats.levels import LEVELS
from formats.record import REASONS
from ingestd.memory import Memory
from ingestd.rings import Rings
from ingestd.samples import Samples

VERSION: Final = 0
PID: Final = 1
HEARTBEAT: Final = 2
STARTED: Final = 3
STATE: Final = 4
POSITION: Final = 5
CERTIFICATES: Final = 6
FIRST_SERIES: Final = 7

_SPINS: Final = 100  # of about 2 us each: a move takes less than that
_NAPS: Final = 200
_NAP_S: Final = 0.0005

#: Values of STATE.
STARTING, READY, DRAINING = range(3)

TRANSPORTS: Final = ("tcp", "udp")

#: Why an accepted record is not on disk although nothing was wrong with it.
DROP_REASONS: Final = ("backpressure", "rate_limit", "write_error", "worker_crash")

#: Why segments cannot be written, told apart by what an operator does about it: make room; allow writing; bring the
#: folder back; look at the disk.
DISK_FAULTS: Final = ("full", "read_only", "missing", "error")

#: How a connection ended.
CLOSE_REASONS: Final = (
    "eof",
    "reset",
    "tls_error",
    "header_timeout",
    "idle_timeout",
    "bad_header",
    "frame_error",
    "too_many_connections",
    "too_many_of_source",
    "memory_budget",
    "too_many_clients",
    "bad_batch",
    "bad_sequence",
    "fenced",
    "busy",
    "unauthorized",
    "drain",
)

#: Which check of a sender failed.
AUTH_REASONS: Final = (
    "network",
    "no_certificate",
    "bad_certificate",
    "certificate_not_listed",
    "no_token",
    "unknown_token",
    "client_not_allowed",
    "token_withdrawn",
)

#: What a worker tells the sidecar only so many of (observe/observer.py).
OBSERVED: Final = ("match_service", "sample", "service", "heartbeat", "reject", "source")

#: Upper bounds in seconds, from a quiet flush to a writer that is far behind.
LATENCY_BUCKETS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    1.5,
    2.5,
    5.0,
    10.0,
    30.0,
)

Kind = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """One metric family. `series` lists its label values; a histogram has one unlabelled series.

    `scale` turns the stored integer into the exposed unit: a sum kept in microseconds has 1e-6.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    series: tuple[tuple[str, ...], ...] = ((),)
    scale: float = 1
    buckets: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """How many int64 the family takes in a slot; a histogram: its buckets, the +Inf bucket, the sum."""
        return len(self.buckets) + 2 if self.kind == "histogram" else len(self.series)


def _product(*axes: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    rows: tuple[tuple[str, ...], ...] = ((),)
    for axis in axes:
        rows = tuple((*row, value) for row in rows for value in axis)
    return rows


_FORMATS = tuple(FORMATS)
_FT: Final = ("format", "transport")
_FTR: Final = ("format", "transport", "reason")

METRICS: Final[tuple[Metric, ...]] = (
    Metric(
        "ingestd_records_received_total",
        "counter",
        "Records told apart in what senders sent.",
        _FT,
        _product(_FORMATS, TRANSPORTS),
    ),
    Metric(
        "ingestd_records_written_total",
        "counter",
        "Records on disk: fdatasync returned.",
        _FT,
        _product(_FORMATS, TRANSPORTS),
    ),
    Metric(
        "ingestd_records_rejected_total",
        "counter",
        "Records refused for what they are; kept in rejects_*.jsonl.zst.",
        _FTR,
        _product(_FORMATS, TRANSPORTS, REASONS),
    ),
    Metric(
        "ingestd_records_dropped_total",
        "counter",
        "Good records that could not be kept.",
        _FTR,
        _product(_FORMATS, TRANSPORTS, DROP_REASONS),
    ),
    Metric(
        "ingestd_records_in_flight",
        "gauge",
        "Records received and not yet on disk.",
        _FT,
        _product(_FORMATS, TRANSPORTS),
    ),
    Metric(
        "ingestd_records_level_total",
        "counter",
        "Good records received, by level.",
        ("level",),
        _product(LEVELS),
    ),
    Metric(
        "ingestd_received_bytes_total",
        "counter",
        "Bytes received, after TLS.",
        ("transport",),
        _product(TRANSPORTS),
    ),
    Metric(
        "ingestd_encoded_bytes_total", "counter", "Bytes of enriched JSON lines on disk, before compression."
    ),
    Metric("ingestd_written_bytes_total", "counter", "Bytes written to segments, after compression."),
    Metric("ingestd_frames_written_total", "counter", "Complete zstd frames on disk."),
    Metric(
        "ingestd_sync_duration_seconds",
        "histogram",
        "How long fdatasync of a segment took; one observation per call that succeeded.",
        scale=1e-6,
        buckets=LATENCY_BUCKETS,
    ),
    Metric(
        "ingestd_write_errors_total",
        "counter",
        "Failed writes, syncs, renames and opens of segments, by what failed.",
        ("operation",),
        (("open",), ("write",), ("rejects",), ("recovery",), ("retention",)),
    ),
    Metric(
        "ingestd_disk_failing",
        "gauge",
        "Workers that cannot write their segments at the moment, by why.",
        ("fault",),
        _product(DISK_FAULTS),
    ),
    Metric(
        "ingestd_segment_rotations_total",
        "counter",
        "Segments closed and renamed.",
        ("reason",),
        (("size",), ("age",), ("shutdown",), ("error",)),
    ),
    Metric(
        "ingestd_segments_recovered_total", "counter", "Segments left open by a crash and closed by recovery."
    ),
    Metric(
        "ingestd_segment_torn_bytes_total", "counter", "Bytes of torn tails set aside as .bad by recovery."
    ),
    Metric("ingestd_segments_deleted_total", "counter", "Segments deleted by retention."),
    Metric(
        "ingestd_rejects_skipped_total",
        "counter",
        "Rejected records not kept because the rejects files are full.",
    ),
    Metric("ingestd_queue_bytes", "gauge", "Encoded bytes queued for the writer."),
    Metric(
        "ingestd_backpressure_pauses_total", "counter", "Times reading paused because the writer was behind."
    ),
    Metric(
        "ingestd_rate_limit_pauses_total",
        "counter",
        "Times reading from a connection paused because it or its source was over its rate.",
    ),
    Metric(
        "ingestd_held_bytes",
        "gauge",
        "Held for connections: unfinished records and batches, unread answers; limits.memory_budget bounds it.",
    ),
    Metric("ingestd_connections_open", "gauge", "Open TCP connections."),
    Metric("ingestd_connections_accepted_total", "counter", "TCP connections taken on."),
    Metric(
        "ingestd_connections_handed_over_total", "counter", "TCP connections passed to a less loaded worker."
    ),
    Metric(
        "ingestd_connections_closed_total",
        "counter",
        "TCP connections ended, by how.",
        ("reason",),
        _product(CLOSE_REASONS),
    ),
    Metric(
        "ingestd_auth_failures_total",
        "counter",
        "Times a TCP sender failed a check of who may send, by which.",
        ("reason",),
        _product(AUTH_REASONS),
    ),
    Metric("ingestd_batches_received_total", "counter", "Batches taken from clients with acknowledgements."),
    Metric(
        "ingestd_batches_acknowledged_total", "counter", "Batches acknowledged: on disk, fdatasync returned."
    ),
    Metric(
        "ingestd_batches_duplicate_total",
        "counter",
        "Batches that clients sent again, acknowledged and not stored twice.",
    ),
    Metric(
        "ingestd_clients_forgotten_total",
        "counter",
        "Clients with acknowledgements removed for being unseen for server.client_ttl.",
    ),
    Metric(
        "ingestd_checkpoint_errors_total",
        "counter",
        "Failed writes of state_dir/clients.json; the next start takes longer, nothing is lost.",
    ),
    Metric("ingestd_udp_datagrams_total", "counter", "UDP datagrams read."),
    Metric(
        "ingestd_udp_refused_datagrams_total",
        "counter",
        "UDP datagrams of those read that were dropped unseen, for their source may not send.",
    ),
    Metric(
        "ingestd_udp_kernel_drops_total",
        "counter",
        "Datagrams the kernel dropped at a full receive buffer, as its socket counter (SO_RXQ_OVFL) says.",
    ),
    Metric(
        "ingestd_write_latency_seconds",
        "histogram",
        "From the receipt of a record to its being on disk; one observation per record.",
        scale=1e-6,
        buckets=LATENCY_BUCKETS,
    ),
    Metric(
        "ingestd_heartbeats_received_total",
        "counter",
        "Heartbeats received that are not stored, and so are no records.",
        _FT,
        _product(_FORMATS, TRANSPORTS),
    ),
    Metric(
        "ingestd_observations_cut_total",
        "counter",
        "Facts for alerts and the dashboard that were too many to be told apart or at all, by what they are.",
        ("fact",),
        _product(OBSERVED),
    ),
    Metric("ingestd_worker_restarts_total", "counter", "Workers replaced after they died or hung."),
    Metric("ingestd_sidecar_restarts_total", "counter", "Times the HTTP sidecar was replaced after it died."),
    Metric(
        "ingestd_reloads_total",
        "counter",
        "Reloads asked for by SIGHUP, by what came of them.",
        ("result",),
        (("applied",), ("certificates",), ("refused",)),
    ),
)

_INDEX: Final[dict[tuple[str, ...], int]] = {}
_BASE: Final[dict[str, int]] = {}
_next = FIRST_SERIES
for _metric in METRICS:
    _BASE[_metric.name] = _next
    for _offset, _labels in enumerate(_metric.series):
        _INDEX[_metric.name, *_labels] = _next + _offset
    _next += _metric.width
SLOT_WIDTH: Final = (_next + 7) // 8 * 8  # whole 64-byte cache lines, so that two owners never share one

#: Gauges of what a worker holds in its own memory: they end with it. (Records in flight do not: its heir settles them.)
_HELD: Final = (
    *(_INDEX[name,] for name in ("ingestd_queue_bytes", "ingestd_held_bytes", "ingestd_connections_open")),
    *(_INDEX["ingestd_disk_failing", fault] for fault in DISK_FAULTS),
)


def _layout() -> Iterator[tuple[str, int]]:
    head = {"pid": PID, "heartbeat": HEARTBEAT, "started": STARTED, "state": STATE, "position": POSITION}
    yield from (head | {"certificates": CERTIFICATES}).items()
    for metric in METRICS:
        cells = metric.series
        if metric.kind == "histogram":
            cells = tuple((str(bound),) for bound in (*metric.buckets, "+Inf", "sum"))
        yield from (("|".join((metric.name, *cell)), _BASE[metric.name] + n) for n, cell in enumerate(cells))


#: Everything in a slot but its version, by name.
LAYOUT: Final = dict(_layout())


def index(name: str, *labels: str) -> int:
    """The place in a slot of one series; a histogram's is its first bucket. `KeyError` names a series that is not."""
    return _INDEX[name, *labels]


class Slot:
    """One process's counters, for its writer. Index by `index()`; wrap moves that belong together in `moving()`."""

    __slots__ = ("_values",)

    def __init__(self, values: memoryview[int]) -> None:
        self._values = values

    def __getitem__(self, place: int) -> int:
        return self._values[place]

    def __setitem__(self, place: int, value: int) -> None:
        self._values[place] = value

    def add(self, place: int, amount: int = 1) -> None:
        """Add to one series that moves on its own."""
        self._values[place] += amount

    @contextmanager
    def moving(self) -> Iterator[memoryview[int]]:
        """The raw values, to move several of them as one moment for readers."""
        values = self._values
        values[VERSION] += 1
        try:
            yield values
        finally:
            values[VERSION] += 1

    def observe(self, base: int, buckets: tuple[float, ...], seconds: float, count: int) -> None:
        """Put `count` observations of `seconds` into the histogram whose first bucket is at `base`."""
        values = self._values
        for offset, bound in enumerate(buckets):
            if seconds <= bound:
                values[base + offset] += count
                break
        else:
            values[base + len(buckets)] += count
        values[base + len(buckets) + 1] += int(seconds * 1e6) * count

    def adopt(self, pid: int, now_monotonic_ns: int, now_ns: int) -> None:
        """Take the slot over at birth: whatever a dead predecessor left half moved counts as moved."""
        values = self._values
        values[VERSION] += values[VERSION] & 1
        values[PID] = pid
        values[HEARTBEAT] = now_monotonic_ns
        values[STARTED] = now_ns
        values[STATE] = STARTING

    def assign(self, position: int) -> None:
        """By the supervisor: from now on this is the slot of a worker of `position`, which will adopt it."""
        self._empty()
        self._values[POSITION] = position + 1

    def release(self) -> None:
        """By the supervisor: the worker is gone and has no successor here; its counters stay."""
        self._values[POSITION] = 0
        self._empty()

    def _empty(self) -> None:
        values = self._values
        values[VERSION] += values[VERSION] & 1
        for place in (PID, HEARTBEAT, STARTED, CERTIFICATES, *_HELD):
            values[place] = 0
        values[STATE] = STARTING


class Board:
    """All slots: those of workers, and the supervisor's own, `board.supervisor`, behind them. Made before the fork."""

    def __init__(self, slots: int, memory: Memory | None = None, rings: Rings | None = None) -> None:
        """`memory` is that of a board of this `LAYOUT` made before; `slots` must be the same then."""
        self.slots = slots
        self.samples = Samples(slots)
        self.rings = rings or Rings()
        self.memory = memory or Memory("ingestd-board", (slots + 1) * SLOT_WIDTH * 8)
        self._values = self.memory.words()

    def slot(self, number: int) -> Slot:
        """The writer's view of slot `number`."""
        return Slot(self._view(number))

    @property
    def supervisor(self) -> Slot:
        return self.slot(self.slots)

    def snapshot(self, number: int) -> list[int]:
        """One moment of slot `number`: `SLOT_WIDTH` values."""
        return still(self._view(number))

    def snapshots(self) -> list[list[int]]:
        """One snapshot per slot of workers, then the supervisor's."""
        return [self.snapshot(number) for number in range(self.slots + 1)]

    def _view(self, number: int) -> memoryview[int]:
        return self._values[number * SLOT_WIDTH : (number + 1) * SLOT_WIDTH]


def still(view: memoryview[int]) -> list[int]:
    """One moment of a slot, read again while its writer moved values.

    A live writer can lose its core or its GIL in the middle, for longer than any spin: then the reader naps. A
    writer that died there leaves the version odd until it is replaced; after about 0.1 s the copy is taken as it
    is, which is then a still picture too.
    """
    for attempt in range(_SPINS + _NAPS):
        before = view[VERSION]
        values = view.tolist()
        if not before & 1 and view[VERSION] == before:
            break
        if attempt >= _SPINS:
            time.sleep(_NAP_S)
    return values


class Foreign:
    """A board that another version of this program made and whose workers still count in it, as `LAYOUT` was there."""

    def __init__(self, memory: Memory, slots: int, width: int, layout: Mapping[str, int]) -> None:
        """`width`: int64 per slot; `slots` without the supervisor's."""
        self.slots = slots
        self._width = width
        self._values = memory.words()
        self._pairs = [(layout[name], place) for name, place in LAYOUT.items() if name in layout]
        self._heartbeat = slots * width + layout["heartbeat"]

    def transcribe(self, number: int, slot: Slot) -> None:
        """Bring `slot`, of our own board, to where slot `number` stands there; `self.slots` is the supervisor's."""
        source = still(self._values[number * self._width : (number + 1) * self._width])
        with slot.moving() as values:
            for there, here in self._pairs:
                values[here] = source[there]

    def beat(self, now_ns: int) -> None:
        """The supervisor's sign of life, for those who look here for it."""
        self._values[self._heartbeat] = now_ns
