"""Verdicts on workers, on the supervisor, and on the whole."""

from __future__ import annotations

import pytest

from ingestd.sidecar.health import Verdict, daemon_state, faults, judge_workers, supervisor_fault
from ingestd.sidecar.moment import Moment, read
from ingestd.stats import DRAINING, HEARTBEAT, PID, POSITION, READY, STARTING, STATE
from tests.sidecar.served import Workers, make_view

VIEW = make_view(heartbeat_timeout_s=10.0)
SECOND_NS = 1_000_000_000


def later(moment: Moment, seconds: float) -> Moment:
    return moment._replace(at_ns=moment.at_ns + int(seconds * SECOND_NS))


def judge(moment: Moment) -> tuple[list[Verdict], dict[str, str], str]:
    verdicts = judge_workers(moment, VIEW)
    found = faults(moment, verdicts, VIEW)
    return verdicts, found, daemon_state(verdicts, found)


def test_ready(workers: Workers) -> None:
    verdicts, found, state = judge(read(workers.board))
    assert [verdict.state for verdict in verdicts] == ["ready", "ready"]
    assert (found, state) == ({}, "ready")


def test_one_worker_that_starts(workers: Workers) -> None:
    workers.board.slot(1)[STATE] = STARTING
    _, found, state = judge(read(workers.board))
    assert (found, state) == ({"worker 1": "starting"}, "starting")


@pytest.mark.parametrize(("one", "other"), [(READY, STARTING), (DRAINING, READY)])
def test_one_worker_of_a_position_suffices(workers: Workers, one: int, other: int) -> None:
    for number, said in enumerate((one, other)):
        slot = workers.board.slot(number)
        slot[POSITION], slot[STATE] = 1, said
    verdicts, found, state = judge(read(workers.board))
    assert [verdict.position for verdict in verdicts] == [0, 0]
    assert (found, state) == ({}, "ready")


def test_a_position_that_is_given_up_is_missed_by_nobody(workers: Workers) -> None:
    workers.board.slot(1)[STATE] = DRAINING
    assert judge(read(workers.board))[1:] == ({}, "ready")
    workers.end(1)
    assert judge(read(workers.board))[2] == "degraded", "until the supervisor takes leave of it"
    workers.board.slot(1).release()
    verdicts, found, state = judge(read(workers.board))
    assert [verdict.worker for verdict in verdicts] == [0]
    assert (found, state) == ({}, "ready")


def test_a_worker_not_born_yet_is_starting(workers: Workers) -> None:
    workers.board.slot(0)[PID] = workers.board.slot(0)[HEARTBEAT] = 0
    verdicts, found, state = judge(read(workers.board))
    assert verdicts[0].heartbeat_age_s is None
    assert (found, state) == ({"worker 0": "not started yet"}, "starting")


def test_a_dead_worker_outweighs_its_last_word_and_the_others(workers: Workers) -> None:
    pid = workers.board.slot(0)[PID]
    workers.end(0)
    workers.board.slot(1)[STATE] = STARTING
    verdicts, found, state = judge(read(workers.board))
    assert (verdicts[0].state, state) == ("dead", "degraded")
    assert found["worker 0"] == f"process {pid} is gone"


def test_a_silent_worker_is_hung(workers: Workers) -> None:
    moment = later(read(workers.board), 60)
    moment.workers[1][HEARTBEAT] = moment.supervisor[HEARTBEAT] = moment.at_ns
    verdicts, found, state = judge(moment)
    assert [verdict.state for verdict in verdicts] == ["hung", "ready"]
    assert found["worker 0"].startswith("no heartbeat for 60.")
    assert state == "degraded"


def test_the_supervisor_must_be_heard_of(workers: Workers) -> None:
    moment = read(workers.board)
    assert supervisor_fault(moment, VIEW) is None
    silent = later(moment, 11)
    for slot in silent.workers:
        slot[HEARTBEAT] = silent.at_ns
    fault = supervisor_fault(silent, VIEW)
    assert fault is not None
    assert fault.startswith("the supervisor has given no heartbeat for 11.")
    assert judge(silent)[1:] == ({"supervisor": fault}, "degraded")
    moment.supervisor[HEARTBEAT] = 0
    assert supervisor_fault(moment, VIEW) == "the supervisor has given no heartbeat yet"


def test_while_the_daemon_drains_a_worker_that_ended_is_no_fault_of_the_whole(workers: Workers) -> None:
    workers.board.supervisor[STATE] = DRAINING
    workers.end(0)
    _, found, state = judge(read(workers.board))
    assert found["supervisor"] == "draining"
    assert state == "draining"
    workers.board.supervisor[STATE] = READY
    assert judge(read(workers.board))[2] == "degraded"
