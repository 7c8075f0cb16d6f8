"""E-mail over SMTP (RFC 5321), with STARTTLS, TLS from the start, or neither, and a login where one is configured.

A mail is plain text. What came out of records is in its body only, and made visible: no header can be forged with it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Final

import aiosmtplib

from ingestd.alerts.notices import MOST_ALERTS, Notice
from ingestd.alerts.notifiers.sender import DeliveryError
from ingestd.alerts.view import AlertView
from ingestd.config_alerts import Notifier
from ingestd.visible import visible

_SUBJECT_CHARS: Final = 150


class Mail:
    """One SMTP server, and whom it is to reach. Each notice is a connection: there are few."""

    def __init__(self, notifier: Notifier, url: str) -> None:
        self._notifier = notifier
        self._url = url
        host, _, port = notifier.server.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)

    async def deliver(self, notice: Notice) -> None:
        given = self._notifier
        tls = given.security == "tls"
        context = None if given.security == "none" else self._tls()
        sock = await _connected(self._host, self._port)
        try:
            await aiosmtplib.send(
                self._message(notice),
                hostname=self._host,
                port=None,
                sock=sock,
                username=given.username or None,
                password=given.password or None,
                use_tls=tls,
                start_tls=given.security == "starttls",
                tls_context=context,
                timeout=given.timeout,
            )
        except aiosmtplib.SMTPAuthenticationError as error:
            raise DeliveryError(f"{given.server} does not take the login: {error.code}") from None
        except aiosmtplib.SMTPResponseException as error:
            said = f"{given.server} answered {error.code} {visible(error.message)[:200]}"
            raise DeliveryError(said, permanent=500 <= error.code < 600) from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = sorted({str(each.code) for each in error.recipients})
            permanent = all(500 <= each.code < 600 for each in error.recipients)
            raise DeliveryError(
                f"{given.server} refused every recipient: {', '.join(codes)}", permanent=permanent
            ) from None
        except aiosmtplib.SMTPException as error:
            raise DeliveryError(f"{given.server}: {_reason(error)}") from None

    async def close(self) -> None:
        """Nothing is open between two mails."""

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._notifier.ca or None)
        except OSError as error:
            raise DeliveryError(f"ca {self._notifier.ca}: {error.strerror or 'not a PEM file'}") from None

    def _message(self, notice: Notice) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"] = self._notifier.sender
        message["To"] = ", ".join(self._notifier.recipients)
        message["Subject"] = visible(notice.headline)[:_SUBJECT_CHARS]
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(notice.id, domain=socket.gethostname())
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine is to answer
        message.set_content(text(notice, self._url))
        return message


async def _connected(host: str, port: int) -> socket.socket:
    """A connection to the first address of the host that takes one. Raises `DeliveryError`.

    Made here, since the sidecar's loop looks names up in a way that holds nobody up.
    """
    loop = asyncio.get_running_loop()
    why = "it has no address"
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        found, why = [], getattr(error, "strerror", None) or "no such name"
    for family, kind, proto, _, address in found:
        sock = socket.socket(family, kind, proto)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            why = error.strerror or type(error).__name__
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise DeliveryError(f"no connection to {host}:{port}: {why}")


def text(notice: Notice, url: str) -> str:
    """The notice for people."""
    lines = [visible(notice.headline), ""]
    alerts = (*notice.firing, *notice.resolved)
    for alert in alerts[:MOST_ALERTS]:
        lines += [*_lines(alert), ""]
    if len(alerts) > MOST_ALERTS:
        lines += [f"and {len(alerts) - MOST_ALERTS} more", ""]
    return "\n".join([*lines, url, ""])


def _lines(alert: AlertView) -> list[str]:
    state = f"over since {alert.resolved_at}" if alert.resolved_at else f"fires since {alert.fired_at}"
    labels = ", ".join(f"{name}={visible(value)}" for name, value in alert.labels.items())
    lines = [f"{alert.rule}: {visible(alert.summary)}", f"  {state}", f"  {labels}"]
    if alert.sample:
        lines.append(f"  {visible(alert.sample)}")
    return lines


def _reason(error: aiosmtplib.SMTPException) -> str:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return visible(str(error))[:200] or type(error).__name__
