"""The figures to reach, and whether a run reached them. Those of speed hold for two cores like the stated machine's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.outcome import Goal, Load, Outcome
from benchmarks.scenarios import UDP_RATE, median

RECORDS_PER_S: Final = 1_000_000
CPU_US: Final = 1.1
PEAK_RSS_BYTES: Final = 200_000_000
STARTUP_S: Final = 1.5
IDLE_SHARE: Final = 0.01

#: Of an open-loop rate, what a sender may fall short of and still count as having offered it.
_OFFERED: Final = 0.99


def judge(outcome: Outcome) -> list[Goal]:
    """The goals of all parts that were measured."""
    goals = [goal for load in outcome.loads for goal in _of(load)]
    if outcome.startups_s:
        taken_s = median(outcome.startups_s)
        goals.append(
            Goal("start to ready, median", f"< {STARTUP_S} s", f"{taken_s:.2f} s", taken_s < STARTUP_S)
        )
    if outcome.idle_shares:
        share = max(outcome.idle_shares)
        limit = f"< {IDLE_SHARE:.0%} of a core"
        goals.append(Goal("idle worker", limit, f"{share:.2%}", share < IDLE_SHARE))
    return goals


def _of(load: Load) -> Iterator[Goal]:
    name = load.name
    if load.verdict is not None:
        found = f"{load.verdict.found:,} of {load.verdict.expected:,}"
        yield Goal(f"{name}: stored exactly once", "all", found, load.verdict.exact, exactness=True)
    if name in ("json TLS", "raw TLS"):
        met = load.records_per_s >= RECORDS_PER_S
        yield Goal(f"{name}: records/s", f">= {RECORDS_PER_S:,}", f"{load.records_per_s:,.0f}", met)
        yield Goal(
            f"{name}: CPU per record", f"<= {CPU_US} us", f"{load.cpu_us:.2f} us", load.cpu_us <= CPU_US
        )
    if name == "json UDP":
        met = load.records_per_s >= UDP_RATE * _OFFERED
        yield Goal(f"{name}: records/s", f"{UDP_RATE:,}", f"{load.records_per_s:,.0f}", met)
        yield Goal(
            f"{name}: kernel drops", "0", f"{load.kernel_drops:,}", load.kernel_drops == 0, exactness=True
        )
    if name == "json UDP overload":
        counted = load.received_datagrams + load.kernel_drops
        yield Goal(
            f"{name}: datagrams read + dropped",
            f"= {load.datagrams:,} sent",
            f"{counted:,}",
            counted == load.datagrams,
            exactness=True,
        )
    if name == "json TLS, slow writer":
        yield Goal(
            f"{name}: paused reading",
            ">= 1 time",
            f"{load.backpressure_pauses}",
            load.backpressure_pauses > 0,
        )
        yield _memory(load)


def _memory(load: Load) -> Goal:
    peak = load.peak_rss_bytes
    limit = f"< {PEAK_RSS_BYTES / 1e6:.0f} MB a worker"
    return Goal(f"{load.name}: peak memory", limit, f"{peak / 1e6:.0f} MB", peak < PEAK_RSS_BYTES)
