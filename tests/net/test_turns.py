"""The line of those who have more work than a turn: one after the other, and none while the gate is closed."""

from __future__ import annotations

import asyncio

from ingestd.net.backpressure import Gate
from ingestd.net.turns import Turns
from ingestd.stats import Board


class Task:
    """Has so many turns' work, and notes each in a list that all share."""

    def __init__(self, name: str, turns: int, done: list[str]) -> None:
        self.name = name
        self.left = turns
        self.done = done

    def turn(self) -> bool:
        self.done.append(self.name)
        self.left -= 1
        return self.left > 0


async def passes(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_each_has_its_turn_and_the_loop_runs_between() -> None:
    async def run() -> tuple[list[str], list[str]]:
        done: list[str] = []
        turns = Turns(asyncio.get_running_loop(), Gate(100, 50, Board(1).slot(0)))
        turns.add(Task("a", 3, done))
        turns.add(Task("b", 1, done))
        await passes(1)
        first = list(done)
        await passes(10)
        return first, done

    first, done = asyncio.run(run())
    assert len(first) == 1
    assert done == ["a", "b", "a", "a"]


def test_nobody_has_a_turn_while_the_gate_is_closed() -> None:
    async def run() -> list[str]:
        done: list[str] = []
        gate = Gate(100, 50, Board(1).slot(0))
        turns = Turns(asyncio.get_running_loop(), gate)
        gate.add(101)
        turns.add(Task("a", 2, done))
        await passes(5)
        assert done == []
        gate.free(101)
        await passes(1)
        assert done == ["a"]
        gate.add(101)
        await passes(5)
        assert done == ["a"]
        gate.free(101)
        await passes(5)
        return done

    assert asyncio.run(run()) == ["a", "a"]


def test_after_a_stop_nothing_is_done() -> None:
    async def run() -> list[str]:
        done: list[str] = []
        turns = Turns(asyncio.get_running_loop(), Gate(100, 50, Board(1).slot(0)))
        turns.add(Task("a", 2, done))
        turns.stop()
        await passes(5)
        return done

    assert asyncio.run(run()) == []
