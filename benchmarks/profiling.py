"""The profiles: of the JSON load the stages of its own path, of every format those that all have in common.

The JSON path is timed stage by stage in this process as well, and sampled for longer than the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks import anatomy, perf, stages
from benchmarks.errors import UnavailableError
from benchmarks.outcome import Anatomy, Load, Profile, Skipped, Stage
from benchmarks.scenarios import Plan

Skip = Callable[[Skipped], None]

_ROUNDS: Final = 5

#: JSON is sampled so many times as long as the others: its table is the finer one.
_LONGER: Final = 2


def profiles(
    plan: Plan, loads: list[Load], seconds: float, skip: Skip
) -> tuple[Profile | None, list[Anatomy]]:
    """Where the CPU of `loads`, one of each format over TLS, goes. `skip` is told what cannot be had."""
    profile, found = None, []
    for load in loads:
        is_json = load.format == "json"
        sampled: perf.Sampled | None = None
        try:
            made, stacks, loop_tids = anatomy.dissect(plan, load, seconds * _LONGER if is_json else seconds)
            found.append(made)
            sampled = perf.classify(stacks, loop_tids)
        except UnavailableError as error:
            skip(Skipped(f"profile of {load.name}", str(error)))
        if is_json:
            profile = _json_profile(plan, load, sampled)
    return profile, found


def _json_profile(plan: Plan, load: Load, sampled: perf.Sampled | None) -> Profile:
    alone = stages.time_alone(plan.certs, plan.folder, _ROUNDS)
    made = [
        Stage(
            name=name,
            alone_ns=alone.get(name),
            daemon_ns=_share_ns(name, sampled, load) if sampled else None,
        )
        for name in perf.STAGES
    ]
    if sampled is None:
        return Profile(method="stages timed alone", samples=0, page_fault_share=0.0, stages=made)
    return Profile(
        method="perf, call stacks of both workers",
        samples=sampled.samples,
        page_fault_share=sampled.page_faults / sampled.samples,
        stages=made,
    )


def _share_ns(stage: str, sampled: perf.Sampled, load: Load) -> float:
    """A stage's part of its own thread's CPU per record: the two threads are measured apart, so they scale apart."""
    is_writer = stage in perf.WRITER_STAGES
    of_thread = sum(
        count for name, count in sampled.stages.items() if (name in perf.WRITER_STAGES) == is_writer
    )
    thread_us = load.writer_us if is_writer else load.loop_us
    return sampled.stages[stage] / max(1, of_thread) * thread_us * 1000
