"""The life of the sidecar process: signals, the loop, the second hand, the end.

It ends on SIGTERM, within half a second whatever clients do, and when its parent is no longer the supervisor. An
error in it ends it too, with a traceback, and the supervisor starts another on the same socket: it holds
nothing that would be lost.

SIGUSR1 means that a successor accepts from the same socket: it stops accepting, and hearing what workers observe, gives
clients that are connected a moment to have their request answered, and ends.
"""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from aiohttp import web, web_response
from aiohttp.http_exceptions import HttpProcessingError

from ingestd.alerts.alerts import Alerts
from ingestd.net.tls import server_context
from ingestd.observe.channel import receive
from ingestd.observe.messages import Observation
from ingestd.sidecar import alerting
from ingestd.sidecar.app import make_app
from ingestd.sidecar.live import Live
from ingestd.sidecar.loop import Loop
from ingestd.sidecar.moment import History
from ingestd.sidecar.view import View
from ingestd.stats import Board

HISTORY_S: Final = 60.0
_TICK_S: Final = 1.0
#: A client that was accepted has sent its request by then; kept-alive ones are told with their next answer.
_RETIRE_S: Final = 1.0
#: What a request in progress gets at the end; each is answered in about a millisecond.
_SHUTDOWN_S: Final = 0.5
#: Longer than the scrape interval of any Prometheus, so that it keeps its connection.
_KEEPALIVE_S: Final = 75.0

_log = logging.getLogger("ingestd.sidecar")


def _leave(_signal: int, _frame: FrameType | None) -> None:
    os._exit(0)


def settle_signals() -> None:
    """Put away what the supervisor had set up for itself, which a fork inherits."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, _leave)


def _is_ours(record: logging.LogRecord) -> bool:
    """A request that is not HTTP is its sender's mistake and no line in our log, let alone a traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


async def _tick(live: Live, view: View) -> None:
    """At each whole second: remember how the counters stand. Returns when the supervisor is gone."""
    while os.getppid() == view.supervisor_pid:
        live.tick()
        await asyncio.sleep(_TICK_S - time.time() % _TICK_S)


async def _retire(retire: asyncio.Event, site: web.SockSite) -> None:
    """Once told to, leave new connections to the successor, and stay for those that are open."""
    await retire.wait()
    await site.stop()
    await asyncio.sleep(_RETIRE_S)


async def _hear(
    hearing: socket.socket, listeners: Sequence[Callable[[Observation], object]], retire: asyncio.Event
) -> None:
    """Pass on what workers tell, until told to leave that to the successor; then wait to be cancelled."""
    receiving = asyncio.ensure_future(
        receive(hearing, lambda observation: [listen(observation) for listen in listeners])
    )
    retiring = asyncio.ensure_future(retire.wait())
    try:
        done, _ = await asyncio.wait({receiving, retiring}, return_when=asyncio.FIRST_COMPLETED)
        if receiving in done:
            receiving.result()
    finally:
        receiving.cancel()
        retiring.cancel()
    await asyncio.Event().wait()


async def _serve(
    board: Board,
    sock: socket.socket,
    view: View,
    serving: Callable[[], object],
    hearing: socket.socket | None,
) -> None:
    loop = asyncio.get_running_loop()
    stop, retire = asyncio.Event(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, retire.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    alerts = Alerts(view.alerts) if view.alerts else None
    live = Live(board, view, History(HISTORY_S), alerts)
    listeners: list[Callable[[Observation], object]] = [live.facts.hear]  # who is told what workers observe
    if alerts is not None:
        listeners.append(alerts.hear)
    app = make_app(board, view, live, alerts)

    async def keep_none_alive(_: web.Request, response: web.StreamResponse) -> None:
        if retire.is_set():
            response.force_close()
            response.headers["Connection"] = "close"

    app.on_response_prepare.append(keep_none_alive)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_log,
        keepalive_timeout=_KEEPALIVE_S,
        shutdown_timeout=_SHUTDOWN_S,
    )
    await runner.setup()
    tls = server_context(Path(view.cert), Path(view.key), section="http") if view.cert else None
    site = web.SockSite(runner, sock, ssl_context=tls)
    await site.start()
    serving()
    ways = [stop.wait(), _retire(retire, site), _tick(live, view)]
    if hearing is not None:
        ways.append(_hear(hearing, listeners, retire))
    if alerts is not None:
        ways.append(alerting.live(alerts, board, view, retire))
    ends = [asyncio.create_task(way) for way in ways]
    try:
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in ends:
            task.cancel()
        if alerts is not None:
            await alerts.close()
        await runner.cleanup()


def serve(
    board: Board,
    sock: socket.socket,
    view: View,
    serving: Callable[[], object],
    hearing: socket.socket | None,
) -> None:
    """Serve until told to stop; what `run` does once the signals are settled."""
    _log.addFilter(_is_ours)
    # The answer to what is not HTTP passes no hook, and aiohttp has no setting for the name and version it gives.
    vars(web_response)["SERVER_SOFTWARE"] = "ingestd"
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(_serve(board, sock, view, serving, hearing))
