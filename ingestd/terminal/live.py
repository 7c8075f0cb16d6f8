"""The screen of `ingestd top`: draws frames on a terminal, hears keys, and leaves the terminal as it was."""

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
from typing import Final

from rich.console import Console, ConsoleDimensions
from rich.live import Live
from rich.text import Text

from ingestd.terminal.screen import draw
from ingestd.terminal.sheet import ASCII, UNICODE
from ingestd.terminal.watch import Reading, Watch

#: How long a new answer or a new size of the window may wait to be drawn.
LOOK_S: Final = 0.2

#: A height that no frame reaches.
_WHOLE: Final = 10_000


def console_of_stdout() -> Console:
    """A console that takes text as it is, and shows something in the place of what its encoding lacks."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return Console(highlight=False, emoji=False, markup=False)


def can_draw(console: Console) -> bool:
    """Whether this is a terminal whose cursor can be moved."""
    return console.is_terminal and not console.is_dumb_terminal


def show_once(console: Console, reading: Reading) -> None:
    """Print one frame of all panels."""
    console.print(_frame(console, reading, console.width, _WHOLE, ""))


def show(console: Console, watch: Watch) -> None:
    """Draw what `watch` says until `q` is pressed. KeyboardInterrupt and SIGTERM end it too."""
    with (
        _keys() as pressed,
        Live(
            console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        ) as live,
    ):
        _draw_until_quit(watch, console, live, pressed)


def _draw_until_quit(watch: Watch, console: Console, live: Live, pressed: Callable[[float], str]) -> None:
    """Draw what is new, a new size of the window too, and at least each second: a silence is timed."""
    drawn: object = None
    while watch.is_alive:
        # As it is now: rich would believe COLUMNS and LINES, which a shell may have exported long ago.
        reading, size, now_s = watch.reading, os.get_terminal_size(sys.stdout.fileno()), time.time()
        if drawn != (drawn := (reading.number, size, int(now_s))):
            console.size = ConsoleDimensions(size.columns, size.lines)
            live.update(_frame(console, reading, size.columns, size.lines, "q quits"), refresh=True)
        if pressed(LOOK_S) in ("q", "Q"):
            return
    raise RuntimeError("what asks the daemon has ended")


def _frame(console: Console, reading: Reading, width: int, height: int, hint: str) -> Text:
    glyphs = UNICODE if console.encoding.startswith("utf") else ASCII
    lines = draw(reading, width, height, glyphs, time.time(), hint)
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
