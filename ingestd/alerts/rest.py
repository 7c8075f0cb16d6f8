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

from collections.abc import Awaitable, Callable
from http import HTTPStatus

import msgspec
from aiohttp import web

from ingestd.alerts import nodes, silences
from ingestd.alerts.alerts import Alerts
from ingestd.alerts.asking import (
    RefusedError,
    bad,
    body_of,
    check_site,
    duration_of,
    limit_of,
    near,
    one_of,
    query,
    time_of,
)
from ingestd.alerts.engine import Engine
from ingestd.alerts.silences import SilenceError
from ingestd.alerts.view import AlertView, NodeCounts, NodeView, NotifierView, RuleView, SilenceView, rfc3339


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
        except RefusedError as refused:
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
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE, "alerts are being taken over; ask again in a second"
            )
        return self._alerts.engine

    async def alerts(self, request: web.Request) -> web.Response:
        """Alerts, those that are over, and how each rule stands."""
        asked = query(request, ("state", "rule", "limit"))
        state = one_of(asked, "state", ("firing", "pending", "resolved"))
        limit = limit_of(asked)
        engine, now_s = self._engine(), self._alerts.clock()
        rule = asked.get("rule")
        if rule is not None and rule not in engine.rules:
            raise bad(f"rule: there is no rule {rule[:80]!r}; {near(rule, engine.rules)}")
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
        asked = query(request, ("state", "service", "limit"))
        state = one_of(asked, "state", ("ok", "late", "failed"))
        limit = limit_of(asked)
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
        query(request, ())
        now_s = self._alerts.clock()
        found = sorted(self._engine().silences, key=lambda silence: silence.until_s, reverse=True)
        return _json(SilencesAnswer([silences.view(silence, now_s) for silence in found]))

    async def silence(self, request: web.Request) -> web.Response:
        """A new one."""
        query(request, ())
        check_site(request)
        wish = await body_of(request, _Wish)
        now_s = self._alerts.clock()
        starts_s = time_of(wish.starts, "starts") if wish.starts else now_s
        if bool(wish.until) == bool(wish.duration):
            raise bad('give either "until", a time, or "duration", such as "2h"')
        until_s = time_of(wish.until, "until") if wish.until else starts_s + duration_of(wish.duration)
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
            raise bad(f"a silence {error}") from None
        self._alerts.wake()
        return _json(silences.view(made, now_s), HTTPStatus.CREATED)

    async def unsilence(self, request: web.Request) -> web.Response:
        """End one."""
        query(request, ())
        check_site(request)
        id_, now_s = request.match_info["id"], self._alerts.clock()
        engine = self._engine()
        if not engine.silences.end(id_, now_s):
            raise RefusedError(HTTPStatus.NOT_FOUND, f"there is no silence {id_[:80]!r} that has not ended")
        self._alerts.wake()
        return _json(next(silences.view(each, now_s) for each in engine.silences if each.id == id_))
