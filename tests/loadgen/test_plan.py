"""How options become lanes."""

from typing import Any

import pytest

from tools.loadgen.payloads import END_SEQ, FIRST_SEQ
from tools.loadgen.plan import DEFAULT_BATCH, Plan
from tools.loadgen.transports import Target

TCP = Target("127.0.0.1", 3001, udp=False, tls=None)
UDP = Target("127.0.0.1", 3002, udp=True, tls=None)


def plan(target: Target = TCP, **options: Any) -> Plan:
    return Plan(target, "json", "ab12cd34", 1, **options)


def test_the_count_is_dealt_out_in_whole_batches() -> None:
    assert plan(count=10_500, batch=1_000).counts() == [3_000, 3_000, 2_500, 2_000]
    assert plan(count=1_000, batch=1_000).counts() == [1_000]
    assert plan(count=7, batch=1_000).counts() == [7]
    assert plan().counts() == [None] * 4


@pytest.mark.parametrize("count", [1, 999, 1_000, 1_001, 3_999, 123_457])
def test_the_count_is_exact(count: int) -> None:
    counts = plan(count=count).counts()
    assert sum(part or 0 for part in counts) == count
    assert all(counts)


def test_lanes_own_disjoint_sequences_and_take_turns() -> None:
    lanes = list(plan(rate=8_000.0, batch=1_000, seconds=5.0).lanes(100.0))
    firsts = [work.first_seq for work, _, _ in lanes]
    ends = [work.end_seq for work, _, _ in lanes]
    assert firsts[0] == FIRST_SEQ
    assert all(end <= first for end, first in zip(ends, firsts[1:], strict=False))
    assert ends[-1] <= END_SEQ
    assert {step_s for _, step_s, _ in lanes} == {0.5}
    assert [start_s for _, _, start_s in lanes] == pytest.approx([100.0, 100.125, 100.25, 100.375])
    assert {work.end_s for work, _, _ in lanes} == {105.0}


def test_an_interval_is_a_rate_of_the_whole_run() -> None:
    assert plan(batch=100, interval_s=0.1).paced_rate == pytest.approx(1_000)
    assert plan(batch=100, interval_s=0.1, rate=500.0).paced_rate == pytest.approx(500)
    assert plan().paced_rate is None


def test_a_low_rate_comes_in_small_batches_unless_asked_otherwise() -> None:
    assert plan().batch_records == DEFAULT_BATCH
    assert plan(rate=1e6).batch_records == DEFAULT_BATCH
    assert plan(rate=800.0).batch_records == 10
    assert plan(rate=1.0).batch_records == 1
    assert plan(rate=1.0, batch=500).batch_records == 500


def test_paced_datagrams_leave_one_send_at_a_time() -> None:
    assert plan(UDP, rate=500_000.0).batch_records == 384
    assert plan(UDP, rate=500_000.0, burst=2_000).burst_records == 2_000
    assert plan(UDP).batch_records == DEFAULT_BATCH


def test_no_more_is_rendered_than_will_be_sent() -> None:
    assert plan(count=10, batch=10).pool_records == 10
    assert plan(rate=100.0, seconds=2.0, batch=10).pool_records == 200
