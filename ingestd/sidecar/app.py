"""The HTTP surface: what is asked where, and what every answer carries.

    /              the dashboard            /healthz   does the daemon live?
    /metrics       Prometheus, or JSON      /readyz    does it take logs in?
    /api/stats     JSON                     /api/…     what the dashboard asks for (ingestd.sidecar.live)

Every answer is made from one fresh reading of the board. There is no writing request and no cookie; answers are never
cached. The paths of the schema registry (ingestd.registry) are mounted beside these.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from ingestd import registry
from ingestd.alerts import rest
from ingestd.alerts.alerts import Alerts
from ingestd.sidecar import alert_metrics, dashboard, exposition
from ingestd.sidecar.guard import Guard
from ingestd.sidecar.health import faults, judge_workers, supervisor_fault
from ingestd.sidecar.hosts import Hosts
from ingestd.sidecar.live import Live
from ingestd.sidecar.moment import read
from ingestd.sidecar.view import View
from ingestd.stats import Board

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def prefers_json(accept: str) -> bool:
    """Whether an Accept header (RFC 9110 section 12.5.1) asks for JSON at least as much as for plain text.

    JSON must be named: `*/*`, as curl and Prometheus send it, is answered in text.
    """
    quality = {"application/json": 0.0, "text/plain": 0.0}
    for entry in accept.lower().split(","):
        media, *parameters = (part.strip() for part in entry.split(";"))
        if media in quality:
            q = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1")
            try:
                quality[media] = float(q)
            except ValueError:
                quality[media] = 0.0
    return 0 < quality["application/json"] >= quality["text/plain"]


class Answers:
    """One method per path, over one board."""

    def __init__(self, board: Board, view: View, live: Live, guard: Guard, alerts: Alerts | None) -> None:
        self._alerts = alerts
        self._board = board
        self._guard = guard
        self._view = view
        self._live = live

    async def metrics(self, request: web.Request) -> web.Response:
        """The Prometheus text, or the report for who asks for JSON."""
        if prefers_json(",".join(request.headers.getall("Accept", []))):
            answer = await self._live.stats(request)
        else:
            moment = read(self._board)
            text = exposition.render(
                moment, judge_workers(moment, self._view), self._view, self._guard.failures
            )
            if self._alerts is not None:
                text += alert_metrics.render(self._alerts)
            answer = web.Response(body=text.encode(), headers={"Content-Type": exposition.CONTENT_TYPE})
        answer.headers["Vary"] = "Accept"
        return answer

    async def healthz(self, _: web.Request) -> web.Response:
        """200 while the supervisor turns, else 503: restart the daemon."""
        fault = supervisor_fault(read(self._board), self._view)
        if fault:
            return _json({"status": "failing", "reason": fault}, HTTPStatus.SERVICE_UNAVAILABLE)
        return _json({"status": "ok"})

    async def readyz(self, _: web.Request) -> web.Response:
        """200 while every worker takes logs in, else 503: send them elsewhere."""
        moment = read(self._board)
        found = faults(moment, judge_workers(moment, self._view), self._view)
        if found:
            return _json({"status": "not ready", "reasons": found}, HTTPStatus.SERVICE_UNAVAILABLE)
        return _json({"status": "ready"})


async def _dress(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


def _refusal(refused: web.HTTPException) -> web.Response:
    """A status in one short line of text, with the header that belongs to it (Allow)."""
    text = f"{refused.status} {refused.reason}; GET /, /metrics, /api/stats, /healthz or /readyz\n"
    response = web.Response(text=text, status=refused.status)
    if allow := refused.headers.get("Allow"):
        response.headers["Allow"] = allow
    return response


def make_app(board: Board, view: View, live: Live, alerts: Alerts | None = None) -> web.Application:
    """The application; `live` is somebody else's to tick, once a second, and `alerts` have a life of their own."""
    hosts = Hosts((view.hostname, *view.hosts))
    guard = Guard(view.tokens_file, view.registry.token if view.registry else "")

    @web.middleware
    async def meet(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host")
        if host is not None and host not in hosts and not guard.asks:
            text = "421 Misdirected Request: unknown host name; ask by IP address, or as localhost\n"
            return web.Response(text=text, status=HTTPStatus.MISDIRECTED_REQUEST)
        try:
            return await handler(request)
        except web.HTTPException as refused:
            return _refusal(refused)

    answers = Answers(board, view, live, guard, alerts)
    ask = guard.middleware((answers.healthz, answers.readyz))
    longest_bytes = view.registry.max_body_bytes if view.registry else 1
    app = web.Application(middlewares=[meet, ask], client_max_size=longest_bytes)
    dashboard.mount(app)
    app.router.add_get("/metrics", answers.metrics)
    app.router.add_get("/api/stats", live.stats)
    app.router.add_get("/api/events", live.events, allow_head=False)  # it would never end
    app.router.add_get("/api/snapshot", live.now)
    app.router.add_get("/api/history", live.past)
    app.router.add_get("/api/rejects", live.rejects)
    app.router.add_get("/api/config", live.config)
    app.router.add_get("/healthz", answers.healthz)
    app.router.add_get("/readyz", answers.readyz)
    if view.registry:
        registry.mount(app, view.registry)
    if alerts is not None:
        rest.mount(app, alerts)
    app.on_response_prepare.extend((_dress, guard.count))
    return app
