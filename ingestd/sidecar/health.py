"""Whether the daemon lives and whether it takes logs in: one verdict per process, one for all.

A worker's own word (its STATE) counts only while its process runs and its heartbeat is fresh. The heartbeat
comes from the event loop, so one that is stuck cannot pass for alive. The sidecar judges; only the supervisor acts.

During a reload two workers have one position: that one of them takes logs in suffices, and one that drains while the
daemon does not stop has a successor, or its position is given up.
"""

from typing import Final, Literal, NamedTuple

from ingestd.sidecar.moment import Moment
from ingestd.sidecar.procfs import Usage, usage
from ingestd.sidecar.view import View
from ingestd.stats import DRAINING, HEARTBEAT, PID, POSITION, READY, STARTING, STATE, index

State = Literal["starting", "ready", "failing", "draining", "hung", "dead"]
DaemonState = Literal["starting", "ready", "draining", "degraded"]

_DRAINING: Final[State] = "draining"
_FAULTS: Final = {
    "full": "no room for segments in data_dir",
    "read_only": "may not write segments in data_dir",
    "missing": "data_dir is not there",
    "error": "the disk of data_dir fails",
}
_FAILING: Final = {index("ingestd_disk_failing", fault): why for fault, why in _FAULTS.items()}

_SAID: Final[dict[int, State]] = {STARTING: "starting", READY: "ready", DRAINING: "draining"}


class Verdict(NamedTuple):
    """How one worker stands. `why` is a sentence when it is not ready, else empty."""

    worker: int
    """The number of its slot, which is in the names of its segments."""
    position: int
    """Its place among those that serve; a successor has the same."""
    state: State
    why: str
    pid: int
    heartbeat_age_s: float | None
    """`None` before the first heartbeat."""
    usage: Usage | None
    """`None` when the process does not run."""


def _said(slot: list[int]) -> tuple[State, str]:
    """What a live worker says of itself. One that cannot write only keeps what it takes in memory."""
    state = _SAID[slot[STATE]]
    if state != "ready":
        return state, state
    why = next((why for place, why in _FAILING.items() if slot[place]), "")
    return ("failing", why) if why else ("ready", "")


def _judge(number: int, slot: list[int], at_ns: int, timeout_s: float, used: Usage | None) -> Verdict:
    state: State
    pid = slot[PID]
    age_s = max(0, at_ns - slot[HEARTBEAT]) / 1e9 if slot[HEARTBEAT] else None
    if not pid:
        state, why = "starting", "not started yet"
    elif used is None:
        state, why = "dead", f"process {pid} is gone"
    elif age_s is not None and age_s > timeout_s:
        state, why = "hung", f"no heartbeat for {age_s:.1f} s"
    else:
        state, why = _said(slot)
    return Verdict(number, slot[POSITION] - 1, state, why, pid, age_s, used)


def judge_workers(moment: Moment, view: View) -> list[Verdict]:
    """One verdict per worker, in the order of `moment.workers`."""
    return [
        _judge(number, slot, moment.at_ns, view.heartbeat_timeout_s, usage(slot[PID], view.supervisor_pid))
        for number, slot in zip(moment.numbers, moment.workers, strict=True)
    ]


def supervisor_fault(moment: Moment, view: View) -> str | None:
    """Why the supervisor cannot be trusted to act, or `None`: its heartbeat is fresh."""
    heartbeat_ns = moment.supervisor[HEARTBEAT]
    if not heartbeat_ns:
        return "the supervisor has given no heartbeat yet"
    age_s = (moment.at_ns - heartbeat_ns) / 1e9
    if age_s > view.heartbeat_timeout_s:
        return f"the supervisor has given no heartbeat for {age_s:.1f} s"
    return None


def faults(moment: Moment, workers: list[Verdict], view: View) -> dict[str, str]:
    """Who is not ready and why, by name (`supervisor`, `worker 0`, …); empty when the daemon is ready."""
    found = {}
    if why := supervisor_fault(moment, view):
        found["supervisor"] = why
    elif moment.supervisor[STATE] == DRAINING:
        found["supervisor"] = _DRAINING
    served = {verdict.position for verdict in workers if verdict.state == "ready"}
    for verdict in workers:
        replaced = verdict.state == _DRAINING and "supervisor" not in found
        if verdict.why and verdict.position not in served and not replaced:
            found[f"worker {verdict.worker}"] = verdict.why
    return found


def daemon_state(workers: list[Verdict], found: dict[str, str]) -> DaemonState:
    """All of it in one word; `found` is what `faults` said.

    While the whole daemon drains, a worker that is gone has done its duty; otherwise what is broken comes first.
    """
    if not found:
        return "ready"
    if found.get("supervisor") == _DRAINING:
        return "draining"
    states = {verdict.state for verdict in workers if f"worker {verdict.worker}" in found}
    return "degraded" if "supervisor" in found or states & {"failing", "hung", "dead"} else "starting"
