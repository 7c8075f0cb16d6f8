"""Alerts over HTTP: what there is, and silences, which are all that can be written.

    GET    /api/alerts     ?state=firing|pending|resolved &rule=NAME &limit=N
    GET    /api/nodes      ?state=ok|late|failed &service=NAME &limit=N
    GET    /api/silences
    POST   /api/silences   {"matchers": {"rule": "disk-*"}, "duration": "2h", "author": "ann", "comment": "new disk"}
    DELETE /api/silences/ID

What is wrong with a question is told in JSON, `{"error": …}`. A page elsewhere could have its reader's browser write
here: a browser says where a request comes from (Origin, Sec-Fetch-Site), and a body must be declared as JSON, which it
sends to no stranger without asking first.
"""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from ingestd.alerts import nodes, silences
from ingestd.alerts.alerts import Alerts
from ingestd.alerts.engine import Engine
from ingestd.alerts.silences import SilenceError
from ingestd.alerts.view import AlertView, NodeCounts, NodeView, NotifierView, RuleView, SilenceView, rfc3339
from ingestd.units import parse_duration

MOST: Final = 10_000
_USUALLY: Final = 1000
_BODY_BYTES: Final = 16 << 10

_T = TypeVar("_T")


class AlertsAnswer(msgspec.Struct):
    """The answer of /api/alerts."""

    time: str
    firing: int
    pending: int
    alerts: list[AlertView]
    """Those that fire, the severest first, then those that are pending."""
    history: list[AlertView]
    """Those that are over, the latest first."""
    rules: list[RuleView]
    notifiers: list[NotifierView]
    truncated: int
    """Alerts beyond the limit."""


class NodesAnswer(msgspec.Struct):
    """The answer of /api/nodes."""

    time: str
    counts: NodeCounts
    nodes: list[NodeView]
    """Those that failed first, then by name."""
    truncated: int


class SilencesAnswer(msgspec.Struct):
    """The answer of /api/silences."""

    silences: list[SilenceView]


class _Wish(msgspec.Struct, forbid_unknown_fields=True):
    """A silence as it is asked for: with an end, or with its length."""

    matchers: dict[str, str]
    author: str
    comment: str = ""
    duration: str = ""
    until: str = ""
    starts: str = ""


class _RefusedError(Exception):
    """A request that is answered with a status and a reason."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def mount(app: web.Application, alerts: Alerts) -> None:
    """Add the paths to `app`."""
    answers = _Answers(alerts)
    app.router.add_get("/api/alerts", _spoken(answers.alerts))
    app.router.add_get("/api/nodes", _spoken(answers.nodes))
    app.router.add_get("/api/silences", _spoken(answers.silences))
    app.router.add_post("/api/silences", _spoken(answers.silence))
    app.router.add_delete("/api/silences/{id}", _spoken(answers.unsilence))


def _spoken(
    answer: Callable[[web.Request], Awaitable[web.Response]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await answer(request)
        except _RefusedError as refused:
            return _json({"error": str(refused)}, refused.status)

    return handle


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


class _Answers:
    """One method for each question."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts
        self._builtin = alerts.settings.engine.builtin

    def _engine(self) -> Engine:
        if self._alerts.engine is None:
            raise _RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE, "alerts are being taken over; ask again in a second"
            )
        return self._alerts.engine

    async def alerts(self, request: web.Request) -> web.Response:
        """Alerts, those that are over, and how each rule stands."""
        asked = _query(request, ("state", "rule", "limit"))
        state = _one_of(asked, "state", ("firing", "pending", "resolved"))
        limit = _limit(asked)
        engine, now_s = self._engine(), self._alerts.clock()
        rule = asked.get("rule")
        if rule is not None and rule not in engine.rules:
            raise _bad(f"rule: there is no rule {rule[:80]!r}; {_near(rule, engine.rules)}")
        firing = [series for series in engine.firing() if rule in (None, series.rule)]
        pending = [each for each in engine.roster if each.state == "pending" and rule in (None, each.rule)]
        over = [alert for alert in reversed(engine.history) if rule in (None, alert.rule)]
        shown = [series for series in (*firing, *pending) if state in (None, series.state)]
        return _json(
            AlertsAnswer(
                time=rfc3339(now_s),
                firing=len(firing),
                pending=len(pending),
                alerts=[engine.show(series, now_s) for series in shown[:limit]],
                history=over[:limit] if state in (None, "resolved") else [],
                rules=[self._rule(engine, name) for name in engine.rules if rule in (None, name)],
                notifiers=[box.view() for box in self._alerts.outboxes],
                truncated=max(0, len(shown) - limit),
            )
        )

    def _rule(self, engine: Engine, name: str) -> RuleView:
        rule = engine.rules[name]
        states = [series.state for series in engine.roster.of(name).values()]
        evaluated_s = engine.evaluated_s.get(name)
        return RuleView(
            name=name,
            kind=rule.kind,
            severity=rule.severity,
            builtin=name in self._builtin,
            state="firing" if "firing" in states else "pending" if states else "inactive",
            alerts=len(states),
            evaluated_at=rfc3339(evaluated_s) if evaluated_s else None,
            notify=list(rule.notify) or [box.notifier.name for box in self._alerts.outboxes],
            dropped_series=engine.roster.dropped[name],
        )

    async def nodes(self, request: web.Request) -> web.Response:
        """The table of nodes."""
        asked = _query(request, ("state", "service", "limit"))
        state = _one_of(asked, "state", ("ok", "late", "failed"))
        limit = _limit(asked)
        service = asked.get("service")
        engine, now_s = self._engine(), self._alerts.clock()
        found = [
            node for node in engine.nodes if state in (None, node.state) and service in (None, node.service)
        ]
        order = {"failed": 0, "late": 1, "ok": 2}
        found.sort(key=lambda node: (order[node.state], node.node, node.service))
        shown = [nodes.view(node, now_s) for node in found[:limit]]
        return _json(NodesAnswer(rfc3339(now_s), engine.nodes.counts(), shown, max(0, len(found) - limit)))

    async def silences(self, request: web.Request) -> web.Response:
        """All silences, those that are over for a day as well."""
        _query(request, ())
        now_s = self._alerts.clock()
        found = sorted(self._engine().silences, key=lambda silence: silence.until_s, reverse=True)
        return _json(SilencesAnswer([silences.view(silence, now_s) for silence in found]))

    async def silence(self, request: web.Request) -> web.Response:
        """A new one."""
        _query(request, ())
        _same_site(request)
        wish = await _body(request, _Wish)
        now_s = self._alerts.clock()
        starts_s = _time(wish.starts, "starts") if wish.starts else now_s
        if bool(wish.until) == bool(wish.duration):
            raise _bad('give either "until", a time, or "duration", such as "2h"')
        until_s = _time(wish.until, "until") if wish.until else starts_s + _duration(wish.duration)
        try:
            made = self._engine().silences.add(
                wish.matchers,
                until_s,
                now_s,
                starts_s=starts_s,
                author=wish.author,
                comment=wish.comment,
            )
        except SilenceError as error:
            raise _bad(f"a silence {error}") from None
        self._alerts.wake()
        return _json(silences.view(made, now_s), HTTPStatus.CREATED)

    async def unsilence(self, request: web.Request) -> web.Response:
        """End one."""
        _query(request, ())
        _same_site(request)
        id_, now_s = request.match_info["id"], self._alerts.clock()
        engine = self._engine()
        if not engine.silences.end(id_, now_s):
            raise _RefusedError(HTTPStatus.NOT_FOUND, f"there is no silence {id_[:80]!r} that has not ended")
        self._alerts.wake()
        return _json(next(silences.view(each, now_s) for each in engine.silences if each.id == id_))


def _bad(reason: str) -> _RefusedError:
    return _RefusedError(HTTPStatus.BAD_REQUEST, reason)


def _query(request: web.Request, known: tuple[str, ...]) -> Mapping[str, str]:
    """The parameters, each once and none that is not known."""
    for name in request.query:
        if name not in known:
            raise _bad(f"{name[:80]}: unknown parameter; {_near(name, known)}")
        if len(request.query.getall(name)) > 1:
            raise _bad(f"{name}: is given twice")
    return request.query


def _one_of(asked: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    value = asked.get(name)
    if value is not None and value not in known:
        raise _bad(f"{name}: must be one of {', '.join(known)}, not {value[:80]!r}")
    return value


def _limit(asked: Mapping[str, str]) -> int:
    text = asked.get("limit", str(_USUALLY))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= MOST):
        raise _bad(f"limit: must be a whole number from 1 to {MOST}, not {text[:80]!r}")
    return int(text)


def _near(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"known are {', '.join(sorted(known)[:50])}" if known else "there is none"


def _same_site(request: web.Request) -> None:
    """Refuse what a page elsewhere has a browser send."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    elsewhere = origin is not None and urlsplit(origin).netloc.lower() != request.host.lower()
    if elsewhere or site not in ("same-origin", "none"):
        raise _RefusedError(HTTPStatus.FORBIDDEN, "a page of another site may not write here")


async def _body(request: web.Request, kind: type[_T]) -> _T:
    if request.content_type != "application/json" or "Content-Type" not in request.headers:
        raise _RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body with Content-Type: application/json"
        )
    content = await request.content.read(_BODY_BYTES + 1)
    while len(content) <= _BODY_BYTES and not request.content.at_eof():
        content += await request.content.read(_BODY_BYTES + 1 - len(content))
    if len(content) > _BODY_BYTES:
        raise _RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {_BODY_BYTES} bytes"
        )
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _bad(f"the body: {error}") from None


def _time(text: str, name: str) -> float:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise _bad(f"{name}: must be a time such as 2026-11-20T12:00:00Z, not {text[:80]!r}")
    return time.timestamp()


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError:
        raise _bad(f"duration: must be a duration such as 2h or 30m, not {text[:80]!r}") from None
