"""Spools for tests: small, and killed as a process is, by forgetting them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ingestd.client.options import Options
from ingestd.client.spool import Spool


def options(folder: Path, **changes: Any) -> Options:
    """A client's options with a small spool."""
    small: dict[str, Any] = {"batch_bytes": 1 << 10, "spool_bytes": 8 << 10, "compression": "none"}
    return Options(client_id="web-1", spool_dir=folder / "spool", **(small | changes))


def reopened(spool: Spool, **changes: Any) -> Spool:
    """The spool as the next process finds it, after this one was killed."""
    spool.release()
    return Spool(options(spool.folder.parent, **changes))


def append(spool: Spool, *payloads: bytes, sync: bool = True) -> None:
    for payload in payloads:
        spool.append(payload, payload.count(b"\n") or 1)
    if sync:
        spool.sync()


def contents(spool: Spool) -> dict[int, bytes]:
    """What waits for its acknowledgement, by sequence."""
    sequences = range(spool.acknowledged + 1, spool.next_sequence)
    return {sequence: spool.read(spool.entry(sequence)) for sequence in sequences}
