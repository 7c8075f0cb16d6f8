"""The HTTP side of the daemon: one process beside the workers that reads their counters and answers.

It only reads: the board of `ingestd.stats` in shared memory, /proc, and the free space of the data folder. A
worker never waits for it and never notices whether it is there. `run` is the whole process, from the fork to
its end; aiohttp is imported in there, so that no other process of the daemon pays for it.
"""

import socket
from collections.abc import Callable

from ingestd.sidecar.families import SIDECAR_METRICS
from ingestd.sidecar.view import Setting, View
from ingestd.stats import Board

__all__ = ["SIDECAR_METRICS", "Setting", "View", "run"]


def run(
    board: Board,
    sock: socket.socket,
    view: View,
    serving: Callable[[], object] = lambda: None,
    hearing: socket.socket | None = None,
) -> None:
    """Serve HTTP on `sock` (bound, listening, TCP) until SIGTERM, SIGUSR1 or the death of the supervisor.

    `serving` is called when requests are answered; what workers observe comes on `hearing`. To be called in a forked
    child; `sock` is closed in this process only. SIGINT and SIGHUP are ignored: what they mean is for the supervisor to
    decide. A SIGTERM before serving has begun ends the process with status 0.
    """
    from ingestd.sidecar.process import serve, settle_signals

    settle_signals()
    serve(board, sock, view, serving, hearing)
