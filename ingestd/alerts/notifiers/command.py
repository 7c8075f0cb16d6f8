"""A program that is run for each notice, with the notice as JSON on its stdin.

No shell is in between, so nothing in a record is ever a command. The program gets PATH, HOME and LANG of the daemon's
environment and nothing else of it, since secrets may stand there; a session of its own, so that it is killed with
all that it has started when it takes too long; and no file of the daemon's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Final

import msgspec

from ingestd.alerts.notices import Notice, document
from ingestd.alerts.notifiers.sender import DeliveryError
from ingestd.config_alerts import Notifier
from ingestd.visible import visible

_PASSED_ON: Final = ("PATH", "HOME", "LANG")

#: Of what it says on stderr.
_SAID_BYTES: Final = 200


class Command:
    """One program with its arguments."""

    def __init__(self, notifier: Notifier, url: str) -> None:
        self._notifier = notifier
        self._url = url

    async def deliver(self, notice: Notice) -> None:
        program, *arguments = self._notifier.command
        environ = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environ |= {"INGESTD_STATUS": notice.status, "INGESTD_NOTICE": notice.id}
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *arguments,
                stdin=PIPE,
                stdout=DEVNULL,
                stderr=PIPE,
                env=environ,
                start_new_session=True,
            )
        except OSError as error:
            raise DeliveryError(f"cannot run {program}: {error.strerror}") from None
        try:
            said = await _feed(process, msgspec.json.encode(document(notice, self._notifier.name, self._url)))
            code = await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if code:
            text = visible(" ".join(said.decode("utf-8", "replace").split()))
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            raise DeliveryError(f"{program}: {how}" + (f": {text}" if text else ""))

    async def close(self) -> None:
        """Nothing runs between two notices."""


async def _feed(process: Process, body: bytes) -> bytes:
    """Give it `body`, and read all that it says on stderr; the first of that."""
    assert process.stdin is not None
    assert process.stderr is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # one that does not want to read it all
        process.stdin.write(body)
        await process.stdin.drain()
    process.stdin.close()
    said = b""
    while piece := await process.stderr.read(65536):
        said = (said + piece)[:_SAID_BYTES]
    return said
