"""A program that is run for each notice, with the notice as JSON on its stdin.

No shell is in between, so nothing in a record is ever a command. The program gets PATH, HOME and LANG of the daemon's
environment and nothing else of it, since secrets may stand there; a session of its own, so that all that it has started
is killed with it; and no file of the daemon's. Its stdin and stderr are files in memory and not pipes: nobody waits for
who neither reads nor ends, and of what it says there is room for so much.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Final

import msgspec

from ingestd.alerts.notices import Notice, document
from ingestd.alerts.notifiers.sender import DeliveryError
from ingestd.config_alerts import Notifier
from ingestd.visible import visible

_PASSED_ON: Final = ("PATH", "HOME", "LANG")

#: What it may say on stderr, of which the beginning is repeated.
_STDERR_BYTES: Final = 64 << 10
_SAID_CHARS: Final = 200


class Command:
    """One program with its arguments."""

    def __init__(self, notifier: Notifier, url: str) -> None:
        self._notifier = notifier
        self._url = url

    async def deliver(self, notice: Notice) -> None:
        program = self._notifier.command[0]
        environ = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environ |= {"INGESTD_STATUS": notice.status, "INGESTD_NOTICE": notice.id}
        told = msgspec.json.encode(document(notice, self._notifier.name, self._url))
        with _file_of(told) as stdin, _file_of_room(_STDERR_BYTES) as stderr:
            try:
                process = subprocess.Popen(
                    self._notifier.command,
                    stdin=stdin,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    env=environ,
                    start_new_session=True,
                )
            except OSError as error:
                raise DeliveryError(f"cannot run {program}: {error.strerror}") from None
            try:
                await _end_of(process)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                code = process.wait()
            said = os.pread(stderr, _STDERR_BYTES, 0).partition(b"\0")[0].decode("utf-8", "replace")
        if code:
            text = visible(" ".join(said.split()))[:_SAID_CHARS]
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            raise DeliveryError(f"{program}: {how}" + (f": {text}" if text else ""))

    async def close(self) -> None:
        """Nothing runs between two notices."""


async def _end_of(process: subprocess.Popen[bytes]) -> None:
    """Wait until it has ended; to be asked for its exit code then."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    pidfd = os.pidfd_open(process.pid)
    try:
        loop.add_reader(pidfd, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


@contextlib.contextmanager
def _file_of(content: bytes) -> Iterator[int]:
    """The descriptor of a file in memory, to be read from its beginning."""
    fd = os.memfd_create("ingestd-notice")
    try:
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _file_of_room(size: int) -> Iterator[int]:
    """The descriptor of a file in memory that takes so many bytes and no more."""
    fd = os.memfd_create("ingestd-stderr", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
        yield fd
    finally:
        os.close(fd)
