"""Readings of the board, the history of their sums, and what is computed from two of them."""

from __future__ import annotations

from array import array

import pytest

from ingestd.sidecar.moment import History, Sums, quantile, rate, read
from ingestd.stats import HEARTBEAT, Board, index
from tests.sidecar.served import Workers, move_block

RECEIVED = index("ingestd_records_received_total", "json", "tcp")
RESTARTS = index("ingestd_worker_restarts_total")


def at(second: float, *values: int) -> Sums:
    return Sums(int(second * 1e9), array("q", values))


def test_a_moment_sums_the_workers_and_the_supervisor() -> None:
    board = Board(3)
    for number in range(3):
        board.slot(number).assign(number)
        move_block(board, number, 10 * (number + 1))
    board.supervisor.add(RESTARTS, 2)
    moment = read(board)
    assert [slot[RECEIVED] for slot in moment.workers] == [10, 20, 30]
    assert moment.sums.values[RECEIVED] == 60
    assert moment.sums.total((RECEIVED, RESTARTS)) == 62
    assert moment.supervisor[RESTARTS] == 2


def test_the_times_of_many_slots_are_not_summed() -> None:
    board = Board(8)
    for number in range(8):
        board.slot(number).adopt(1, 2**62, 2**62)  # six times the nanoseconds of today are more than an int64
    assert not any(read(board).sums.values)


def test_no_heartbeat_lies_in_the_future_of_its_moment(workers: Workers) -> None:
    moment = read(workers.board)
    assert all(slot[HEARTBEAT] <= moment.at_ns for slot in moment.workers)


def test_history_finds_the_newest_sums_that_are_old_enough() -> None:
    history = History(60)
    for second in range(20):
        history.add(at(second))
    assert history.ago(at(19.9), 5) == at(14)
    assert history.ago(at(19), 5) == at(14)
    assert history.ago(at(19.9), 1000) == at(0), "with nothing so old, the oldest"


def test_history_forgets_what_lies_before_its_span() -> None:
    history = History(60)
    for second in range(1000):
        history.add(at(second))
    assert history.ago(at(999), 1000) == at(939)


def test_history_does_not_compare_what_is_too_close() -> None:
    history = History(60)
    assert history.ago(at(1), 5) is None
    history.add(at(1))
    assert history.ago(at(1.1), 5) is None
    assert history.ago(at(1.5), 5) == at(1)


def test_a_rate_is_per_second_over_the_real_time_between() -> None:
    assert rate(at(12, 400, 100), at(10, 100, 0), (0, 1)) == 200.0
    assert rate(at(12, 400, 100), None, (0, 1)) is None


BOUNDS = (0.1, 0.2, 0.4)


@pytest.mark.parametrize(
    ("q", "counts", "expected"),
    [
        (0.5, [10, 0, 0, 0], 0.05),
        (0.99, [100, 0, 0, 0], 0.099),
        (0.5, [0, 10, 0, 0], 0.15),
        (0.5, [5, 5, 0, 0], 0.1),
        (0.75, [5, 5, 0, 0], 0.15),
        (0.99, [0, 0, 100, 0], 0.398),
        (0.9, [1, 0, 1, 0], 0.36),
        (0.5, [0, 0, 0, 7], 0.4),
        (1.0, [1, 0, 0, 0], 0.1),
    ],
)
def test_a_quantile_is_linear_within_its_bucket(q: float, counts: list[int], expected: float) -> None:
    assert quantile(q, BOUNDS, counts) == pytest.approx(expected)


def test_a_quantile_of_nothing_is_unknown() -> None:
    assert quantile(0.5, BOUNDS, [0, 0, 0, 0]) is None
