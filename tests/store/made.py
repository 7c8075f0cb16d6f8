"""Segments made for tests of what a crash leaves."""

from __future__ import annotations

from pathlib import Path

from ingestd.store.frame import FrameBuilder
from tests.fakes import batch, records

STEM = "log_0_20261120_120000"
OPEN = f"{STEM}.jsonl.zst.open"
CLOSED = f"{STEM}.jsonl.zst"
BAD = f"{STEM}.jsonl.zst.bad"


def frames(count: int, *, instance: str = "run-1", worker: int = 0, first: int = 1) -> list[bytes]:
    """Small frames as they stand in a file; frame n holds one record, whose `seq` is n."""
    builder = FrameBuilder(instance, worker, 1, first - 1)
    made = []
    for number in range(first, first + count):
        builder.add(batch(records(number, 1)))
        made.append(builder.finish().data)
    return made


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its content and its time of last write."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.iterdir())}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
