from __future__ import annotations

from random import Random

from ingestd.client.backoff import FIRST_S, Backoff
from ingestd.client.options import Address

A, B = Address("a", 1), Address("b", 2)


def test_each_failure_moves_on_and_success_stays() -> None:
    backoff = Backoff([A, B], 30)
    assert backoff.address == A
    backoff.failed(False)
    assert backoff.address == B
    backoff.succeeded()
    assert backoff.address == B
    backoff.failed(False)
    assert backoff.address == A


def test_the_delay_is_jittered_doubles_per_round_and_is_bounded() -> None:
    most = [0.0] * 40
    for seed in range(200):
        backoff = Backoff([A, B], 5, Random(seed))
        for attempt in range(40):
            delay_s = backoff.failed(False)
            assert 0 <= delay_s <= min(5, FIRST_S * 2 ** (attempt // 2))
            most[attempt] = max(most[attempt], delay_s)
    assert most[0] > FIRST_S / 2
    assert most[-1] > 4


def test_a_success_begins_anew() -> None:
    backoff = Backoff([A], 100)
    for _ in range(20):
        backoff.failed(False)
    backoff.succeeded()
    assert backoff.failed(False) <= FIRST_S


def test_who_is_refused_everywhere_waits_long() -> None:
    backoff = Backoff([A, B], 10)
    assert backoff.failed(True) <= FIRST_S
    assert not backoff.refused_everywhere
    assert 5 <= backoff.failed(True) <= 10
    assert backoff.refused_everywhere
    assert backoff.failed(False) <= 10
    assert not backoff.refused_everywhere


def test_endless_failure_does_not_overflow() -> None:
    backoff = Backoff([A], 30)
    for _ in range(5_000):
        assert backoff.failed(False) <= 30
