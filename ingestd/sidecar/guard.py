"""Who may look: the middleware that asks for a token, and what it counts.

Where `http.tokens_file` is set, each request but the health checks shows one of its tokens, as `Bearer`, or as the
password of `Basic`, which browsers ask their readers for. The registry's own token opens as much: it may write, which
is more. Without tokens there is nothing to ask, and `Hosts` keeps web pages elsewhere out; with them no page elsewhere
has what is asked for, so that names of any kind are answered.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ingestd.ratelog import RateLog
from ingestd.sidecar.families import HTTP_AUTH_REASONS
from ingestd.tokens import TokenFile, find_token, same_secret, shown_secret

_CHALLENGE: Final = 'Basic realm="ingestd", charset="UTF-8"'

log = RateLog(logging.getLogger("ingestd.http"))


class Guard:
    """The tokens of one sidecar, and how often they were missed, by reason."""

    def __init__(self, tokens_file: str, registry_token: str) -> None:
        self._tokens = TokenFile(Path(tokens_file)) if tokens_file else None
        self._registry_token = registry_token
        self.failures: Counter[str] = Counter(dict.fromkeys(HTTP_AUTH_REASONS, 0))

    @property
    def asks(self) -> bool:
        """Whether a token is asked for."""
        return self._tokens is not None

    def admits(self, authorization: str) -> bool:
        """Whether this Authorization header shows a token that holds now."""
        if self._tokens is None:
            return True
        self._tokens.look()
        secret = shown_secret(authorization)
        known = find_token(self._tokens.tokens, secret) is not None
        return known | (bool(self._registry_token) and same_secret(secret, self._registry_token))

    def middleware(self, open_to_all: Collection[Handler]) -> Middleware:
        """What stands before the handlers; those of `open_to_all` need no token."""

        @web.middleware
        async def ask(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.match_info.handler in open_to_all or self.admits(
                request.headers.get("Authorization", "")
            ):
                return await handler(request)
            headers = {"WWW-Authenticate": _CHALLENGE}
            return web.Response(text="401 Unauthorized\n", status=401, headers=headers)

        return ask

    async def count(self, request: web.Request, response: web.StreamResponse) -> None:
        """Count an answer that refuses, whoever gave it; called with each answer."""
        if response.status == 401:
            reason = "unknown_token" if "Authorization" in request.headers else "no_token"
            self.failures[reason] += 1
            log.warning(reason, "refused a request from %s: %s", request.remote, reason.replace("_", " "))
