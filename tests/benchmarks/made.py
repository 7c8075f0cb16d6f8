"""An outcome as a run makes it, with round numbers."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks import anatomy, perf
from benchmarks.load import Verdict
from benchmarks.machine import describe
from benchmarks.outcome import Anatomy, ClientCost, Load, Outcome, Peer, Profile, Stage


def load(name: str = "json TLS", **changes: object) -> Load:
    """One that meets every goal."""
    made = Load(
        name=name,
        format="json",
        transport="tls",
        sent=1000,
        received=1000,
        written=1000,
        seconds=1.0,
        records_per_s=1_200_000.0,
        in_mb_per_s=200.0,
        cpu_us=1.0,
        cpu_system_us=0.1,
        loop_us=0.7,
        writer_us=0.3,
        sender_us=0.1,
        peak_rss_bytes=80_000_000,
        compression_ratio=12.0,
        p50_s=0.3,
        p99_s=0.9,
        longest_sync_s=0.05,
        others_cores=0.1,
        backpressure_pauses=1,
        verdict=Verdict(1000, 1000, 0, 0, 0),
        validation_ns=1.0,
    )
    return msgspec.structs.replace(made, **changes)


def outcome(folder: Path) -> Outcome:
    """A whole run."""
    peer = Peer(
        name="rsyslog & friends",
        version="8.0",
        does="little",
        format="json",
        sent=1000,
        records=1000,
        records_per_s=100_000.0,
        cpu_us=4.0,
        peak_rss_bytes=10_000_000,
        compression_ratio=1.0,
        others_cores=0.1,
        times=4.0,
    )
    stages = [Stage(name=name, alone_ns=70.0, daemon_ns=100.0) for name in perf.STAGES]
    profile = Profile(method="perf", samples=1000, page_fault_share=0.05, stages=stages)
    return Outcome(
        machine=describe(folder),
        quick=True,
        loads=[load()],
        peers=[peer],
        clients=[
            ClientCost(way="send", records=1000, caller_us=0.2, total_us=0.5, records_per_s=1_000_000.0)
        ],
        startups_s=[0.3, 0.4, 0.5],
        idle_shares=[0.001, 0.002],
        profile=profile,
        anatomies=[
            Anatomy(
                format="json",
                samples=1000,
                stages=dict.fromkeys(anatomy.STAGES, 100.0),
                functions={"_splice (json.py)": 80.0},
            )
        ],
    )
