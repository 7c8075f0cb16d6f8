"""The budget of memory: those that hold most are ended first, no more than needed, never within their own work."""

from __future__ import annotations

import asyncio

from ingestd.net.budget import Budget
from ingestd.stats import Board, index

HELD = index("ingestd_held_bytes")


class Hoard:
    """Holds what it is told to."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.held_bytes = 0
        self.evicted = False

    def hold(self, nbytes: int) -> None:
        self.budget.move(nbytes - self.held_bytes)
        self.held_bytes = nbytes

    def evict(self) -> None:
        self.evicted = True
        self.hold(0)


def evicted(*holds: int) -> list[bool]:
    """Which of several are ended that hold so much under a budget of 100."""

    async def run() -> list[bool]:
        hoards: list[Hoard] = []
        slot = Board(1).slot(0)
        budget = Budget(100, hoards, asyncio.get_running_loop(), slot)
        hoards += [Hoard(budget) for _ in holds]
        for hoard, nbytes in zip(hoards, holds, strict=True):
            hoard.hold(nbytes)
        assert slot[HELD] == sum(holds)
        assert not any(hoard.evicted for hoard in hoards)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert slot[HELD] == sum(hoard.held_bytes for hoard in hoards)
        return [hoard.evicted for hoard in hoards]

    return asyncio.run(run())


def test_within_the_budget_nobody_goes() -> None:
    assert evicted(50, 50) == [False, False]


def test_the_largest_go_until_the_rest_fits() -> None:
    assert evicted(10, 60, 30, 80) == [False, False, False, True]
    assert evicted(90, 60, 30, 80) == [True, False, False, True]


def test_one_alone_may_be_too_much() -> None:
    assert evicted(101) == [True]
