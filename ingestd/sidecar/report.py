"""The JSON answer: what a person or a dashboard wants to know, in one object.

Everything counted in a report comes from one `Moment`, so `received = written + rejected + dropped + in_flight`
holds in it for each format and transport, per worker and in sum. Rates and percentiles compare that moment with
the history and are null while there is none. docs/metrics.md describes every field.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from time import time_ns
from typing import Final

import msgspec

from formats import FORMATS
from formats.levels import LEVELS
from ingestd.sidecar.disk import Disk
from ingestd.sidecar.health import DaemonState, State, Verdict, daemon_state, faults
from ingestd.sidecar.law import (
    DROPPED,
    RECEIVED,
    REJECTED,
    WRITTEN,
    Records,
    Totals,
    by_last_label,
    moved,
    places_of,
    records_of,
    totals_of,
)
from ingestd.sidecar.moment import History, Moment, Sums, latencies, rate
from ingestd.sidecar.view import View
from ingestd.stats import STARTED, TRANSPORTS, index

#: A rate must be steady enough to read and quick enough to show what happens.
RATE_WINDOW_S: Final = 5.0
#: A p99 needs some observations, also where a log comes only now and then.
LATENCY_WINDOW_S: Final = 30.0


_FORMAT_PLACES: Final = {
    format_: tuple(index(RECEIVED, format_, transport) for transport in TRANSPORTS) for format_ in FORMATS
}
_TRANSPORT_PLACES: Final = {
    transport: tuple(index(RECEIVED, format_, transport) for format_ in FORMATS) for transport in TRANSPORTS
}
_LEVEL_PLACES: Final = {level: (index("ingestd_records_level_total", level),) for level in LEVELS}


class Latency(msgspec.Struct):
    """From receipt to disk over the last `LATENCY_WINDOW_S`; null when nothing was written in it."""

    p50: float | None
    p99: float | None


class Connections(msgspec.Struct):
    open: int
    accepted: int
    handed_over: int
    closed: dict[str, int]


class Udp(msgspec.Struct):
    datagrams: int
    kernel_drops: int


class Bytes(msgspec.Struct):
    received: dict[str, int]
    encoded: int
    written: int


class Worker(msgspec.Struct):
    """One worker process; its counters are those of its slot, its predecessors' included."""

    worker: int
    position: int
    pid: int
    state: State
    fault: str
    heartbeat_age_seconds: float | None
    uptime_seconds: float | None
    cpu_seconds: float | None
    resident_memory_bytes: int | None
    connections: int
    queue_bytes: int
    totals: Totals
    records: dict[str, dict[str, Records]]


class Report(msgspec.Struct):
    """The answer of /api/stats."""

    version: str
    hostname: str
    listen: dict[str, str]
    time: str
    uptime_seconds: float
    state: DaemonState
    faults: dict[str, str]
    totals: Totals
    logs_per_second: float | None
    received_per_second: float | None
    in_megabytes_per_second: float | None
    out_megabytes_per_second: float | None
    compression_ratio: float | None
    latency_seconds: Latency
    queue_bytes: int
    backpressure_pauses: int
    rotations: int
    rejects: dict[str, int]
    drops: dict[str, int]
    write_errors: dict[str, int]
    bytes: Bytes
    connections: Connections
    udp: Udp
    worker_restarts: int
    sidecar_restarts: int
    data_dir_free_bytes: int | None
    data_dir_total_bytes: int | None
    data_dir_full_in_seconds: float | None
    formats: dict[str, dict[str, Records]]
    format_received_per_second: dict[str, float]
    transport_received_per_second: dict[str, float]
    level_received_per_second: dict[str, float]
    samples: dict[str, str]
    workers: list[Worker]


def _worker(slot: list[int], verdict: Verdict, now_ns: int) -> Worker:
    records = records_of(slot)
    used = verdict.usage
    return Worker(
        worker=verdict.worker,
        position=verdict.position,
        pid=verdict.pid,
        state=verdict.state,
        fault=verdict.why,
        heartbeat_age_seconds=verdict.heartbeat_age_s,
        uptime_seconds=max(0, now_ns - slot[STARTED]) / 1e9 if used else None,
        cpu_seconds=used.cpu_s if used else None,
        resident_memory_bytes=used.resident_bytes if used else None,
        connections=slot[index("ingestd_connections_open")],
        queue_bytes=slot[index("ingestd_queue_bytes")],
        totals=totals_of(records),
        records=records,
    )


def _latency(moment: Moment, history: History) -> Latency:
    past = history.ago(moment.sums, LATENCY_WINDOW_S)
    return Latency(None, None) if past is None else Latency(*latencies(moment.sums, past))


def _megabytes(bytes_per_second: float | None) -> float | None:
    return None if bytes_per_second is None else bytes_per_second / 1e6


def _speeds(sums: Sums, past: Sums | None, places: Mapping[str, Iterable[int]]) -> dict[str, float]:
    """Per second, by name, of those that moved."""
    speeds = {name: rate(sums, past, those) for name, those in places.items()}
    return {name: speed for name, speed in speeds.items() if speed}


def make_report(
    moment: Moment,
    workers: list[Verdict],
    history: History,
    view: View,
    samples: dict[str, str],
    disk: Disk,
) -> Report:
    """The report of this moment; `history` must not hold anything later."""
    sums = moment.sums
    values = sums.values
    past = history.ago(sums, RATE_WINDOW_S)
    now_ns = time_ns()
    records = records_of(values)
    found = faults(moment, workers, view)

    def one(name: str) -> int:
        return sums.total(places_of(name))

    def split(name: str) -> dict[str, int]:
        return moved(values, by_last_label(name))

    def per_second(name: str) -> float | None:
        return rate(sums, past, places_of(name))

    encoded, written = one("ingestd_encoded_bytes_total"), one("ingestd_written_bytes_total")
    return Report(
        version=view.version,
        hostname=view.hostname,
        listen=view.listen,
        time=datetime.fromtimestamp(now_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        uptime_seconds=max(0, now_ns - view.started_ns) / 1e9,
        state=daemon_state(workers, found),
        faults=found,
        totals=totals_of(records),
        logs_per_second=per_second(WRITTEN),
        received_per_second=per_second(RECEIVED),
        in_megabytes_per_second=_megabytes(per_second("ingestd_received_bytes_total")),
        out_megabytes_per_second=_megabytes(per_second("ingestd_written_bytes_total")),
        compression_ratio=encoded / written if written else None,
        latency_seconds=_latency(moment, history),
        queue_bytes=one("ingestd_queue_bytes"),
        backpressure_pauses=one("ingestd_backpressure_pauses_total"),
        rotations=one("ingestd_segment_rotations_total"),
        rejects=split(REJECTED),
        drops=split(DROPPED),
        write_errors=split("ingestd_write_errors_total"),
        bytes=Bytes(split("ingestd_received_bytes_total"), encoded, written),
        connections=Connections(
            one("ingestd_connections_open"),
            one("ingestd_connections_accepted_total"),
            one("ingestd_connections_handed_over_total"),
            split("ingestd_connections_closed_total"),
        ),
        udp=Udp(one("ingestd_udp_datagrams_total"), one("ingestd_udp_kernel_drops_total")),
        worker_restarts=one("ingestd_worker_restarts_total"),
        sidecar_restarts=one("ingestd_sidecar_restarts_total"),
        data_dir_free_bytes=disk.free_bytes,
        data_dir_total_bytes=disk.total_bytes,
        data_dir_full_in_seconds=disk.full_in_seconds,
        formats=records,
        format_received_per_second=_speeds(sums, past, _FORMAT_PLACES),
        transport_received_per_second=_speeds(sums, past, _TRANSPORT_PLACES),
        level_received_per_second=_speeds(sums, past, _LEVEL_PLACES),
        samples=samples,
        workers=[
            _worker(slot, verdict, now_ns) for slot, verdict in zip(moment.workers, workers, strict=True)
        ],
    )
