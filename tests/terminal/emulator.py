"""A terminal for tests: a program runs on a pty, and pyte keeps the screen that a person would see."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import pyte

from tests.daemon import PATIENCE_S, wait_for


class Terminal:
    """`command` on a terminal of its own. A context manager; at its end the program must have ended."""

    def __init__(self, command: Sequence[str], columns: int, lines: int, **environment: str) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self.output = b""
        self._primary, secondary = pty.openpty()
        self._secondary = secondary
        self._set_size(columns, lines)
        self.modes_before = termios.tcgetattr(secondary)
        self.process = subprocess.Popen(
            command,
            stdin=secondary,
            stdout=secondary,
            stderr=secondary,
            start_new_session=True,
            env=_without_size(os.environ) | {"TERM": "xterm-256color"} | environment,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while data := self._receive():
            with self._lock:
                self.output += data
                self._stream.feed(data)

    def _receive(self) -> bytes:
        try:
            return os.read(self._primary, 65536)
        except OSError:  # EIO: nobody has the other side any more
            return b""

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._secondary, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int, lines: int) -> None:
        with self._lock:
            self._screen.resize(lines, columns)
        self._set_size(columns, lines)
        self.process.send_signal(signal.SIGWINCH)

    def press(self, keys: bytes) -> None:
        os.write(self._primary, keys)

    def text(self) -> str:
        with self._lock:
            return "\n".join(self._screen.display)

    def modes(self) -> list[object]:
        """The terminal's settings now."""
        return termios.tcgetattr(self._secondary)

    def wait_for(self, text: str) -> str:
        """Wait until it is on the screen; what is there then."""

        def shown() -> str | None:
            if ended := self.process.poll() is not None:
                self._drain()
            found = self.text()
            assert text in found or not ended, f"it ended without {text!r}:\n{found}\n{self.output[-500:]!r}"
            return found if text in found else None

        return wait_for(shown, f"{text!r} on the screen")

    def _drain(self) -> None:
        """The program has ended: hear the rest of what it wrote. There are no `modes` from then on."""
        if self._reader.is_alive():
            os.close(self._secondary)
            self._reader.join(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            with suppress(ProcessLookupError):  # it has ended
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        self._drain()
        os.close(self._primary)


def _without_size(environment: Mapping[str, str]) -> dict[str, str]:
    """What is true of the terminal that the tests run on is not of this one."""
    return {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
