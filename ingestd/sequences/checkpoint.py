"""`state_dir/clients.json`: all clients, and the closed segments that say nothing beyond them.

    {"version": 1, "covered": {<segment name>: <its bytes>, …}, "clients": {<id>: [<durable>, <seen, UNIX s>], …}}

The segments are listed first and the table is read after it. A writer puts a sequence into the table before it closes
the segment that holds it, so whatever the listed segments say is in the table by then. A start reads this file and the
descriptions of the other segments only: seconds of data, not all of it. The file is replaced whole (written beside it,
synced, renamed, folder synced); one that is missing or damaged costs a longer start, never a sequence, unless
retention or an operator took segments away that no checkpoint had covered.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import msgspec

from ingestd.sequences.table import Client, Sequences, TableFullError, is_client_id
from ingestd.store import disk
from ingestd.store.recovery import secure, walk
from ingestd.store.segment import OPEN_SUFFIX, SUFFIX
from ingestd.store.takeover import last_sequences

FILE: Final = "clients.json"

log = logging.getLogger("ingestd.sequences")


class Checkpoint(msgspec.Struct, frozen=True):
    """What the file says."""

    version: int
    covered: dict[str, int] = {}
    clients: dict[str, tuple[int, int]] = {}


def save(sequences: Sequences, state_dir: Path, data_dir: Path) -> None:
    """Write a checkpoint. Raises `OSError`; then the last one still holds."""
    covered = {path.name: size for path in data_dir.glob("log_*" + SUFFIX) if (size := _size_bytes(path))}
    clients = {client.id: (client.durable, client.seen_s) for client in sequences.clients()}
    disk.replace(state_dir / FILE, msgspec.json.encode(Checkpoint(1, covered, clients)))


def restore(sequences: Sequences, state_dir: Path, data_dir: Path, now_s: int) -> None:
    """Fill the table at a start, before any worker runs. What cannot be read is logged and left as it is."""
    checkpoint = _load(state_dir / FILE)
    try:
        for id_, (durable, seen_s) in checkpoint.clients.items():
            sequences.restore(Client(id_, durable, seen_s))
        for path in sorted(data_dir.glob("log_*" + SUFFIX)) + sorted(data_dir.glob("log_*" + OPEN_SUFFIX)):
            if checkpoint.covered.get(path.name) != _size_bytes(path):
                for id_, sequence in _found(path).items():
                    sequences.restore(Client(id_, sequence, now_s))
    except TableFullError as error:
        log.error("%s; clients beyond them may have batches stored twice", error)
    for left in state_dir.glob(FILE + ".*.new"):
        left.unlink(missing_ok=True)


def _size_bytes(path: Path) -> int:
    """Tells a segment from one that had its name before and was moved away in the same second; 0 if it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _load(path: Path) -> Checkpoint:
    try:
        checkpoint = msgspec.json.decode(path.read_bytes(), type=Checkpoint)
        if checkpoint.version == 1 and all(map(is_client_id, checkpoint.clients)):
            return checkpoint
        log.error("%s is of another version; all segments are read instead", path)
    except FileNotFoundError:
        pass  # the first start
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.error("cannot read %s: %s; all segments are read instead", path, error)
    return Checkpoint(1)


def _found(path: Path) -> dict[str, int]:
    """The last sequence of each client in one segment; its frames are on disk when this returns."""
    is_open = path.name.endswith(OPEN_SUFFIX)
    try:
        result = secure(path) if is_open else walk(path, verify_bytes=0)
    except OSError as error:
        log.error("cannot read %s: %s; batches in it may be stored twice", path, error.strerror)
        return {}
    if result.torn_bytes and not is_open:
        log.error(
            "%s is damaged at byte %d; batches behind that may be stored twice", path, result.good_bytes
        )
    return {id_: last for id_, last in last_sequences(result.frames).items() if is_client_id(id_)}
