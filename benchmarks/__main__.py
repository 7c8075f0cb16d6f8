"""`python -m benchmarks`: measure everything, print one table, and say whether the goals were met.

Takes about eight minutes, `--quick` about two. Uses loopback only, a temporary folder on disk (a few gigabytes for a
minute at a million records a second), and leaves neither files nor processes. Exit code 1: records were lost, doubled
or miscounted, or the daemon failed. A missed goal of speed is printed and is no failure: machines differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from benchmarks import (
    alarm,
    client,
    fairness,
    peers,
    profiling,
    results,
    rsyslog,
    scenarios,
    syslog_ng,
    table,
    watched,
)
from benchmarks.errors import BenchmarkError, UnavailableError
from benchmarks.goals import judge
from benchmarks.load import MIXED
from benchmarks.machine import describe
from benchmarks.outcome import Load, Outcome, Peer, Skipped
from benchmarks.scenarios import Plan
from ingestd import certs

PARTS: Final = (
    "start",
    *scenarios.FORMATS,
    "udp",
    "overload",
    "slow",
    "ack",
    "observed",
    "alarm",
    "fairness",
    "client",
    "profile",
    "peers",
)

#: What each peer is sent with each setting.
PEER_RECORDS: Final = 2_000_000
QUICK_PEER_RECORDS: Final = 200_000

#: Characters that the tables need.
_NARROWEST: Final = 110


class Run:
    """One run: a method per part, each adding what it found to `outcome`."""

    def __init__(self, plan: Plan, quick: bool, console: Console) -> None:
        self.outcome = Outcome(machine=describe(plan.folder), quick=quick)
        self._plan = plan
        self._quick = quick
        self._console = console

    def part(self, name: str) -> None:
        """Measure one of `PARTS`. BenchmarkError: what is measured failed."""
        ways: dict[str, Callable[[], None]] = {
            "start": self._start,
            "udp": lambda: self._load(scenarios.udp(self._plan)),
            "overload": lambda: self._load(scenarios.udp_overload(self._plan)),
            "slow": lambda: self._load(scenarios.slow_writer(self._plan)),
            "ack": self._acknowledged,
            "observed": self._observed,
            "alarm": self._alarm,
            "fairness": self._fairness,
            "client": self._client,
            "profile": self._profile,
            "peers": self._peers,
        }
        with self._console.status(f"measuring {name} …"):
            if name in scenarios.FORMATS:
                self._load(scenarios.tcp(self._plan, name))
            else:
                ways[name]()

    def _load(self, load: Load) -> None:
        self.outcome.loads.append(load)
        self._console.print(
            f"{load.name}: {load.records_per_s:,.0f} records/s at {load.cpu_us:.2f} us", highlight=False
        )

    def _start(self) -> None:
        self.outcome.startups_s = scenarios.startups(self._plan)
        self.outcome.idle_shares = scenarios.idle(self._plan)

    def _acknowledged(self) -> None:
        loads, self.outcome.acknowledged = scenarios.acknowledged(self._plan)
        for load in loads:
            self._load(load)

    def _observed(self) -> None:
        loads, self.outcome.observed = watched.observed(self._plan)
        for load in loads:
            self._load(load)

    def _alarm(self) -> None:
        plan = self._plan
        self.outcome.alarm = alarm.measure(plan.folder, plan.certs, 3.0 if self._quick else 20.0)

    def _fairness(self) -> None:
        plan = self._plan
        self.outcome.fairness = list(fairness.measure(plan.folder, plan.certs, 3.0 if self._quick else 15.0))

    def _client(self) -> None:
        plan = self._plan
        with scenarios.fresh(plan) as daemon:
            address = f"127.0.0.1:{daemon.port('tcp')}"
            self.outcome.clients = client.measure(address, plan.certs / "ca.crt", plan.folder, self._quick)

    def _profile(self) -> None:
        formats = [name for name in scenarios.FORMATS if not (self._quick and name == MIXED)]
        loads = [load for name in formats if (load := self.outcome.load(f"{name} TLS"))]
        if not loads:
            self._skip(Skipped("profile", "it is of the loads over TLS, which were all left out"))
        seconds = 1.0 if self._quick else 3.0
        made = profiling.profiles(self._plan, loads, seconds, self._skip)
        self.outcome.profile, self.outcome.anatomies = made

    def _peers(self) -> None:
        folder, certs_ = self._plan.folder, self._plan.certs
        for program in (rsyslog.PROGRAM, syslog_ng.PROGRAM):
            try:
                unpacked = peers.Unpacked(program, folder / program.name)
                for setting in program.settings:
                    ours = self.outcome.load(f"{setting.format} TLS")
                    records = QUICK_PEER_RECORDS if self._quick else PEER_RECORDS
                    ours_us = ours.cpu_us if ours else 0.0
                    self._peer(peers.measure(unpacked, folder, certs_, setting, records, ours_us))
            except UnavailableError as error:
                self._skip(Skipped(program.name, str(error)))

    def _peer(self, peer: Peer) -> None:
        self.outcome.peers.append(peer)
        self._console.print(f"{peer.name}, {peer.format}: {peer.cpu_us:.2f} us", highlight=False)

    def _skip(self, skipped: Skipped) -> None:
        self.outcome.skipped.append(skipped)


def _plan(folder: Path, quick: bool, seconds: float | None) -> Plan:
    made = folder / "certs"
    certs.make(made)
    if quick:
        return Plan(folder, made, seconds or 3, 2, 2, 2, 2, 1, 2, 1)
    return Plan(folder, made, seconds or 60, 10, 10, 10, 12, 5, 5, 4)


def main() -> int:
    """Run the parts; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="short loads: two minutes in all, to try things")
    parser.add_argument(
        "--seconds", type=float, help="length of the JSON and raw loads (default 60, --quick 3)"
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=" ".join(PARTS)
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcome as JSON, too")
    parser.add_argument("--write", action="store_true", help=f"write {results.RESULTS.name} and its chart")
    parser.add_argument("--folder", type=Path, help="where the temporary folder goes; a disk, not a tmpfs")
    options = parser.parse_args()
    console = Console()
    console.width = max(console.width, _NARROWEST)  # a pipe has no width
    with tempfile.TemporaryDirectory(prefix="ingestd-bench-", dir=options.folder) as folder:
        run = Run(_plan(Path(folder), options.quick, options.seconds), options.quick, console)
        try:
            for part in (part for part in PARTS if part in options.only):
                run.part(part)
        except BenchmarkError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    outcome = run.outcome
    outcome.goals = judge(outcome)
    table.show(outcome, console)
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(outcome)) + b"\n")
    if options.write:
        results.write(outcome)
    return int(any(not goal.met for goal in outcome.goals if goal.exactness))


if __name__ == "__main__":
    sys.exit(main())
