"""The loads: each starts a daemon of its own, drives it, stops it, and lets loadgen verify what was stored.

CPU is counted from before the load until everything received is on disk, so nothing of a record's cost is left out;
what an idle daemon uses in between is in it too, and is next to nothing.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks import numbered, procfs, validation
from benchmarks.daemon import LATENCY, SYNC, WORKERS, Daemon
from benchmarks.load import MIXED, RECORDS_PER_DATAGRAM, Offer, Sent, Target, Verdict, send, verify
from benchmarks.outcome import Acknowledged, Load

#: zstd level at which the writer takes a fraction of what the loop can decode: a slow disk, without a slow disk.
SLOW_LEVEL: Final = 12

UDP_RATE: Final = 500_000

#: The same records without and with acknowledgements, so many times each, in turns.
STREAMED: Final = "json TLS, streamed beside"
ACKNOWLEDGED: Final = "json TLS, acknowledged"
TURNS: Final = 2

#: What is sent over TLS; those of `SUSTAINED` for longer. A mixed load is all the others at once.
FORMATS: Final = ("json", "raw", "syslog", "protobuf", "avro", "journald", MIXED)
SUSTAINED: Final = ("json", "raw")


class Plan(NamedTuple):
    """How long each load lasts; where files go and what the daemon's certificates are.

    `tcp_s` is for the two formats whose goals are of sustained loads, `format_s` for the others; `rounds` are those of
    watched.py.
    """

    folder: Path
    certs: Path
    tcp_s: float
    format_s: float
    udp_s: float
    overload_s: float
    slow_s: float
    idle_s: float
    startups: int
    rounds: int


#: Sends to a daemon: format, transport, offer, name of the report.
Sender = Callable[[Daemon, Plan, str, str, Offer, str], Sent]


@contextmanager
def fresh(plan: Plan, document: str = "", name: str = "daemon", **settings: object) -> Iterator[Daemon]:
    """A daemon in a folder that goes when it is done, for a load leaves gigabytes."""
    folder = plan.folder / name
    try:
        with Daemon(folder, plan.certs, document, **settings) as daemon:
            yield daemon
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tcp(plan: Plan, format_: str) -> Load:
    """As fast as the senders' cores allow, over TLS; and what the default rules cost, by themselves."""
    with fresh(plan) as daemon:
        seconds = plan.tcp_s if format_ in SUSTAINED else plan.format_s
        load = _drive(daemon, plan, f"{format_} TLS", format_, "tls", Offer(seconds))
    if format_ == MIXED:
        return load
    return msgspec.structs.replace(load, validation_ns=validation.time_alone(format_))


def acknowledged(plan: Plan) -> tuple[list[Load], Acknowledged]:
    """Streamed and acknowledged, in turns, and how long an ACK takes at a tenth of what was streamed."""
    loads: dict[str, list[Load]] = {STREAMED: [], ACKNOWLEDGED: []}
    for _ in range(TURNS):
        with fresh(plan) as daemon:
            loads[STREAMED].append(_drive(daemon, plan, STREAMED, "json", "tls", Offer(plan.format_s)))
        with fresh(plan) as daemon:
            sender = partial(_send_numbered, latencies_s=[])
            offer = Offer(plan.format_s)
            loads[ACKNOWLEDGED].append(
                _drive(daemon, plan, ACKNOWLEDGED, "json", "tls", offer, sender=sender)
            )
    pairs = list(zip(loads[STREAMED], loads[ACKNOWLEDGED], strict=True))
    rate = int(max(load.records_per_s for load in loads[STREAMED]) / 10)
    latencies_s: list[float] = []
    with fresh(plan) as daemon:
        sender = partial(_send_numbered, latencies_s=latencies_s)
        name = "json TLS, acknowledged, a tenth"
        tenth = _drive(daemon, plan, name, "json", "tls", Offer(plan.format_s, rate), sender=sender)
    latencies_s.sort()
    best = [min(found, key=lambda load: load.cpu_us) for found in loads.values()]
    return [*best, tenth], Acknowledged(
        throughput=median([acked.records_per_s / streamed.records_per_s for streamed, acked in pairs]),
        cpu=median([acked.cpu_us / streamed.cpu_us for streamed, acked in pairs]),
        rate=rate,
        p50_s=latencies_s[len(latencies_s) // 2],
        p99_s=latencies_s[len(latencies_s) * 99 // 100],
    )


def udp(plan: Plan) -> Load:
    """A steady rate in datagrams of 1,360 bytes: none may be lost."""
    with fresh(plan) as daemon:
        return _drive(daemon, plan, "json UDP", "json", "udp", Offer(plan.udp_s, UDP_RATE))


def udp_overload(plan: Plan) -> Load:
    """More than can be read: every datagram must be accounted for, as read or as dropped by the kernel."""
    with fresh(plan) as daemon:
        return _drive(daemon, plan, "json UDP overload", "json", "udp", Offer(plan.overload_s), lossy=True)


def slow_writer(plan: Plan) -> Load:
    """Twice what the writer can take: memory stays bounded and nothing is lost.

    What it can take is found out first, by an unpaced load; both loads are verified and count towards the memory.
    """
    with fresh(plan, segment__level=SLOW_LEVEL) as daemon:
        first = send_load(daemon, plan, "json", "tls", Offer(plan.slow_s / 2), "first")
        offered = int(2 * first.rate)
        name = "json TLS, slow writer"
        load = _drive(daemon, plan, name, "json", "tls", Offer(plan.slow_s, offered))
        verdict = verify(daemon.data, [report_of(plan, "first")], WORKERS)
    assert load.verdict is not None
    return msgspec.structs.replace(load, verdict=Verdict.of_all([load.verdict, verdict]))


def startups(plan: Plan) -> list[float]:
    """Seconds from exec to ready, of daemons on empty folders."""
    taken = []
    for _ in range(plan.startups):
        with fresh(plan) as daemon:
            taken.append(daemon.startup_s)
    return taken


def idle(plan: Plan) -> list[float]:
    """The share of one core that each worker uses when nothing is sent."""
    with fresh(plan) as daemon:
        pids = daemon.worker_pids()
        time.sleep(1)  # the start is over
        before, begun_s = [procfs.run_s(pid) for pid in pids], time.monotonic()
        time.sleep(plan.idle_s)
        passed_s = time.monotonic() - begun_s
        return [(procfs.run_s(pid) - was_s) / passed_s for pid, was_s in zip(pids, before, strict=True)]


def _drive(
    daemon: Daemon, plan: Plan, *given: Any, lossy: bool = False, sender: Sender | None = None
) -> Load:
    """`measure`, stop, verify."""
    load = measure(daemon, plan, *given, sender=sender)
    daemon.stop()
    verdict = None if lossy else verify(daemon.data, [report_of(plan, "load")], WORKERS)
    return msgspec.structs.replace(load, verdict=verdict)


def measure(
    daemon: Daemon,
    plan: Plan,
    name: str,
    format_: str,
    transport: str,
    offer: Offer,
    *,
    sender: Sender | None = None,
    report: str = "load",
) -> Load:
    """Send, wait until all is on disk, and take the figures; nothing is verified yet."""
    before, used = daemon.settle(), daemon.use()
    latencies, syncs = daemon.buckets(LATENCY), daemon.buckets(SYNC)
    others = procfs.Others()
    sent = (sender or send_load)(daemon, plan, format_, transport, offer, report)
    after, use = daemon.settle(), daemon.use().since(used)
    others_cores = others.cores(use.process)
    p50_s, p99_s = (quantile(q, latencies, daemon.buckets(LATENCY)) for q in (0.5, 0.99))
    longest_sync_s = quantile(1, syncs, daemon.buckets(SYNC))
    peak_rss_bytes = daemon.peak_rss_bytes()
    moved = {name: after["totals"][name] - before["totals"][name] for name in ("received", "written")}
    received = moved["received"]
    per_record = 1e6 / max(1, received)
    lines_bytes, written_bytes = (
        after["bytes"][which] - before["bytes"][which] for which in ("encoded", "written")
    )
    is_udp = transport == "udp"
    return Load(
        name=name,
        format=format_,
        transport=transport,
        sent=sent.sent,
        received=received,
        written=moved["written"],
        seconds=sent.seconds,
        records_per_s=received / sent.seconds,
        in_mb_per_s=_moved(before, after, "bytes", "received", "udp" if is_udp else "tcp")
        / sent.seconds
        / 1e6,
        cpu_us=use.process.total_s * per_record,
        cpu_system_us=use.process.system_s * per_record,
        loop_us=use.loop.total_s * per_record,
        writer_us=use.writer.total_s * per_record,
        sender_us=sent.cpu_us_per_record,
        peak_rss_bytes=peak_rss_bytes,
        compression_ratio=lines_bytes / max(1, written_bytes),
        p50_s=p50_s,
        p99_s=p99_s,
        longest_sync_s=longest_sync_s,
        others_cores=others_cores,
        offered_per_s=float(offer.rate),
        datagrams=-(-sent.sent // RECORDS_PER_DATAGRAM) if is_udp else 0,
        received_datagrams=_moved(before, after, "udp", "datagrams"),
        kernel_drops=_moved(before, after, "udp", "kernel_drops"),
        backpressure_pauses=_moved(before, after, "backpressure_pauses"),
        by_format=_received_by_format(before, after),
    )


def send_load(daemon: Daemon, plan: Plan, format_: str, transport: str, offer: Offer, name: str) -> Sent:
    port = daemon.port("udp" if transport == "udp" else "tcp")
    return send(Target(transport, port, plan.certs / "ca.crt"), format_, offer, report_of(plan, name))


def _send_numbered(
    daemon: Daemon, plan: Plan, _: str, __: str, offer: Offer, name: str, latencies_s: list[float]
) -> Sent:
    """As `send_load`, with acknowledgements; `latencies_s` gets those of the batches."""
    port, ca = daemon.port("tcp"), plan.certs / "ca.crt"
    sent, taken_s = numbered.send(port, ca, offer, report_of(plan, name))
    latencies_s += taken_s
    return sent


def report_of(plan: Plan, name: str) -> Path:
    """Where loadgen says what it sent in a load."""
    return plan.folder / f"{name}.json"


def _moved(before: dict[str, Any], after: dict[str, Any], *path: str) -> int:
    """How far a counter of /api/stats went; one that never moved may not be there."""
    values = []
    for stats in (before, after):
        value: Any = stats
        for key in path:
            value = value.get(key, {})
        values.append(int(value or 0))
    return values[1] - values[0]


def _received_by_format(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    """Records by the format that they were found to be of; those with none are left out."""
    moved = {
        name: sum(_moved(before, after, "formats", name, transport, "received") for transport in transports)
        for name, transports in after["formats"].items()
    }
    return {name: records for name, records in moved.items() if records}


def quantile(q: float, before: dict[float, float], after: dict[float, float]) -> float:
    """Of the observations between two readings of a cumulative histogram, linear within a bucket; 0 for none.

    What lies beyond the last finite bound is given as that bound.
    """
    bounds = sorted(after)
    counts = [after[bound] - before.get(bound, 0.0) for bound in bounds]
    wanted = q * counts[-1]
    low_s = below = 0.0
    for bound, count in zip(bounds, counts, strict=True):
        if count >= wanted and count > below:
            if bound == float("inf"):
                return low_s
            return low_s + (bound - low_s) * (wanted - below) / (count - below)
        low_s, below = bound, count
    return 0.0


def median(values: list[float]) -> float:
    """0 for none."""
    return statistics.median(values) if values else 0.0
