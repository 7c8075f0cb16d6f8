"""What a spool folder remembers beside its batches: who sends them, and how far they are acknowledged.

    state.json     {"version": 1, "client": <id>, "sync": "batch", "boot": <id>, "runs": [{"first": 1, …}, …]}
    acknowledged   u64 sequence, big-endian: all up to it is, at least

A *run* is a stretch of sequences that travels on one kind of connection: one client id on the wire, one format, one
compression, one schema. A new one begins where these change, and wherever a sequence might have been used for other
data before (see spool.py): then under an id with a random suffix, which no server knows, so that nothing can be
mistaken for what was sent before.

`state.json` is replaced whole and synced before anything is sent by what it says. `acknowledged` is written in place
and not synced: an older value costs only a batch sent again, which the server knows.
"""

from __future__ import annotations

import json
import os
import secrets
import struct
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from ingestd.client.errors import SpoolError
from ingestd.client.options import Options
from ingestd.client.segment import sync_folder

STATE: Final = "state.json"
ACKNOWLEDGED: Final = "acknowledged"
VERSION: Final = 1

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_SEQUENCE: Final = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Run:
    """Sequences from `first` on, up to the next run. `used`: some server may know `client` from us."""

    first: int
    client: str
    format: str
    compression: str
    schema: str | None
    used: bool = False

    @classmethod
    def of(cls, options: Options, first: int) -> Run:
        """The first run of a spool, under the client's own id."""
        return cls(first, options.client_id, options.format, options.compression, options.schema)

    def travels_like(self, other: Run) -> bool:
        """Whether batches of both can share a connection, but for the id."""
        mine = (self.format, self.compression, self.schema)
        return mine == (other.format, other.compression, other.schema)

    def renamed(self, client_id: str, first: int) -> Run:
        """The same from `first` on, under an id that no server knows."""
        return replace(self, first=first, client=f"{client_id}.{secrets.token_hex(4)}", used=False)


@dataclass(frozen=True, slots=True)
class State:
    """The contents of `state.json`. `boot`: the boot of the machine in which the spool was last opened."""

    client: str
    sync: str
    boot: str
    runs: tuple[Run, ...]


def boot_id() -> str:
    """Changes when the machine starts again, and with it what was never synced may be gone. Empty: not known."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def load(folder: Path) -> State | None:
    """Read the state; None in a new folder. Raises SpoolError where it cannot be read."""
    path = folder / STATE
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("version") != VERSION:
            raise SpoolError(f"{path} is of another version than {VERSION}: use the client that wrote it")
        runs = tuple(Run(**run) for run in values.pop("runs"))
        return State(**values, runs=runs)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SpoolError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SpoolError(f"{path} is not the state of a spool ({error}): is it another folder?") from error


def save(folder: Path, state: State) -> None:
    """Replace the state; it is durable when this returns. Raises OSError."""
    path = folder / STATE
    beside = path.with_suffix(".new")
    with beside.open("w", encoding="utf-8") as file:
        json.dump({"version": VERSION, **asdict(state)}, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(folder)


class AcknowledgedMark:
    """The file `acknowledged`."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        self._fd = os.open(folder / ACKNOWLEDGED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def read(self) -> int:
        """The last sequence written; 0 where none is, or the write never reached the disk."""
        data = os.pread(self._fd, _SEQUENCE.size, 0)
        return int(_SEQUENCE.unpack(data)[0]) if len(data) == _SEQUENCE.size else 0

    def write(self, sequence: int) -> None:
        """Survives the end of the process, not that of the machine."""
        os.pwrite(self._fd, _SEQUENCE.pack(sequence), 0)

    def sync(self) -> None:
        """Make the last write durable. Raises OSError."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)
