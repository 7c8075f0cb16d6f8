"""E-mail, against aiosmtpd."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd import smtp
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from ingestd.alerts.notices import Notice
from ingestd.alerts.notifiers import mail
from ingestd.alerts.notifiers.mail import Mail
from ingestd.alerts.notifiers.sender import DeliveryError
from ingestd.config_alerts import Notifier
from tests.alerts.made import alert_view, notice, played

PAGE = "http://logs.example.org:8080/"


class Mailbox:
    """What a server of aiosmtpd does with mails: keep them, or refuse them."""

    def __init__(self) -> None:
        self.kept: list[Envelope] = []
        self.answer = "250 OK"
        self.recipient_answer = "250 OK"

    async def handle_RCPT(  # noqa: N802 - called so by aiosmtpd
        self, server: smtp.SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server: smtp.SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.kept.append(envelope)
        return self.answer

    def message(self) -> EmailMessage:
        (envelope,) = self.kept
        assert isinstance(envelope.content, bytes)
        return email.message_from_bytes(envelope.content, policy=email.policy.default)


def check_login(server: smtp.SMTP, session: Session, envelope: Envelope, way: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    return AuthResult(success=(data.login, data.password) == (b"logs", b"31337"), handled=False)


@contextmanager
def serving(
    mailbox: Mailbox, certs: Path | None = None, *, starttls: bool = False, **given: Any
) -> Iterator[str]:
    """Where it listens, in a thread of its own."""
    context = None
    if certs is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certs / "server.crt", certs / "server.key")
    if starttls:
        given |= {"tls_context": context, "require_starttls": True}
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        loop.create_server(
            lambda: smtp.SMTP(mailbox, loop=loop, **given),
            "127.0.0.1",
            0,
            ssl=None if starttls else context,
        )
    )
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def deliver(told: Notice, server: str, **given: object) -> None:
    whole = {
        "name": "mail",
        "kind": "email",
        "server": server,
        "security": "none",
        "sender": "logs@example.org",
        "recipients": ("ops@example.org", "ann@example.org"),
        "timeout": 20.0,
    }
    played(delivered(told, Notifier(**whole | given)))  # type: ignore[arg-type]


async def delivered(told: Notice, notifier: Notifier) -> None:
    """Until the connection is closed, too: a loop that ends before the end of TLS says that it was left open."""
    made = []

    async def connected(host: str, port: int) -> socket.socket:
        made.append(await connect(host, port))
        return made[-1]

    connect = mail._connected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mail, "_connected", connected)
        await Mail(notifier, PAGE).deliver(told)
    while made[0].fileno() >= 0:
        await asyncio.sleep(0.001)


def failure(server: str, **given: object) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        deliver(notice(), server, **given)
    assert "31337" not in str(caught.value)
    return caught.value


def test_a_mail_says_what_fires_and_what_is_over() -> None:
    mailbox = Mailbox()
    with serving(mailbox) as server:
        deliver(notice(firing=("api", "web"), resolved=("db",)), server)
    message = mailbox.message()
    assert mailbox.kept[0].rcpt_tos == ["ops@example.org", "ann@example.org"]
    assert message["From"] == "logs@example.org"
    assert message["Subject"] == "[FIRING] errors: something is wrong with api (and 1 more)"
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_content()
    for said in ("something is wrong with web", "over since 2026-11-20T12:05:00", "service=db", PAGE):
        assert said in text


def test_what_records_say_forges_no_header_and_no_line() -> None:
    mailbox = Mailbox()
    evil = "x\r\nBcc: evil@example.org\r\n\r\n\x1b[2Jbody \u202eabc"
    with serving(mailbox) as server:
        alert = alert_view(summary=evil, sample=evil, labels={"service": evil})
        deliver(msgspec.structs.replace(notice(), firing=(alert,)), server)
    message = mailbox.message()
    assert message["Bcc"] is None
    assert mailbox.kept[0].rcpt_tos == ["ops@example.org", "ann@example.org"]
    text = message.get_content()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert not any(line.startswith("Bcc") for line in text.splitlines())


def test_starttls_and_login(certs: Path) -> None:
    mailbox = Mailbox()
    with serving(mailbox, certs, starttls=True, authenticator=check_login, auth_required=True) as server:
        secure = {"security": "starttls", "ca": str(certs / "ca.crt"), "username": "logs"}
        deliver(notice(), server, password="31337", **secure)
        assert "does not take the login" in str(failure(server, password="31337 wrong", **secure))
    assert len(mailbox.kept) == 1


def test_tls_from_the_start(certs: Path) -> None:
    mailbox = Mailbox()
    with serving(mailbox, certs) as server:
        deliver(notice(), server, security="tls", ca=str(certs / "ca.crt"))
        assert str(failure(server, security="tls"))
    assert len(mailbox.kept) == 1


def test_no_mail_goes_in_the_clear_where_tls_is_asked_for() -> None:
    mailbox = Mailbox()
    with serving(mailbox) as server:
        assert "STARTTLS" in str(failure(server, security="starttls"))
    assert mailbox.kept == []


def test_what_a_server_may_answer() -> None:
    mailbox = Mailbox()
    with serving(mailbox) as server:
        mailbox.answer = "451 later"
        error = failure(server)
        assert ("451 later" in str(error), error.permanent) == (True, False)
        mailbox.answer = "554 never"
        assert failure(server).permanent
        mailbox.recipient_answer = "550 who"
        error = failure(server)
        assert ("refused every recipient: 550" in str(error), error.permanent) == (True, True)


def test_nobody_there() -> None:
    with serving(Mailbox()) as server:
        pass
    error = failure(server)
    assert server in str(error)
    assert not error.permanent
