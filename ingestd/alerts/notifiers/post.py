"""POST over HTTP, as webhooks and Alertmanager need it.

No redirect is followed, since a signed body and its headers are for one server; no proxy of the environment is used; of
an answer no more is read than an error message needs. Messages name the server and never the path, which may be secret.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

import aiohttp

from ingestd.alerts.notifiers.sender import DeliveryError
from ingestd.config_alerts import Notifier, place
from ingestd.visible import visible

#: Of an answer that refuses.
_MOST_BYTES: Final = 2048
_SHOWN_CHARS: Final = 200

#: Statuses that are about the moment and not about what was sent (RFC 9110, RFC 6585).
_PASSING: Final = frozenset({401, 403, 404, 407, 408, 421, 425, 429})


class Poster:
    """Sends bodies to one URL. The session is made at the first, since that takes a running loop."""

    def __init__(self, notifier: Notifier) -> None:
        self._place = place(notifier.url)
        self._headers = notifier.headers
        self._ca = notifier.ca
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str] | None = None, *, quote: bool = False
    ) -> None:
        """Raises `DeliveryError`; with `quote`, in the server's own words."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=4, ssl=self._tls()),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "ingestd", "Content-Type": "application/json"},
            )
        every = {**self._headers, **(headers or {})}
        try:
            async with self._session.post(url, data=body, headers=every, allow_redirects=False) as answer:
                if 200 <= answer.status < 300:
                    return
                text = (await answer.content.read(_MOST_BYTES)).decode("utf-8", "replace") if quote else ""
        except aiohttp.ClientConnectorError as error:
            raise DeliveryError(f"no connection to {self._place}: {_reason(error)}") from None
        except aiohttp.ClientError as error:
            raise DeliveryError(f"{self._place}: {type(error).__name__}") from None
        said = f": {visible(' '.join(text.split()))[:_SHOWN_CHARS]}" if text.strip() else ""
        permanent = 300 <= answer.status < 500 and answer.status not in _PASSING
        raise DeliveryError(
            f"{self._place} answered {answer.status} {answer.reason}{said}", permanent=permanent
        )

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._ca or None)
        except OSError as error:
            raise DeliveryError(f"ca {self._ca}: {error.strerror or 'not a PEM file'}") from None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _reason(error: aiohttp.ClientConnectorError) -> str:
    cause = error.os_error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message
    return cause.strerror or type(cause).__name__
