"""The ports of the daemon over its starts and reloads: sockets that it binds, or that the service manager passed.

What was passed takes the place of what the configuration says, as long as the daemon runs: the manager holds it, so it
could not be given up. Where the manager's are fewer than the workers, further ones are bound to the same port if the
kernel lets them join, which it does for sockets of the same user; else workers share.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ingestd.activation import Passed
from ingestd.config import Config
from ingestd.errors import StartError
from ingestd.net.sockets import Address, bind_http, more_like, shown
from ingestd.shared import Shared

Sockets = Sequence[socket.socket]

log: Final = logging.getLogger("ingestd")


def first(
    passed: Sockets, key: str, address: Address, workers: int, bind: Callable[[], list[socket.socket]]
) -> list[socket.socket]:
    """Those that a first generation listens on for `key`: what was passed, else what `bind` makes."""
    if not passed:
        return bind()
    _compare(passed, key, address)
    sockets = list(passed)
    sockets += _joining(sockets, workers, may_share=True)
    return sockets


def following(
    held: Iterable[socket.socket],
    workers: int,
    *,
    passed: bool,
    moved: bool,
    bind: Callable[[], list[socket.socket]],
    undo: contextlib.ExitStack,
) -> list[socket.socket]:
    """Those of the next generation, where this one has `held`; `moved`: the configuration names another address.

    `undo` is told to close what was made. Raises `StartError`.
    """
    if moved and not passed:
        made = bind()
        undo.callback(close, made)
        return made
    sockets = list(dict.fromkeys(held))  # each once: workers may share
    more = _joining(sockets, workers, may_share=passed)
    undo.callback(close, more)
    return sockets + more


def first_http(config: Config, passed: Passed) -> socket.socket:
    """The sidecar's socket. Raises `StartError`."""
    address = Address(config.http.address, config.http.port)
    if not passed.http:
        return bind_http(address)
    (sock,) = passed.http
    _compare(passed.http, "http", address)
    _refuse_strangers(sock, config)
    sock.setblocking(False)
    return sock


def following_http(sock: socket.socket, before: Shared, config: Config) -> socket.socket:
    """The sidecar's socket under `config`: the same, unless its address changed. Raises `StartError`."""
    was, now = before.config.http, config.http
    if "http" in before.passed:
        _refuse_strangers(sock, config)
        return sock
    if (was.address, was.port) == (now.address, now.port):
        return sock
    return bind_http(Address(now.address, now.port))


def close(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _joining(sockets: Sockets, workers: int, *, may_share: bool) -> list[socket.socket]:
    """Further ones on the port of `sockets`, so that each worker has one. Raises `StartError`."""
    if len(sockets) >= workers:
        return []
    try:
        return more_like(sockets[0], workers - len(sockets))
    except StartError:
        if may_share:
            return []
        raise


def _compare(passed: Sockets, key: str, configured: Address) -> None:
    """Say so where the manager's address is not that of the configuration."""
    for name in sorted({shown(sock) for sock in passed if sock.getsockname()[:2] != configured}):
        log.warning(
            "systemd passes %s for %s: address and port of the configuration have no effect", name, key
        )


def _refuse_strangers(http: socket.socket, config: Config) -> None:
    """What config.py asks of `http.address`, asked of a socket that was passed. Raises `StartError`."""
    is_open = not config.http.tokens_file and not config.http.allow_anonymous
    if is_open and not ipaddress.ip_address(http.getsockname()[0]).is_loopback:
        raise StartError(
            f"systemd passes {shown(http)} for http, where other machines would be answered without a token; set "
            "http.tokens_file (`ingestd token` makes tokens), or http.allow_anonymous = true where something else "
            "keeps strangers away, or another address in the socket unit"
        )
