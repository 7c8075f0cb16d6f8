"""The sidecar's event loop: uvloop's, but for names, which are looked up in threads of their own.

uvloop looks names up in the four threads of libuv, and goes there for each connection, even to a number. With a few
names of notifiers whose server does not answer, nobody would be told any more, and the process could not end: it waits
for those threads. Here a name has one thread while it is looked up, whoever asks; nobody waits for it longer than he
wants to, and it goes with the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from typing import Any

import uvloop

_Answer = list[tuple[Any, ...]]


class Loop(uvloop.Loop):
    """For who connects by `sock_connect`, as aiohttp does. `create_connection` with a name is uvloop's own."""

    def __init__(self) -> None:
        super().__init__()
        self._lookups: dict[tuple[Any, ...], asyncio.Future[_Answer]] = {}

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> _Answer:
        """As `socket.getaddrinfo`, which see for what is raised."""
        if is_number(host):
            return list(socket.getaddrinfo(host, port, family, type, proto, flags | socket.AI_NUMERICHOST))
        asked = (host, port, family, type, proto, flags)
        lookup = self._lookups.get(asked)
        if lookup is None:
            lookup = self._lookups[asked] = self.create_future()
            lookup.add_done_callback(lambda done: self._answered(asked, done))
            threading.Thread(target=self._look_up, args=(asked, lookup), daemon=True).start()
        return await asyncio.shield(lookup)

    def _answered(self, asked: tuple[Any, ...], lookup: asyncio.Future[_Answer]) -> None:
        del self._lookups[asked]
        if not lookup.cancelled():
            lookup.exception()  # perhaps nobody waits for it any more

    def _look_up(self, asked: tuple[Any, ...], lookup: asyncio.Future[_Answer]) -> None:
        """In the thread."""
        found: _Answer = []
        failure: OSError | UnicodeError | None = None
        try:
            found = list(socket.getaddrinfo(*asked))
        except (OSError, UnicodeError) as error:  # a name that cannot be encoded is one that there is not
            failure = error

        def answer() -> None:
            if lookup.done():
                return
            if failure is None:
                lookup.set_result(found)
            else:
                lookup.set_exception(failure)

        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.call_soon_threadsafe(answer)


def is_number(host: Any) -> bool:
    """Whether this is an IP address, or none at all, and no name."""
    if not host:
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
