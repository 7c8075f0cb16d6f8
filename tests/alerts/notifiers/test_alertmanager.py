"""Debian's Alertmanager, as it comes: tests/packages.txt has it unpacked."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingestd.alerts.notices import Notice
from ingestd.alerts.notifiers.alertmanager import Alertmanager
from ingestd.alerts.notifiers.sender import DeliveryError
from ingestd.config_alerts import Notifier
from tests.alerts.made import alert_view, notice, played
from tests.alerts.receivers import Hook
from tests.daemon import PATIENCE_S, wait_for
from tests.e2e.senders import program

PAGE = "http://logs.example.org:8080/"


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as served:
        yield served


def _with_share(path: Path) -> list[str | Path]:
    """The program, run so that it finds what its package puts into /usr/share, which no option of it names.

    It sees an overlay of that folder, in a mount namespace of its own; nobody else does.
    """
    share = path.parents[1] / "share"
    mount = f"mount -t overlay overlay -o lowerdir={share}:/usr/share /usr/share"
    unshared: list[str | Path] = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*unshared, mount], capture_output=True).returncode:
        pytest.skip("no overlay can be mounted in a namespace here, and alertmanager needs its /usr/share")
    return [*unshared, f'{mount} && exec "$0" "$@"', path]


@pytest.fixture
def manager(tmp_path: Path, hook: Hook) -> Iterator[str]:
    """The URL of an Alertmanager that tells `hook`."""
    config = tmp_path / "alertmanager.yml"
    config.write_text(
        "route: {receiver: hook, group_by: [alertname], group_wait: 10ms, group_interval: 100ms}\n"
        f"receivers: [{{name: hook, webhook_configs: [{{url: '{hook.url}'}}]}}]\n",
        encoding="utf-8",
    )
    with socket.create_server(("127.0.0.1", 0)) as free:  # it cannot say which port it took
        port = free.getsockname()[1]
    command = [
        *_with_share(program("prometheus-alertmanager")),
        f"--config.file={config}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(f"{url}/-/ready"), "Alertmanager to be ready")
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def known(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/api/v2/alerts", timeout=PATIENCE_S) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


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
