"""A webhook: the notice as JSON, signed so that the receiver knows whom it is from and when it was made.

    POST <url>
    Content-Type: application/json
    Ingestd-Notice: <id; the same when a notice is tried again>
    Ingestd-Timestamp: <UNIX seconds of this attempt>
    Ingestd-Signature: sha256=<hex HMAC-SHA256(secret, timestamp + "." + body)>

The time is signed too: a receiver refuses what is older than a few minutes, so that nobody can repeat what he recorded.
"""

from __future__ import annotations

import hashlib
import hmac
import time

import msgspec

from ingestd.alerts.notices import Notice, document
from ingestd.alerts.notifiers.post import Poster
from ingestd.config_alerts import Notifier


class Webhook:
    """One URL that is told."""

    def __init__(self, notifier: Notifier, url: str) -> None:
        self._notifier = notifier
        self._url = url
        self._poster = Poster(notifier)

    async def deliver(self, notice: Notice) -> None:
        body = msgspec.json.encode(document(notice, self._notifier.name, self._url))
        headers = {"Ingestd-Notice": notice.id}
        if self._notifier.secret:
            timestamp = str(int(time.time()))
            headers["Ingestd-Timestamp"] = timestamp
            headers["Ingestd-Signature"] = signature(self._notifier.secret, timestamp, body)
        await self._poster.post(self._notifier.url, body, headers)

    async def close(self) -> None:
        await self._poster.close()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The value of Ingestd-Signature."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"
