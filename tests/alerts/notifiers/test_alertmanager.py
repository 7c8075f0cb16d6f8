"""What Debian's Alertmanager is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ingestd.alerts.notices import Notice
from ingestd.alerts.notifiers.alertmanager import Alertmanager
from ingestd.alerts.notifiers.sender import DeliveryError
from ingestd.config_alerts import Notifier
from tests.alerts.made import alert_view, notice, played
from tests.alerts.managers import alertmanager, known
from tests.alerts.receivers import Hook
from tests.daemon import wait_for

PAGE = "http://logs.example.org:8080/"


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as served:
        yield served


@pytest.fixture
def manager(tmp_path: Path, hook: Hook) -> Iterator[str]:
    with alertmanager(tmp_path, hook) as url:
        yield url


def deliver(told: Notice, url: str) -> None:
    async def run() -> None:
        sender = Alertmanager(Notifier(name="am", kind="alertmanager", url=url), PAGE)
        try:
            await sender.deliver(told)
        finally:
            await sender.close()

    played(run())


def test_it_takes_alerts_on_and_tells_of_their_end(manager: str, hook: Hook) -> None:
    deliver(notice(firing=("a", "b")), manager)
    found = {alert["labels"]["service"]: alert for alert in known(manager)}
    assert found.keys() == {"a", "b"}
    assert found["a"]["labels"]["alertname"] == "errors"
    assert found["a"]["startsAt"].startswith("2026-11-20T12:00:01")
    assert found["a"]["annotations"]["summary"] == "something is wrong with a"
    wait_for(lambda: any(told["status"] == "firing" for told in hook.notices()), "it to tell that they fire")
    deliver(notice(firing=(), resolved=("a", "b")), manager)
    wait_for(lambda: any(told["status"] == "resolved" for told in hook.notices()), "it to tell their end")
    wait_for(lambda: not known(manager), "them to be gone")


def test_more_than_goes_into_one_request(manager: str) -> None:
    deliver(notice(firing=tuple(f"s{n:03}" for n in range(450))), manager)
    assert len(known(manager)) == 450


def test_text_of_any_kind(manager: str) -> None:
    strange = 'a"\\\n\x1b[2J\u202e🦉'
    labels = {"rule": "errors", "service": strange}
    alert = alert_view(labels=labels, summary=strange, sample=strange)
    deliver(msgspec.structs.replace(notice(), firing=(alert,)), manager)
    (found,) = known(manager)
    assert found["labels"]["service"] == strange


def test_its_refusal_is_told_in_its_words(manager: str) -> None:
    with pytest.raises(DeliveryError, match="answered 400 Bad Request: ") as caught:
        broken = alert_view(labels={"no-such-label!": "x"})
        deliver(msgspec.structs.replace(notice(), firing=(broken,)), manager)
    assert caught.value.permanent
