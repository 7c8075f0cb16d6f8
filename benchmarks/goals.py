"""The figures to reach, and whether a run reached them. Those of speed hold for two cores like the stated machine's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.load import MIXED
from benchmarks.outcome import Acknowledged, ClientCost, Fairness, Goal, Load, Observed, Outcome
from benchmarks.scenarios import UDP_RATE, median

#: Per record of the workers, by format.
CPU_US: Final = {"json": 1.1, "raw": 1.1, "protobuf": 1.2, "syslog": 1.7, "avro": 2.0, "journald": 4.0}
RECORDS_PER_S: Final = {
    "json": 1_000_000,
    "raw": 1_000_000,
    "syslog": 500_000,
    "protobuf": 500_000,
    "avro": 500_000,
    "journald": 200_000,
    MIXED: 500_000,
}
#: A mixed load may cost so many times the mean of its formats alone, each weighted by its records in the mixed load.
MIXED_COST: Final = 1.1
#: What the default rules may take of the CPU per record.
VALIDATION_SHARE: Final = 0.1
PEAK_RSS_BYTES: Final = 200_000_000
STARTUP_S: Final = 1.5
IDLE_SHARE: Final = 0.01
#: Of the client library, for who hands a record over.
CLIENT_US: Final = 0.5

#: Acknowledged beside streamed: of its throughput at least, of its CPU at most.
ACK_THROUGHPUT: Final = 0.8
ACK_CPU: Final = 1.15
#: With alert rules, dashboards and scrapes beside without: of its throughput at least; and what the sidecar may use.
OBSERVED_THROUGHPUT: Final = 0.95
SIDECAR_SHARE: Final = 0.1
#: From a record to the call of the webhook that its alert is told by, at full load.
ALARM_P99_S: Final = 1.0
#: From a batch's being due to its ACK, at a tenth of the largest load.
ACK_P50_S: Final = 0.010
ACK_P99_S: Final = 0.050
#: The same for a quiet client whose worker others keep busy.
FAIR_P99_S: Final = 0.100

#: Of an open-loop rate, what a sender may fall short of and still count as having offered it.
_OFFERED: Final = 0.99


def judge(outcome: Outcome) -> list[Goal]:
    """The goals of all parts that were measured."""
    goals = [goal for load in outcome.loads for goal in (*_of(load), *_mixed(load, outcome))]
    if outcome.acknowledged is not None:
        goals += _acknowledged(outcome.acknowledged)
    if outcome.observed is not None:
        goals += _observed(outcome.observed)
    if outcome.alarm is not None:
        p99_s = outcome.alarm.p99_s
        name = f"record to webhook beside {outcome.alarm.beside_per_s:,.0f}/s: p99"
        goals.append(Goal(name, f"< {ALARM_P99_S:.0f} s", f"{p99_s * 1e3:.0f} ms", p99_s < ALARM_P99_S))
    goals += [_fairness(found) for found in outcome.fairness]
    goals += [_client(cost) for cost in outcome.clients]
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
    if name == f"{load.format} TLS":
        least = RECORDS_PER_S[load.format]
        met = load.records_per_s >= least
        yield Goal(f"{name}: records/s", f">= {least:,}", f"{load.records_per_s:,.0f}", met)
        if load.format in CPU_US:
            yield _cpu(load, CPU_US[load.format], f"<= {CPU_US[load.format]} us")
        if load.validation_ns:
            share = load.validation_ns / (1000 * load.cpu_us)
            limit = f"<= {VALIDATION_SHARE:.0%} of CPU"
            yield Goal(f"{name}: default rules", limit, f"{share:.2%}", share <= VALIDATION_SHARE)
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


def _mixed(mixed: Load, outcome: Outcome) -> Iterator[Goal]:
    """Nothing unless it is the mixed load, and every format of it was measured alone as well."""
    if mixed.format != MIXED:
        return
    alone = {name: outcome.load(f"{name} TLS") for name in mixed.by_format}
    costs = {name: load.cpu_us for name, load in alone.items() if load is not None}
    if len(costs) < len(alone) or not costs:
        return
    mean_us = sum(costs[name] * records for name, records in mixed.by_format.items()) / mixed.received
    limit_us = MIXED_COST * mean_us
    yield _cpu(mixed, limit_us, f"<= {limit_us:.2f} us, the mean + {MIXED_COST - 1:.0%}")


def _cpu(load: Load, limit_us: float, limit: str) -> Goal:
    return Goal(f"{load.name}: CPU per record", limit, f"{load.cpu_us:.2f} us", load.cpu_us <= limit_us)


def _acknowledged(found: Acknowledged) -> Iterator[Goal]:
    name = "json TLS, acknowledged"
    least, most = f">= {ACK_THROUGHPUT:.0%} of streamed", f"<= {ACK_CPU:.0%} of streamed"
    met = found.throughput >= ACK_THROUGHPUT
    yield Goal(f"{name}: records/s", least, f"{found.throughput:.0%}", met)
    yield Goal(f"{name}: CPU per record", most, f"{found.cpu:.0%}", found.cpu <= ACK_CPU)
    for which, taken_s, limit_s in (("p50", found.p50_s, ACK_P50_S), ("p99", found.p99_s, ACK_P99_S)):
        at = f"{name}, {found.rate:,}/s: ACK {which}"
        yield Goal(at, f"< {limit_s * 1e3:.0f} ms", f"{taken_s * 1e3:.1f} ms", taken_s < limit_s)


def _observed(found: Observed) -> Iterator[Goal]:
    name = "json TLS, 20 rules, 5 dashboards, a scrape a second"
    least = f">= {OBSERVED_THROUGHPUT:.0%} of without"
    yield Goal(
        f"{name}: records/s", least, f"{found.throughput:.1%}", found.throughput >= OBSERVED_THROUGHPUT
    )
    limit = f"< {SIDECAR_SHARE:.0%} of a core"
    yield Goal(f"{name}: sidecar", limit, f"{found.sidecar_share:.1%}", found.sidecar_share < SIDECAR_SHARE)


def _fairness(found: Fairness) -> Goal:
    name = f"a quiet client beside {found.beside}: ACK p99"
    return Goal(name, f"< {FAIR_P99_S * 1e3:.0f} ms", f"{found.p99_s * 1e3:.1f} ms", found.p99_s < FAIR_P99_S)


def _client(cost: ClientCost) -> Goal:
    met = cost.caller_us <= CLIENT_US
    name = f"client library, {cost.way}: CPU per record"
    return Goal(name, f"<= {CLIENT_US} us to hand it over", f"{cost.caller_us:.2f} us", met)


def _memory(load: Load) -> Goal:
    peak = load.peak_rss_bytes
    limit = f"< {PEAK_RSS_BYTES / 1e6:.0f} MB a worker"
    return Goal(f"{load.name}: peak memory", limit, f"{peak / 1e6:.0f} MB", peak < PEAK_RSS_BYTES)
