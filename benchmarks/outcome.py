"""What a run found: plain values, which are also the JSON of `--json`. Times in seconds, sizes in bytes, CPU in us."""

from __future__ import annotations

import msgspec

from benchmarks.load import Verdict
from benchmarks.machine import Machine


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One load on the daemon. CPU is that of all workers' threads per record received.

    `sent` are records, `datagrams` what carried them over UDP. `verdict` is None where loss was to be expected.
    `by_format` says what format the records received were of.
    `validation_ns` is what the default rules cost a record, timed alone; 0 where it was not.
    `longest_sync_s` is the bound of the bucket that the longest `fdatasync` fell into.
    `others_cores` is what neither workers nor loadgen used of the machine; the figures of a busy one are not to be
    trusted.
    """

    name: str
    format: str
    transport: str
    sent: int
    received: int
    written: int
    seconds: float
    records_per_s: float
    in_mb_per_s: float
    cpu_us: float
    cpu_system_us: float
    loop_us: float
    writer_us: float
    sender_us: float
    peak_rss_bytes: int
    compression_ratio: float
    p50_s: float
    p99_s: float
    longest_sync_s: float
    others_cores: float
    offered_per_s: float = 0.0
    datagrams: int = 0
    received_datagrams: int = 0
    kernel_drops: int = 0
    backpressure_pauses: int = 0
    verdict: Verdict | None = None
    by_format: dict[str, int] = {}
    validation_ns: float = 0.0


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Another program on the same corpus; it stored `records` of those `sent`.

    `times`: its CPU over ours for that format, 0 where there is nothing to compare with.
    """

    name: str
    version: str
    does: str
    format: str
    sent: int
    records: int
    records_per_s: float
    cpu_us: float
    peak_rss_bytes: int
    compression_ratio: float
    others_cores: float
    times: float


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of the hot path, in nanoseconds per record: timed alone, and its part of the running daemon.

    None: not measured that way.
    """

    name: str
    alone_ns: float | None
    daemon_ns: float | None


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Where the CPU of the JSON load over TLS goes. `page_fault_share` lies across the stages."""

    method: str
    samples: int
    page_fault_share: float
    stages: list[Stage]


class Anatomy(msgspec.Struct, frozen=True, kw_only=True):
    """Where the CPU of one format over TLS goes: `stages` of `anatomy.STAGES` in nanoseconds per record.

    `functions` are those of formats/ where the most of it is spent, heaviest first, in the same unit; `samples` are
    those of perf, from which the stages have their size.
    """

    format: str
    samples: int
    stages: dict[str, float]
    functions: dict[str, float]


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """Acknowledged JSON beside streamed JSON of the same run, as ratios: the median of the turns.

    `p50_s` and `p99_s` are from the moment a batch was due to its ACK, at `rate` records/s.
    """

    throughput: float
    cpu: float
    rate: int
    p50_s: float
    p99_s: float


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """JSON with twenty alert rules, five dashboards and a scrape each second beside JSON without, as ratios: the median
    of so many `turns`.

    `sidecar_share` is of one core, the most of any turn; `snapshots` and `scrapes` are what was answered in all.
    """

    throughput: float
    cpu: float
    turns: int
    sidecar_share: float
    snapshots: int
    scrapes: int


class ClientCost(msgspec.Struct, frozen=True, kw_only=True):
    """What the client library costs, in CPU per record: the thread that hands over, and all threads to the last ACK."""

    way: str
    records: int
    caller_us: float
    total_us: float
    records_per_s: float


class Fairness(msgspec.Struct, frozen=True, kw_only=True):
    """How long a quiet client's batches waited for their ACK while others sent at full speed to its worker.

    `longest_sync_s` as in a `Load`.
    """

    beside: str
    batches: int
    p50_s: float
    p99_s: float
    longest_sync_s: float


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """From a record that an alert waits for to the call of its webhook, beside a load of other records."""

    beside_per_s: float
    alerts: int
    p50_s: float
    p99_s: float
    most_s: float


class Skipped(msgspec.Struct, frozen=True):
    """A part that could not be measured here."""

    part: str
    why: str


class Goal(msgspec.Struct, frozen=True):
    """One figure to reach. `exactness`: it is about records, not about speed, and a run that misses it fails."""

    name: str
    limit: str
    measured: str
    met: bool
    exactness: bool = False


class Outcome(msgspec.Struct, kw_only=True):
    """A whole run."""

    machine: Machine
    quick: bool
    loads: list[Load] = []
    peers: list[Peer] = []
    startups_s: list[float] = []
    idle_shares: list[float] = []
    profile: Profile | None = None
    anatomies: list[Anatomy] = []
    clients: list[ClientCost] = []
    acknowledged: Acknowledged | None = None
    observed: Observed | None = None
    fairness: list[Fairness] = []
    alarm: Alarm | None = None
    skipped: list[Skipped] = []
    goals: list[Goal] = []

    def load(self, name: str) -> Load | None:
        """The load of that name, if it was run."""
        return next((load for load in self.loads if load.name == name), None)
