"""What the dashboard asks for: events each second, the past, examples of refused records, the configuration.

    /api/events                      server-sent events: a `Snapshot` each second
    /api/snapshot                    one of now, for who does not stay: `ingestd top` and `status`
    /api/history?resolution=1s       the points of a ring, in columns; 1s, 10s or 1m
    /api/rejects?reason=…            recent refused records of one reason
    /api/config                      every key in force, secrets hidden

`Live` is also the second hand of the sidecar: each tick reads the board once, and history, rings and snapshot are made
of that reading.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from formats.record import REASONS
from ingestd.alerts.alerts import Alerts
from ingestd.observe.messages import Rejected
from ingestd.rings import RESOLUTIONS, Point, Resolution, known
from ingestd.sidecar.assessment import Assessment, Facets, assess
from ingestd.sidecar.disk import look
from ingestd.sidecar.facts import Facts, Source, Speed
from ingestd.sidecar.health import judge_workers
from ingestd.sidecar.moment import History, Moment, read
from ingestd.sidecar.recent import WINDOW_S, Recent, recent
from ingestd.sidecar.recorder import Recorder
from ingestd.sidecar.report import Report, make_report
from ingestd.sidecar.stream import MOST_LISTENERS, Stream
from ingestd.sidecar.view import View
from ingestd.sidecar.watched import Watched, watched
from ingestd.stats import Board

_MOST_SERVICES: Final = 12
_MOST_SOURCES: Final = 12
_RESOLUTIONS: Final = {one.name: one for one in RESOLUTIONS}


class Snapshot(msgspec.Struct):
    """How everything stands at one moment, for the dashboard; docs/metrics.md describes the report in it."""

    assessment: Assessment
    stats: Report
    """As at /api/stats, but for the records of each worker."""
    recent: Recent
    point: dict[str, float | None] | None
    """The newest point of the finest ring, and its `time`."""
    queue_limit_bytes: int
    services: list[Speed]
    services_estimated: bool
    sources: list[Source]
    examples: dict[str, int]
    """How many refused records there are to look at, by reason."""
    alerts: Watched | None
    """None where this sidecar has none."""


def _answer(value: object, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def _refused(reason: str) -> web.Response:
    return _answer({"error": reason}, HTTPStatus.BAD_REQUEST)


def _fault(request: web.Request, parameter: str, known: Iterable[str]) -> str:
    """What is wrong with a question that must have this one parameter with a known value; empty when nothing is."""
    given = request.query.getall(parameter, [])
    for name in request.query:
        if name != parameter:
            return f"{name[:80]!r} is no parameter here; there is {parameter}"
    if len(given) == 1 and given[0] in known:
        return ""
    said = "is missing" if not given else f"is {given[0][:80]!r}" if len(given) == 1 else "is given twice"
    return f"{parameter} {said}; it must be one of {', '.join(known)}"


def _point(end_s: int, point: Point) -> dict[str, float | None]:
    values = (known(value) for value in point)
    return {"time": end_s} | {
        name: None if value is None else round(value, 4)
        for name, value in zip(Point._fields, values, strict=True)
    }


class Live:
    """The present and the past of one board, for who watches it."""

    def __init__(self, board: Board, view: View, history: History, alerts: Alerts | None = None) -> None:
        self.history = history
        self._alerts = alerts
        self.facts = Facts()
        self._board = board
        self._view = view
        self._recorder = Recorder(board.rings)
        self._stream = Stream(lambda: msgspec.json.encode(self.snapshot()))
        self._past: dict[Resolution, tuple[int, bytes]] = {}
        self._settings = msgspec.json.encode({"settings": view.settings})

    def tick(self) -> None:
        """A second has gone by."""
        sums = read(self._board).sums
        now_s = int(time.time())
        self.history.add(sums)
        self._recorder.add(sums, now_s, look(self._view.data_dir, self._board.rings, now_s).free_bytes)
        self._stream.tick()

    def report(self, moment: Moment) -> Report:
        """The report of `moment`."""
        return make_report(
            moment,
            judge_workers(moment, self._view),
            self.history,
            self._view,
            self._board.samples.read(),
            look(self._view.data_dir, self._board.rings, int(time.time())),
        )

    def snapshot(self) -> Snapshot:
        """How everything stands now."""
        moment = read(self._board)
        report = self.report(moment)
        happened = recent(moment.sums, self.history.ago(moment.sums, WINDOW_S))
        now_s = int(time.time())
        limit = self._view.queue_limit_bytes * len(moment.workers)
        newest = self._board.rings.last(RESOLUTIONS[0], now_s, 2)
        disk = look(self._view.data_dir, self._board.rings, now_s)
        for worker in report.workers:
            worker.records = {}
        watching = watched(self._alerts) if self._alerts else None
        firing = watching.firing if watching else []
        return Snapshot(
            assess(Facets(report, happened, disk, limit, firing)),
            report,
            happened,
            _point(*newest[-1]) if newest else None,
            limit,
            self.facts.services(_MOST_SERVICES),
            self.facts.estimated,
            self.facts.sources(_MOST_SOURCES, moment.numbers),
            self.facts.example_counts(),
            watching,
        )

    async def stats(self, _: web.Request) -> web.Response:
        """The report of now."""
        return _answer(self.report(read(self._board)))

    async def now(self, _: web.Request) -> web.Response:
        """The snapshot of now."""
        return _answer(self.snapshot())

    async def events(self, request: web.Request) -> web.StreamResponse:
        """A snapshot now and then each second, until the client leaves."""
        if self._stream.full:
            error = f"{MOST_LISTENERS} dashboards are open already; close some, or ask /api/stats"
            return _answer({"error": error}, HTTPStatus.SERVICE_UNAVAILABLE)
        return await self._stream.send(request)

    async def past(self, request: web.Request) -> web.Response:
        """The points of one ring, oldest first: `time` and each field of a point as a list."""
        if fault := _fault(request, "resolution", _RESOLUTIONS):
            return _refused(fault)
        resolution = _RESOLUTIONS[request.query["resolution"]]
        now_s = int(time.time())
        made_s, body = self._past.get(resolution, (0, b""))
        if made_s != now_s:
            body = msgspec.json.encode(self._columns(resolution, now_s))
            self._past[resolution] = now_s, body
        return web.Response(body=body, content_type="application/json")

    def _columns(self, resolution: Resolution, now_s: int) -> dict[str, Any]:
        points = [_point(*one) for one in self._board.rings.last(resolution, now_s)]
        return {
            "resolution": resolution.name,
            "step_seconds": resolution.step_s,
            "span_seconds": resolution.span_s,
        } | {name: [point[name] for point in points] for name in ("time", *Point._fields)}

    async def rejects(self, request: web.Request) -> web.Response:
        """Recent refused records of one reason, newest first."""
        if fault := _fault(request, "reason", REASONS):
            return _refused(fault)
        reason = request.query["reason"]
        return _answer({"reason": reason, "examples": [_example(one) for one in self.facts.examples(reason)]})

    async def config(self, _: web.Request) -> web.Response:
        """The configuration in force."""
        return web.Response(body=self._settings, content_type="application/json")


def _example(rejected: Rejected) -> dict[str, str]:
    return {name: getattr(rejected, name) for name in Rejected.__struct_fields__}
