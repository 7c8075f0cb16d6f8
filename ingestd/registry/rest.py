"""The registry over HTTP: routes, who may write, status codes, and the thread that does the work.

One thread answers, one request after the other: the store belongs to it, and a schema that takes long to compare holds
up other schemas and no scrape. What changes anything needs the token, if there is one. A body must say that it is
JSON: what a web page elsewhere can make a browser send without asking us first is none of the types taken here.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec
from aiohttp import web

from ingestd.registry import Settings
from ingestd.registry.errors import ApiError
from ingestd.registry.operations import Operations
from ingestd.registry.questions import QUESTIONS, Question, Request, answer
from ingestd.registry.store import Store
from ingestd.tokens import same_secret, shown_secret

CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"

_BODY_TYPES: Final = frozenset(
    {
        CONTENT_TYPE,
        "application/vnd.schemaregistry+json",
        "application/json",
        "application/octet-stream",
    }
)
_PREFIXES: Final = frozenset(question.path.split("/")[1] for question in QUESTIONS)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger("ingestd.registry")


def mount(app: web.Application, settings: Settings) -> None:
    """Add the registry's paths to `app`, and its thread to the app's life."""
    registry = _Registry(settings)
    app.middlewares.append(_speak)
    app.cleanup_ctx.append(registry.live)
    for question in QUESTIONS:
        app.router.add_route(question.method, question.path, registry.handler(question))


class _Registry:
    """The registry as one application serves it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store: Store | None = None
        self._thread = ThreadPoolExecutor(1, "registry")

    async def live(self, _: web.Application) -> AsyncIterator[None]:
        """From the application's start to its end."""
        yield
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()

    def handler(self, question: Question) -> Handler:
        """What the router calls."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if question.writes:
                self._authorize(request)
            if question.method in ("POST", "PUT"):
                _expect_json(request)
            asked = Request(request.match_info, request.query, await request.read())
            loop = asyncio.get_running_loop()
            return _respond(await loop.run_in_executor(self._thread, self._answer, question, asked))

        return handle

    def _answer(self, question: Question, request: Request) -> bytes:
        """In the thread. The store is opened when first asked for, so that a bad one costs the registry alone."""
        try:
            if self._store is None:
                self._store = Store(self._settings.path)
            return answer(question, Operations(self._store), request)
        except sqlite3.Error as error:
            log.error("%s: %s", self._settings.path, error)
            raise ApiError(50001, f"Error in the backend data store: {error}") from error

    def _authorize(self, request: web.Request) -> None:
        """Let pass who shows the token."""
        if not self._settings.token:
            return
        given = shown_secret(request.headers.get("Authorization", ""))
        if not same_secret(given, self._settings.token):
            raise ApiError(
                401, "Writing needs the token of [registry] token, as Bearer or as a Basic password"
            )


def _expect_json(request: web.Request) -> None:
    if request.content_type not in _BODY_TYPES or "Content-Type" not in request.headers:
        raise ApiError(
            415, f"HTTP 415 Unsupported Media Type: send the body with Content-Type: {CONTENT_TYPE}"
        )


def _respond(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type=CONTENT_TYPE)


@web.middleware
async def _speak(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn everything that goes wrong on the registry's paths into an error of the API."""
    headers = {}
    try:
        return await handler(request)
    except ApiError as error:
        refused = error
        if error.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="schema registry"'
    except web.HTTPException as error:
        if request.path.split("/")[1] not in _PREFIXES:
            raise
        refused = ApiError(error.status, f"HTTP {error.status} {error.reason}")
        if allow := error.headers.get("Allow"):
            headers["Allow"] = allow
    body = msgspec.json.encode({"error_code": refused.code, "message": str(refused)})
    response = _respond(body, refused.status)
    response.headers.update(headers)
    return response
