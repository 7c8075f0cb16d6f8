"""Reading what is asked over HTTP: parameters, bodies, and whether a page of another site is behind it.

Whatever is wrong is raised as a `RefusedError`, which says what is allowed.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from ingestd.units import parse_duration

#: The most that a limit may be, and what it is where none is given.
MOST: Final = 10_000
_USUALLY: Final = 1000

_BODY_BYTES: Final = 16 << 10

_T = TypeVar("_T")


class RefusedError(Exception):
    """A request that is answered with a status and a reason."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def bad(reason: str) -> RefusedError:
    """A question that is wrong."""
    return RefusedError(HTTPStatus.BAD_REQUEST, reason)


def query(request: web.Request, known: tuple[str, ...]) -> Mapping[str, str]:
    """The parameters, each once and none that is not known."""
    for name in request.query:
        if name not in known:
            raise bad(f"{name[:80]}: unknown parameter; {near(name, known)}")
        if len(request.query.getall(name)) > 1:
            raise bad(f"{name}: is given twice")
    return request.query


def one_of(asked: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    """A parameter that has one of these values, None where it is not given."""
    value = asked.get(name)
    if value is not None and value not in known:
        raise bad(f"{name}: must be one of {', '.join(known)}, not {value[:80]!r}")
    return value


def limit_of(asked: Mapping[str, str]) -> int:
    """How many are wanted at most."""
    text = asked.get("limit", str(_USUALLY))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= MOST):
        raise bad(f"limit: must be a whole number from 1 to {MOST}, not {text[:80]!r}")
    return int(text)


def near(word: str, known: Collection[str]) -> str:
    """What was meant, or could have been."""
    closest = difflib.get_close_matches(word, known, n=1)
    if closest:
        return f"did you mean {closest[0]}?"
    return f"known are {', '.join(sorted(known)[:50])}" if known else "there is none"


def check_site(request: web.Request) -> None:
    """Refuse what a page elsewhere has a browser send."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    elsewhere = origin is not None and urlsplit(origin).netloc.lower() != request.host.lower()
    if elsewhere or site not in ("same-origin", "none"):
        raise RefusedError(HTTPStatus.FORBIDDEN, "a page of another site may not write here")


async def body_of(request: web.Request, kind: type[_T]) -> _T:
    """The body, which must be declared as JSON, be short, and be of this kind."""
    if request.content_type != "application/json" or "Content-Type" not in request.headers:
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body with Content-Type: application/json"
        )
    content = await request.content.read(_BODY_BYTES + 1)
    while len(content) <= _BODY_BYTES and not request.content.at_eof():
        content += await request.content.read(_BODY_BYTES + 1 - len(content))
    if len(content) > _BODY_BYTES:
        raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {_BODY_BYTES} bytes")
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise bad(f"the body: {error}") from None


def time_of(text: str, name: str) -> float:
    """UNIX seconds of a time with its offset."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise bad(f"{name}: must be a time such as 2026-11-20T12:00:00Z, not {text[:80]!r}")
    return time.timestamp()


def duration_of(text: str) -> float:
    """Seconds of a duration with its unit."""
    try:
        return parse_duration(text)
    except ValueError:
        raise bad(f"duration: must be a duration such as 2h or 30m, not {text[:80]!r}") from None
