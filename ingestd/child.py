"""A child process of the supervisor: forked, signalled, and what is known of its life.

Between the fork and the child's own handlers every signal that means something is blocked, so none is lost and none
finds the parent's handlers. The child's main ends in `os._exit`: nothing that the parent had set up runs twice.
"""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Final, NoReturn

from ingestd import journal

#: What the supervisor's loop waits for.
SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})

#: What the supervisor tells a child by: to stop, to retire, to take new certificates.
ORDERS: Final = frozenset({signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2})

_PR_SET_PDEATHSIG: Final = 1  # Linux, prctl(2)

#: A child that lived less than this died young; so many in a row and it cannot start.
YOUNG_S: Final = 2.0

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
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS | ORDERS)  # until the child has handlers of its own
        self.pid = os.fork()
        if self.pid == 0:
            self.introduce()
            _be(self.main)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS | ORDERS)

    def introduce(self) -> None:
        """In the child: the name that it has in the log."""
        journal.be(self.name)

    def ended(self) -> int | None:
        """Its exit code if it has ended since the last time this was asked; it is then buried."""
        if not self.pid:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    @property
    def young(self) -> bool:
        """Whether it has not lived long enough to count as having started well."""
        return time.monotonic() - self.started_s < YOUNG_S

    def send(self, number: signal.Signals) -> None:
        """Signal it, unless it was buried: its pid may be another's by then."""
        if self.pid:
            os.kill(self.pid, number)


def _be(main: Callable[[], int]) -> NoReturn:
    """Run a child's main and end the process with its code, past everything the parent had set up.

    `main` finds `ORDERS` blocked, and unblocks them when it can follow. The other signals go to the whole group of a
    terminal; what they mean is for the supervisor to decide.
    """
    code = os.EX_SOFTWARE
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS - ORDERS)
        code = main()
    except BaseException:
        log.critical("pid %d failed", os.getpid(), exc_info=True)
    finally:
        logging.shutdown()
        os._exit(code)


def ending(code: int) -> str:
    """How a process ended, for a log line."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def settle_in(supervisor_pid: int) -> None:
    """What a child that works for the supervisor does first."""
    die_with_parent(supervisor_pid)
    faulthandler.enable()
    threading.excepthook = _end_with_the_thread


def die_with_parent(parent_pid: int) -> None:
    """Be told to stop (SIGTERM) when the parent dies, however it dies. Raises `OSError`."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    if os.getppid() != parent_pid:  # it died before the call
        os.kill(os.getpid(), signal.SIGTERM)


def _end_with_the_thread(args: threading.ExceptHookArgs) -> None:
    """A worker without its writer is of no use: print the bug and end, so that the supervisor replaces it."""
    log.critical("thread %s failed", args.thread, exc_info=args.exc_value)
    os._exit(os.EX_SOFTWARE)
