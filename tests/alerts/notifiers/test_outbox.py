"""The patience of a notifier: order, merging, retries, bounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from ingestd.alerts.notices import Notice, merged
from ingestd.alerts.notifiers import outbox as outbox_module
from ingestd.alerts.notifiers.outbox import REFUSALS, Outbox
from ingestd.alerts.notifiers.sender import DeliveryError
from ingestd.config_alerts import Notifier
from tests.alerts.made import notice, played


class Keeping:
    """A sender that keeps what it is given, and fails as often as it is told."""

    def __init__(self) -> None:
        self.delivered: list[Notice] = []
        self.tried: list[Notice] = []
        self.errors: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def deliver(self, notice: Notice) -> None:
        self.tried.append(notice)
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.delivered.append(notice)

    async def close(self) -> None:
        """Nothing is open."""


Play = Callable[[Outbox, Keeping], Awaitable[None]]


def play(scene: Play, capacity: int = 1000, **given: object) -> Outbox:
    """An outbox at work while `scene` plays."""

    async def run() -> Outbox:
        sender = Keeping()
        notifier = Notifier(**{"name": "n", "kind": "log"} | given)  # type: ignore[arg-type]
        box = Outbox(notifier, sender, capacity=capacity)
        running = asyncio.create_task(box.run())
        try:
            async with asyncio.timeout(30):
                await scene(box, sender)
        finally:
            running.cancel()
        return box

    return played(run())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(outbox_module, "LONGEST_PAUSE_S", 0.005)


def test_in_the_order_in_which_groups_came() -> None:
    async def scene(box: Outbox, sender: Keeping) -> None:
        for group in ("a", "b", "c"):
            box.put(notice(group))
        await box.rest()
        assert [each.group for each in sender.delivered] == ["a", "b", "c"]

    assert play(scene).delivered == 3


def test_what_is_for_others_is_left_to_them() -> None:
    async def scene(box: Outbox, sender: Keeping) -> None:
        box.put(notice("a", notify=("other",)))
        box.put(notice("b", notify=("other", "n")))
        await box.rest()
        assert [each.group for each in sender.delivered] == ["b"]

    play(scene)


def test_a_failure_is_tried_again_until_it_succeeds() -> None:
    async def scene(box: Outbox, sender: Keeping) -> None:
        sender.errors = [DeliveryError("no"), OSError(111, "Connection refused"), ValueError("a bug")]
        box.put(notice())
        await box.rest()
        assert [each.id for each in sender.tried] == ["0123456789abcdef"] * 4

    box = play(scene)
    assert (box.delivered, box.failed, box.dropped) == (1, 3, 0)


def test_one_that_hangs_is_given_its_time_and_tried_again() -> None:
    async def scene(box: Outbox, sender: Keeping) -> None:
        sender.gate.clear()
        box.put(notice())
        while box.failed < 2:
            await asyncio.sleep(0.01)
        assert "no answer within 0.1 s" in box.view().last_error
        sender.gate.set()
        await box.rest()

    box = play(scene, timeout=0.1)
    assert (box.delivered, box.view().last_error) == (1, "")


def test_meanwhile_newer_notices_take_the_place_of_older_ones_and_lose_no_end() -> None:
    async def scene(box: Outbox, sender: Keeping) -> None:
        sender.gate.clear()
        sender.errors = [DeliveryError("no")]
        box.put(notice("g", ("a", "b")))
        while not sender.tried:
            await asyncio.sleep(0)  # until that one is under way
        box.put(notice("g", ("b",), ("a",)))
        box.put(notice("g", ("c",), ("b",)))
        box.put(notice("other"))
        assert len(box.waiting()) == 3
        sender.gate.set()
        await box.rest()
        last, other = sender.delivered
        assert [alert.fingerprint for alert in last.firing] == ["c"]
        assert sorted(alert.fingerprint for alert in last.resolved) == ["a", "b"]
        assert other.group == "other"

    play(scene)


def test_what_fires_again_is_not_over() -> None:
    both = merged(notice(firing=("x",), resolved=("a",)), notice(firing=("a",)))
    assert both.resolved == ()


def test_the_oldest_goes_where_there_are_too_many() -> None:
    async def scene(box: Outbox, sender: Keeping) -> None:
        sender.gate.clear()
        for number in range(20):
            box.put(notice(f"g{number}"))
            await asyncio.sleep(0)
        assert len(box.waiting()) <= 6
        sender.gate.set()
        await box.rest()
        assert sender.delivered[-1].group == "g19"

    assert play(scene, capacity=5).dropped >= 14


def test_what_is_refused_for_what_it_is_goes_in_the_end() -> None:
    async def scene(box: Outbox, sender: Keeping) -> None:
        sender.errors = [DeliveryError("bad", permanent=True)] * REFUSALS
        box.put(notice("bad"))
        box.put(notice("good"))
        await box.rest()
        assert [each.group for each in sender.delivered] == ["good"]

    assert play(scene).dropped == 1


def test_without_ends_where_they_are_not_wanted() -> None:
    async def scene(box: Outbox, sender: Keeping) -> None:
        box.put(notice("a", ("x",), ("y",)))
        box.put(notice("b", (), ("y",)))
        await box.rest()
        assert [(each.group, each.resolved) for each in sender.delivered] == [("a", ())]

    play(scene, resolved=False)


def test_the_log_says_a_failure_once_and_no_more_than_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(box: Outbox, sender: Keeping) -> None:
        sender.errors = [DeliveryError("nobody there")] * 20
        box.put(notice())
        await box.rest()

    with caplog.at_level(logging.WARNING):
        play(scene, name="unheard")
    assert [record.getMessage() for record in caplog.records] == ["notifier unheard failed: nobody there"]
