"""What it costs to be watched: twenty alert rules, five dashboards and a scrape each second, beside none of that.

The goal is a twentieth, and the same load differs by as much from one time to the next. So there are many short turns,
of two daemons that are there together; after each round what it left on disk goes.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks import procfs, rules
from benchmarks.daemon import WORKERS, Daemon
from benchmarks.load import Offer, Sent, Verdict, verify
from benchmarks.observed import Audience, Share
from benchmarks.outcome import Load, Observed
from benchmarks.scenarios import Plan, Sender, fresh, measure, median, report_of, send_load

UNOBSERVED: Final = "json TLS, unobserved beside"
OBSERVED: Final = "json TLS, observed"

TURNS: Final = 6  # of a round

#: Of a turn, in the length of other loads.
_SHARE: Final = 0.3


class _Side(NamedTuple):
    """A daemon, and its loads."""

    daemon: Daemon
    name: str
    loads: list[Load]

    def report(self, turn: int) -> str:
        return f"{self.name} {turn}"


class _Seen(NamedTuple):
    """What the sidecar used of a core in each turn, and what it answered."""

    shares: list[float]
    answers: Counter[str]


def observed(plan: Plan) -> tuple[list[Load], Observed]:
    """Without and with, in turns: the best load of each, and the ratios."""
    pairs: list[tuple[Load, Load]] = []
    verdicts: list[tuple[Verdict, Verdict]] = []
    seen = _Seen([], Counter())
    for _ in range(plan.rounds):
        with fresh(plan) as plain_daemon, fresh(plan, rules.document(), "observed") as watched_daemon:
            plain, watched = _Side(plain_daemon, UNOBSERVED, []), _Side(watched_daemon, OBSERVED, [])
            _take_turns(plan, plain, watched, seen)
            verdicts.append((_verdict(plan, plain), _verdict(plan, watched)))
        pairs += zip(plain.loads, watched.loads, strict=True)
    best = [
        msgspec.structs.replace(min(loads, key=lambda load: load.cpu_us), verdict=Verdict.of_all(of_side))
        for loads, of_side in zip(zip(*pairs, strict=True), zip(*verdicts, strict=True), strict=True)
    ]
    return best, Observed(
        throughput=median([watched.records_per_s / plain.records_per_s for plain, watched in pairs]),
        cpu=median([watched.cpu_us / plain.cpu_us for plain, watched in pairs]),
        turns=len(pairs),
        sidecar_share=max(seen.shares),
        snapshots=seen.answers["snapshots"],
        scrapes=seen.answers["scrapes"],
    )


def _take_turns(plan: Plan, plain: _Side, watched: _Side, seen: _Seen) -> None:
    """Who begins alternates."""
    for turn in range(TURNS):
        if turn % 2:
            _load(plan, plain, turn)
        with Audience(watched.daemon.port("http")) as audience:
            _load(plan, watched, turn, partial(_send_observed, shares=seen.shares))
        seen.answers.update(snapshots=audience.snapshots, scrapes=audience.scrapes)
        if not turn % 2:
            _load(plan, plain, turn)


def _load(plan: Plan, side: _Side, turn: int, sender: Sender = send_load) -> None:
    offer = Offer(plan.format_s * _SHARE)
    about = side.daemon, plan, side.name, "json", "tls", offer
    side.loads.append(measure(*about, sender=sender, report=side.report(turn)))


def _verdict(plan: Plan, side: _Side) -> Verdict:
    """On all loads of a side, whose daemon is stopped."""
    side.daemon.stop()
    reports = [report_of(plan, side.report(turn)) for turn in range(TURNS)]
    return verify(side.daemon.data, reports, WORKERS)


def _send_observed(daemon: Daemon, *given: Any, shares: list[float]) -> Sent:
    """As `send_load`; `shares` gets what the sidecar used meanwhile."""
    sidecar = Share(partial(procfs.run_s, daemon.sidecar_pid()))
    sent = send_load(daemon, *given)
    shares.append(sidecar.end())
    return sent
