"""The profile of the JSON load: stages timed alone, and sampled in the running daemon if perf is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from benchmarks import perf, stages
from benchmarks.errors import UnavailableError
from benchmarks.load import Offer, Sending, Target
from benchmarks.outcome import Load, Profile, Skipped, Stage
from benchmarks.scenarios import Plan, fresh

#: Connections are made and caches warm after so long.
_WARM_S: Final = 1.5

_ROUNDS: Final = 5


def profile(plan: Plan, load: Load, seconds: float, skip: Callable[[Skipped], None]) -> Profile:
    """Where the CPU of `load`, the JSON load over TLS, goes. `skip` is told what cannot be had."""
    alone = stages.time_alone(plan.certs, plan.folder, _ROUNDS)
    try:
        sampled = _sample(plan, seconds)
    except UnavailableError as error:
        skip(Skipped("stages in the daemon", str(error)))
        made = [Stage(name=name, alone_ns=alone.get(name), daemon_ns=None) for name in perf.STAGES]
        return Profile(method="stages timed alone", samples=0, page_fault_share=0.0, stages=made)
    made = [
        Stage(name=name, alone_ns=alone.get(name), daemon_ns=_share_ns(name, sampled, load))
        for name in perf.STAGES
    ]
    share = sampled.page_faults / sampled.samples
    return Profile(
        method="perf, call stacks of both workers",
        samples=sampled.samples,
        page_fault_share=share,
        stages=made,
    )


def _sample(plan: Plan, seconds: float) -> perf.Sampled:
    with fresh(plan) as daemon:
        target = Target("tls", daemon.port("tcp"), plan.certs / "ca.crt")
        sending = Sending(target, "json", Offer(seconds + 2 * _WARM_S), plan.folder / "profile.json")
        try:
            time.sleep(_WARM_S)
            sampled = perf.sample(daemon.worker_pids(), seconds, plan.folder)
        finally:
            sending.sent()
    if not sampled.samples:
        raise UnavailableError("perf took no samples of the workers")
    return sampled


def _share_ns(stage: str, sampled: perf.Sampled, load: Load) -> float:
    """A stage's part of its own thread's CPU per record: the two threads are measured apart, so they scale apart."""
    is_writer = stage in perf.WRITER_STAGES
    of_thread = sum(
        count for name, count in sampled.stages.items() if (name in perf.WRITER_STAGES) == is_writer
    )
    thread_us = load.writer_us if is_writer else load.loop_us
    return sampled.stages[stage] / max(1, of_thread) * thread_us * 1000
