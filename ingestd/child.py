"""A child process of the supervisor: forked, signalled, and what is known of its life.

Between the fork and the child's own handlers every signal that means something is blocked, so none is lost and none
finds the parent's handlers. The child's main ends in `os._exit`: nothing that the parent had set up runs twice.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Final, NoReturn

#: What the supervisor's loop waits for.
SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})

log = logging.getLogger("ingestd")


class Child:
    """One forked process and what is known of its life."""

    def __init__(self, name: str, main: Callable[[], int]) -> None:
        self.name = name
        self.main = main
        self.pid = 0
        self.started_s = 0.0
        self.short_lives = 0
        self.aborted_s: float | None = None
        self.due_s = 0.0  # not to be started before

    def fork(self) -> None:
        """Start it. In the child this never returns."""
        sys.stdout.flush()
        sys.stderr.flush()
        self.started_s, self.aborted_s = time.monotonic(), None
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until the child has handlers of its own
        self.pid = os.fork()
        if self.pid == 0:
            _be(self.main)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def send(self, number: signal.Signals) -> None:
        """Signal it, unless it was buried: its pid may be another's by then."""
        if self.pid:
            os.kill(self.pid, number)


def _be(main: Callable[[], int]) -> NoReturn:
    """Run a child's main and end the process with its code, past everything the parent had set up.

    `main` finds SIGTERM blocked, and unblocks it when it can stop. The other signals go to the whole group of a
    terminal; what they mean is for the supervisor to decide.
    """
    code = os.EX_SOFTWARE
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS - {signal.SIGTERM})
        code = main()
    except BaseException:
        log.critical("pid %d failed", os.getpid(), exc_info=True)
    finally:
        logging.shutdown()
        os._exit(code)


def ending(code: int) -> str:
    """How a process ended, for a log line."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
