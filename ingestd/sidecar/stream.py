"""Server-sent events: one text a second, rendered once, for any number of open pages.

A listener holds nothing but the number of the last text it was sent. Who reads slowly is given the newest text when it
is ready for one and never those that it missed, so the memory of a listener is what its socket buffers; who reads
nothing for `STALL_S` is let go. Nothing is rendered while nobody listens.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

#: More pages than that are told to ask /api/stats instead.
MOST_LISTENERS: Final = 500
STALL_S: Final = 30.0
#: What a browser waits before it connects again.
_RETRY_MS: Final = 1000
#: A text that is older is not worth sending to who has just come.
_FRESH_S: Final = 1.0


class Stream:
    """The newest text, and who waits for the next."""

    def __init__(self, render: Callable[[], bytes]) -> None:
        """`render` makes the data of an event: one line of UTF-8."""
        self._render = render
        self._number = 0
        self._event = b""
        self._rendered_s = -_FRESH_S
        self._next = asyncio.Event()
        self.listeners = 0

    @property
    def full(self) -> bool:
        """Whether one more listener would be too many."""
        return self.listeners >= MOST_LISTENERS

    def tick(self) -> None:
        """A second has gone by: make a new text, if anybody listens."""
        if self.listeners:
            self._make()

    def _make(self) -> None:
        self._number += 1
        self._event = b"event: snapshot\ndata: %b\n\n" % self._render()
        self._rendered_s = asyncio.get_running_loop().time()
        self._next.set()
        self._next = asyncio.Event()

    async def send(self, request: web.Request) -> web.StreamResponse:
        """Answer with events until the client leaves."""
        headers = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        self.listeners += 1
        try:
            await response.write(b"retry: %d\n\n" % _RETRY_MS)
            if asyncio.get_running_loop().time() - self._rendered_s >= _FRESH_S:
                self._make()
            await self._follow(response)
        except (ConnectionError, TimeoutError):
            pass  # it left, or has stopped reading: either way nobody is there to be told
        finally:
            self.listeners -= 1
        return response

    async def _follow(self, response: web.StreamResponse) -> None:
        sent = 0
        while True:
            if sent == self._number:
                await self._next.wait()
            sent = self._number
            async with asyncio.timeout(STALL_S):
                await response.write(self._event)
