"""Readings of a board that a test makes up."""

from __future__ import annotations

from array import array

from ingestd.sidecar.moment import Sums
from ingestd.stats import LATENCY_BUCKETS, SLOT_WIDTH, Slot, index

SECOND_NS = 1_000_000_000


def sums(second: float, counts: dict[tuple[str, ...], int] | None = None, latency_s: float = 0.0) -> Sums:
    """Counters at a time: each series by its name and labels, and as many latencies as records were written."""
    values = array("q", [0] * SLOT_WIDTH)
    for series, count in (counts or {}).items():
        values[index(*series)] += count
        if series[0] == "ingestd_records_written_total" and latency_s:
            slot = Slot(memoryview(values))
            slot.observe(index("ingestd_write_latency_seconds"), LATENCY_BUCKETS, latency_s, count)
    return Sums(int(second * SECOND_NS), values)
