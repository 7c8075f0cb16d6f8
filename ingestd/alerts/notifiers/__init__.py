"""The ways to tell people. Each is a `Sender`: one attempt to deliver one notice; `Outbox` has the patience.

    webhook.py        POST of JSON, signed
    alertmanager.py   POST to a Prometheus Alertmanager
    mail.py           SMTP
    command.py        a program, JSON on its stdin
    log.py            the daemon's log

What they import is imported when one of them is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ingestd.alerts.notifiers.sender import DeliveryError, Sender
from ingestd.config_alerts import Notifier

__all__ = ["DEFAULT", "DeliveryError", "Sender", "make"]

#: Who tells where nobody is named.
DEFAULT: Final = Notifier(name="log", kind="log")


def make(notifier: Notifier, url: str) -> Sender:
    """The sender of a notifier; `url` is where the daemon's page is."""
    return _MAKERS[notifier.kind](notifier, url)


def _webhook(notifier: Notifier, url: str) -> Sender:
    from ingestd.alerts.notifiers.webhook import Webhook

    return Webhook(notifier, url)


def _alertmanager(notifier: Notifier, url: str) -> Sender:
    from ingestd.alerts.notifiers.alertmanager import Alertmanager

    return Alertmanager(notifier, url)


def _mail(notifier: Notifier, url: str) -> Sender:
    from ingestd.alerts.notifiers.mail import Mail

    return Mail(notifier, url)


def _command(notifier: Notifier, url: str) -> Sender:
    from ingestd.alerts.notifiers.command import Command

    return Command(notifier, url)


def _log(notifier: Notifier, url: str) -> Sender:
    from ingestd.alerts.notifiers.log import Log

    return Log()


_MAKERS: Final[dict[str, Callable[[Notifier, str], Sender]]] = {
    "webhook": _webhook,
    "alertmanager": _alertmanager,
    "email": _mail,
    "command": _command,
    "log": _log,
}
