"""Webhooks, against a real server."""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

import pytest

from ingestd.alerts.notices import MOST_ALERTS, Notice
from ingestd.alerts.notifiers.sender import DeliveryError
from ingestd.alerts.notifiers.webhook import Webhook
from ingestd.config_alerts import Notifier
from tests.alerts.made import notice, played
from tests.alerts.receivers import Hook

PAGE = "http://logs.example.org:8080/"
DOCUMENT = Path(__file__).parents[3] / "docs/alerts.md"


def deliver(told: Notice, url: str, **given: object) -> None:
    async def run() -> None:
        sender = Webhook(Notifier(**{"name": "ops", "kind": "webhook", "url": url} | given), PAGE)  # type: ignore[arg-type]
        try:
            await sender.deliver(told)
        finally:
            await sender.close()

    played(run())


def failure(told: Notice, url: str, **given: object) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        deliver(told, url, **given)
    assert "31337" not in str(caught.value)
    return caught.value


def test_the_json_is_that_of_alertmanagers_webhooks() -> None:
    with Hook() as hook:
        deliver(notice(firing=("a", "b"), resolved=("c",)), hook.url, headers={"X-Team": "core"})
    (received,) = hook.received
    told = received.notice
    assert received.path == "/hook?key=31337"
    assert (received.headers["X-Team"], received.headers["Ingestd-Notice"]) == ("core", told["id"])
    assert "Ingestd-Signature" not in received.headers
    assert (told["version"], told["receiver"], told["status"], told["reason"]) == (
        "4",
        "ops",
        "firing",
        "firing",
    )
    assert (told["groupLabels"], told["commonLabels"]) == (
        {"rule": "errors"},
        {"rule": "errors", "severity": "critical"},
    )
    assert [(alert["status"], alert["endsAt"][:10]) for alert in told["alerts"]] == [
        ("firing", "0001-01-01"),
        ("firing", "0001-01-01"),
        ("resolved", "2026-11-20"),
    ]
    assert told["externalURL"] == PAGE


def test_the_signature_is_verified_by_the_lines_of_the_documentation() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    block = re.search(r"^    import hashlib, hmac, time\n.*?(?=^\S)", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    names: dict[str, object] = {}
    exec("\n".join(line[4:] for line in block[0].splitlines()), names)
    genuine = names["genuine"]
    with Hook() as hook:
        deliver(notice(), hook.url, secret="31337")
    (received,) = hook.received
    assert genuine("31337", received.headers, received.body)  # type: ignore[operator]
    assert not genuine("31338", received.headers, received.body)  # type: ignore[operator]
    assert not genuine("31337", received.headers, received.body + b" ")  # type: ignore[operator]
    old = dict(received.headers) | {"Ingestd-Timestamp": "1000"}
    old["Ingestd-Signature"] = (
        "sha256=" + hmac.new(b"31337", b"1000." + received.body, hashlib.sha256).hexdigest()
    )
    assert not genuine("31337", old, received.body)  # type: ignore[operator]


def test_a_large_notice_is_cut_and_says_so() -> None:
    with Hook() as hook:
        deliver(notice(firing=tuple(f"f{n}" for n in range(MOST_ALERTS + 7))), hook.url)
    told = hook.received[0].notice
    assert (len(told["alerts"]), told["truncatedAlerts"]) == (MOST_ALERTS, 7)


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        (500, False),
        (503, False),
        (429, False),
        (401, False),
        (404, False),
        (400, True),
        (413, True),
        (302, True),
    ],
)
def test_what_a_server_may_answer(status: int, permanent: bool) -> None:
    with Hook() as hook, Hook() as elsewhere:
        hook.status, hook.location = status, elsewhere.url
        error = failure(notice(), hook.url, secret="31337")
    assert f"answered {status} " in str(error)
    assert error.permanent is permanent
    assert elsewhere.received == [], "a signed notice is for one server"


def test_nobody_there() -> None:
    with Hook() as hook:
        url = hook.url
    error = failure(notice(), url)
    assert "no connection to http://localhost:" in str(error)
    assert not error.permanent


def test_tls_by_the_ca_that_is_named(certs: Path) -> None:
    with Hook(certs) as hook:
        deliver(notice(), hook.url, ca=str(certs / "ca.crt"))
        assert "certificate" in str(failure(notice(), hook.url))
        assert "ca " in str(failure(notice(), hook.url, ca=str(certs / "none.crt")))
    assert len(hook.received) == 1


def test_one_sender_delivers_many_notices() -> None:
    async def run() -> None:
        sender = Webhook(Notifier(name="ops", kind="webhook", url=hook.url), PAGE)
        for _ in range(5):
            await sender.deliver(notice())
        await sender.close()

    with Hook() as hook:
        played(run())
    assert len(hook.received) == 5
