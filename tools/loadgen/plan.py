"""What a run is to do, and how it is shared out over connections.

Rate, interval and count are of the whole run; connections take turns: lane i of n starts i/n of a step later,
so that the load is as even as its bursts are small. The count is dealt out batch by batch, so that all batches
but the last are whole. Each lane owns an equal, disjoint part of the sequences.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from tools.loadgen.acked import Acked
from tools.loadgen.fields import END_SEQ, FIRST_SEQ
from tools.loadgen.layouts import MIXED, formats_of
from tools.loadgen.payloads import POOL_RECORDS, group_of
from tools.loadgen.senders import Work
from tools.loadgen.transports import Target

DEFAULT_BATCH = 1_000
DEFAULT_CONNECTIONS = 4
_BURSTS_PER_S = 20  # where the rate is low and no batch is given: smooth enough, and cheap
_UDP_BURST_GROUPS = 48  # one segmented send of 64 KB


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of a run. None where the user set no limit: unpaced, endless, the default batch or burst."""

    target: Target
    format: str
    run: str
    seed: int
    connections: int = DEFAULT_CONNECTIONS
    processes: int = 1
    batch: int | None = None
    burst: int | None = None
    rate: float | None = None
    interval_s: float | None = None
    seconds: float | None = None
    count: int | None = None
    schema: str | None = None
    acked: Acked | None = None
    token: str | None = field(default=None, repr=False)

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that are sent: connections take them in turn."""
        return formats_of(self.format)

    def format_of(self, lane: int) -> str:
        """The format whose turn it is on this connection."""
        return self.formats[lane % len(self.formats)]

    def header(self, format_name: str) -> str:
        """What a connection says of itself, behind the protocol's name."""
        keys = {"schema": self.schema, "token": self.token}
        return " ".join(
            [format_name, *(f"{key}={value}" for key, value in keys.items() if value is not None)]
        )

    @property
    def batch_records(self) -> int:
        """Records of a batch: as given, or the default, or fewer where a low rate would come in lumps.

        Fewer also where a mixed run would be over before each connection has had a batch.
        """
        if self.batch is None and self.count is not None and self.format == MIXED:
            return min(DEFAULT_BATCH, -(-self.count // self.connections))
        if self.batch is None and self.rate is not None and self.interval_s is None:
            smooth = int(self.rate / self.connections / _BURSTS_PER_S)
            return self._udp_smooth(max(1, min(DEFAULT_BATCH, smooth)))
        return self._udp_smooth(self.batch or DEFAULT_BATCH)

    @property
    def burst_records(self) -> int:
        """Records that are due at once."""
        return self.burst or self.batch_records

    @property
    def paced_rate(self) -> float | None:
        """Records a second over all: the smaller of the rate and what the interval allows. None: unpaced."""
        allowed = [self.rate] if self.rate is not None else []
        if self.interval_s:
            allowed.append(self.burst_records / self.interval_s)
        return min(allowed, default=None)

    @property
    def pool_records(self) -> int:
        """How many different records are worth rendering of each format."""
        wanted = min(
            math.inf if self.count is None else self.count,
            math.inf if self.seconds is None or not self.paced_rate else self.seconds * self.paced_rate,
        )
        return int(max(self.batch_records, min(wanted, POOL_RECORDS) // len(self.formats)))

    def counts(self) -> list[int | None]:
        """How many records each lane sends; a lane that would have none is left out."""
        if self.count is None:
            return [None] * self.connections
        batches = -(-self.count // self.batch_records)
        lanes = min(batches, self.connections)
        counts = [(batches // lanes + (lane < batches % lanes)) * self.batch_records for lane in range(lanes)]
        counts[(batches - 1) % lanes] -= batches * self.batch_records - self.count
        return list(counts)

    def lanes(self, start_s: float) -> Iterator[tuple[Work, float, float]]:
        """For each lane its work, the length of its steps, and when the first is due (all seconds, monotonic)."""
        counts, rate = self.counts(), self.paced_rate
        own = (END_SEQ - FIRST_SEQ) // len(counts)
        step_s = self.burst_records * len(counts) / rate if rate else 0.0
        end_s = math.inf if self.seconds is None else start_s + self.seconds
        for lane, count in enumerate(counts):
            first = FIRST_SEQ + lane * own
            work = Work(self.batch_records, self.burst_records, count, end_s, first, first + own)
            yield work, step_s, start_s + step_s * lane / len(counts)

    def _udp_smooth(self, batch: int) -> int:
        """At most one send of datagrams at a time, where the schedule is a rate and nothing else is asked for."""
        if not self.target.udp or self.rate is None or self.interval_s is not None or self.burst is not None:
            return batch
        return min(batch, _UDP_BURST_GROUPS * group_of(self.format, self.run).records)
