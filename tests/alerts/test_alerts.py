"""The alerts of a sidecar: who has them, what is kept, what is sent again. With real files and a real receiver."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ingestd.alerts import alerts as alerts_module
from ingestd.alerts import keeping
from ingestd.alerts.alerts import Alerts
from ingestd.alerts.clock import Clock
from ingestd.alerts.settings import EngineSettings, Settings
from ingestd.config_alerts import Notifier
from tests.alerts.made import match_rule, matched, played, reading
from tests.alerts.receivers import Hook
from tests.daemon import PATIENCE_S
from tests.fakes import ManualClock


def settings(folder: Path, hook: Hook, kind: str = "webhook") -> Settings:
    notifier = Notifier(name="ops", kind=kind, url=hook.url)  # type: ignore[arg-type]
    return Settings(folder, EngineSettings((match_rule(resolve_after=3600.0),)), (notifier,))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def living(settings: Settings) -> AsyncIterator[Alerts]:
    """Started, in possession, and closed in the end."""
    alerts = Alerts(settings)
    alerts.start()
    try:
        await until(lambda: alerts.engine is not None)
        yield alerts
        assert alerts.failure() is None
    finally:
        await alerts.close()


def test_of_two_the_second_waits_and_goes_on_where_the_first_left_off(tmp_path: Path) -> None:
    async def scene() -> None:
        clock = Clock()
        first, second = Alerts(settings(tmp_path, hook)), Alerts(settings(tmp_path, hook))
        first.start()
        await until(lambda: first.engine is not None)
        first.hear(matched(at_s=clock()))
        await until(lambda: len(hook.received) == 1)
        second.start()
        second.hear(matched(service="early", at_s=clock()))
        second.read(reading())
        await asyncio.sleep(0.2)
        assert second.engine is None, "two have them"
        assert second.summary().firing == 0
        await first.close()
        await first.close()  # as the process does at its end, whatever happened before
        await until(lambda: second.engine is not None)
        await until(lambda: len(hook.received) == 2)
        assert second.summary().firing == 2
        await second.close()

    with Hook() as hook:
        played(scene())
    services = [sorted(alert["labels"]["service"] for alert in notice["alerts"]) for notice in hook.notices()]
    assert services == [["api"], ["api", "early"]]


def test_who_is_closed_hears_no_more(tmp_path: Path) -> None:
    async def scene() -> None:
        async with living(settings(tmp_path, hook)) as alerts:
            pass
        alerts.hear(matched())
        alerts.read(reading())
        assert alerts.summary().firing == 0

    with Hook() as hook:
        played(scene())
    assert hook.received == []


def test_who_is_closed_before_it_had_them_leaves_no_trace(tmp_path: Path) -> None:
    async def scene() -> None:
        async with living(settings(tmp_path, hook)):
            waiting = Alerts(settings(tmp_path, hook))
            waiting.start()
            await asyncio.sleep(0.1)
            await waiting.close()

    with Hook() as hook:
        played(scene())


def test_what_is_kept_is_for_its_owner(tmp_path: Path) -> None:
    async def scene() -> None:
        async with living(settings(tmp_path, hook)) as alerts:
            alerts.hear(matched(at_s=alerts.clock()))
            await until(lambda: (tmp_path / keeping.FILE).exists())

    with Hook() as hook:
        played(scene())
    assert stat.S_IMODE((tmp_path / keeping.FILE).stat().st_mode) == 0o600
    saved = keeping.load(tmp_path)
    assert saved is not None
    assert [series.rule for series in saved.engine.alerts] == ["errors"]


def test_alertmanager_is_sent_what_fires_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with living(settings(tmp_path, hook, "alertmanager")) as alerts:
            alerts.hear(matched(at_s=alerts.clock()))
            await until(lambda: len(hook.received) >= 4)

    monkeypatch.setattr(alerts_module, "REFRESH_S", 0.1)
    with Hook() as hook:
        played(scene())
    for received in hook.received:
        assert received.path.endswith("/api/v2/alerts")
        (alert,) = json.loads(received.body)
        assert alert["labels"]["alertname"] == "errors"


def test_a_folder_that_is_gone_costs_only_what_would_be_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with living(settings(folder, hook)) as alerts:
            alerts.hear(matched(at_s=alerts.clock()))
            await until(lambda: len(hook.received) == 1)

    folder = tmp_path / "state"
    with Hook() as hook:
        played(scene())
    assert f"cannot write {folder / keeping.LOCK_FILE}: No such file or directory" in caplog.text


def test_the_clock_jumps_only_where_it_is_asked() -> None:
    wall, steady = ManualClock(5000.0), ManualClock(10.0)
    clock = Clock(wall, steady)
    wall.now_s += 3
    steady.now_s += 2
    assert (clock.follow(), clock()) == (0.0, 5002.0)
    wall.now_s += 3600
    assert clock() == 5002.0
    assert (clock.follow(), clock()) == (3601.0, 8603.0)
    wall.now_s -= 100
    assert (clock.follow(), clock(), clock.follow()) == (-100.0, 8503.0, 0.0)
