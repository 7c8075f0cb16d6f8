"""What outlives the process: `state_dir/alerts.json`, and the lock that says whose it is.

The file is written whole beside its place, synced, and renamed, so there is always a complete one. One that cannot be
read is set aside as `.bad`. Of two sidecars during a reload the one with the lock has the alerts; the kernel lets go of
it with the process.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from ingestd.alerts.engine import Saved
from ingestd.alerts.notices import Notice

FILE: Final = "alerts.json"
LOCK_FILE: Final = "alerts.lock"

log = logging.getLogger("ingestd.alerts")


class Kept(msgspec.Struct):
    """All of it. A field that only another version knows is left out, and has its default."""

    engine: Saved
    waiting: dict[str, list[Notice]] = {}
    """Notices that were not delivered, by notifier."""


class Lock:
    """The right to the alerts of one state_dir."""

    def __init__(self, state_dir: Path) -> None:
        """Raises `OSError`."""
        self._fd = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def take(self) -> bool:
        """Take it, if nobody has it."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let somebody else have it."""
        os.close(self._fd)


def load(state_dir: Path) -> Kept | None:
    """What was saved last; None where there is nothing that can be read."""
    path = state_dir / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        aside = path.with_suffix(".json.bad")
        log.error("%s cannot be read, alerts begin anew: %s; it is set aside as %s", path, error, aside.name)
        with contextlib.suppress(OSError):
            path.rename(aside)
        return None


def save(state_dir: Path, content: bytes) -> None:
    """Replace the file, whole or not at all. Raises `OSError`."""
    path = state_dir / FILE
    temporary = path.with_suffix(".tmp")
    # It holds samples of records: for the daemon's user alone.
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    folder = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
