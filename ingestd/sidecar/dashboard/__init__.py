"""The dashboard at `/`: a page of static files that are part of the package, and ask nothing of any other machine.

    index.html   what there is to see         main.js         joins the rest
    style.css    how it looks                 connection.js   events, and what to do when they do not come
    icon.svg                                  charts.js       the past, drawn by uPlot (vendor/)
                                              panels.js       the present, in words and numbers
                                              alerts.js       alerts, silences, nodes
                                              records.js      records of strangers, as text
                                              settings.js     the configuration in force
                                              text.js         numbers and strings for people

The files are read once, at start. A browser keeps them and asks each time whether they are still the same (ETag).
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

_HERE: Final = Path(__file__).parent
_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


def mount(app: web.Application) -> None:
    """Serve the page at `/` and its files below `/dashboard/`."""
    app.router.add_get("/", _file(_HERE / "index.html"))
    for path in sorted(_HERE.rglob("*")):
        if path.suffix in _TYPES and path.name != "index.html":
            app.router.add_get(f"/dashboard/{path.relative_to(_HERE).as_posix()}", _file(path))


def _file(path: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    body, content_type = path.read_bytes(), _TYPES[path.suffix]
    etag = hashlib.sha256(body).hexdigest()[:32]

    async def answer(request: web.Request) -> web.StreamResponse:
        if any(known.value == etag for known in request.if_none_match or ()):
            response = web.Response(status=304)
        else:
            response = web.Response(body=body, content_type=content_type, charset="utf-8")
        response.etag = etag
        response.headers["Cache-Control"] = "no-cache"
        return response

    return answer
