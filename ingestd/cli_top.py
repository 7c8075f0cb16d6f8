"""`ingestd top`: the dashboard's essentials, live on a terminal. `q` or Ctrl-C quits."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ingestd.ask import Daemon
from ingestd.cli_options import DEGRADED, INTERRUPTED, asking
from ingestd.terminal.screen import draw
from ingestd.terminal.sheet import ASCII, UNICODE
from ingestd.terminal.watch import Reading, Watch

ASK_S = 1.0

#: A height that no frame reaches.
_WHOLE = 10_000

#: How long a new answer or a new size of the window may wait to be drawn.
LOOK_S = 0.2


@click.command()
@asking
@click.option("--once", is_flag=True, help="Print one frame and end.")
def top(daemon: Daemon, once: bool) -> None:
    """Watch the running daemon: what comes in, what is wrong, its workers; q quits.

    A daemon that stops is waited for, and found again wherever it then listens.
    """
    console = Console(highlight=False, emoji=False, markup=False)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    watch = Watch(daemon, ASK_S)
    if once:
        reading = watch.look()
        if reading.trouble:
            raise reading.trouble
        console.print(_frame(console, reading, console.width, _WHOLE))
        sys.exit(0 if reading.snapshot and reading.snapshot.is_well else DEGRADED)
    if not console.is_terminal or console.is_dumb_terminal:
        raise click.UsageError(
            "there is no terminal to draw on; --once prints one frame, `ingestd status` a summary"
        )
    watch.start()
    try:
        with (
            _keys() as pressed,
            Live(
                console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
            ) as live,
        ):
            _draw_until_quit(watch, console, live, pressed)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        watch.stop()


def _draw_until_quit(watch: Watch, console: Console, live: Live, pressed: Callable[[float], str]) -> None:
    """Draw what is new, a new size of the window too, and at least each second: a silence is timed."""
    drawn: object = None
    while True:
        reading, size, now_s = watch.reading, console.size, time.time()
        if drawn != (drawn := (reading.number, size, int(now_s))):
            live.update(_frame(console, reading, size.width, size.height), refresh=True)
        if pressed(LOOK_S) in ("q", "Q"):
            return


def _frame(console: Console, reading: Reading, width: int, height: int) -> Text:
    glyphs = UNICODE if console.encoding.startswith("utf") else ASCII
    lines = draw(reading, width, height, glyphs, time.time(), "" if height == _WHOLE else "q quits")
    frame = Text("\n").join(lines)
    frame.no_wrap, frame.overflow = True, "crop"
    return frame


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Keys one by one, without their echo; what waits for one returns it, or nothing after so many seconds.

    Ctrl-Z is off: it would leave the shell on the screen of another program. SIGTERM ends as an exit does, so that the
    terminal is left as it was.
    """

    def end(_signal: int, _frame: object) -> None:
        sys.exit(128 + signal.SIGTERM)

    def pressed(wait_s: float) -> str:
        if not sys.stdin.isatty():
            time.sleep(wait_s)
            return ""
        ready, _, _ = select.select([sys.stdin], [], [], wait_s)
        return os.read(sys.stdin.fileno(), 1).decode("ascii", "replace") if ready else ""

    before = signal.signal(signal.SIGTERM, end)
    saved = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    try:
        if saved:
            tty.setcbreak(sys.stdin)
            changed = termios.tcgetattr(sys.stdin)
            changed[6][termios.VSUSP] = b"\0"
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, changed)
        yield pressed
    finally:
        if saved:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)
        signal.signal(signal.SIGTERM, before)
