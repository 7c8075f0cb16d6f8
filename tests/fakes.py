"""What tests use in the place of a clock, a disk, an event loop: few, small, and real wherever that can be had."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import orjson
import zstandard

from formats.record import Encoded
from ingestd.store.batch import Batch, Commit, Event, Lost, Message, Rejected
from tests.daemon import wait_for

M = TypeVar("M")


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class KeepingListener:
    """Keeps every message of a writer, in order."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def __call__(self, message: Message) -> None:
        self.messages.append(message)

    def of(self, kind: type[M]) -> list[M]:
        return [message for message in tuple(self.messages) if isinstance(message, kind)]

    def durable(self) -> int:
        """The records that were told as on disk."""
        return sum(entry.records for commit in self.of(Commit) for entry in commit.durable)

    def lost(self) -> int:
        return sum(entry.records for lost in self.of(Lost) for entry in lost.durable)

    def events(self, name: str) -> Counter[str]:
        """How often each label of an event was told."""
        counts: Counter[str] = Counter()
        for event in self.of(Event):
            if event.name == name:
                counts[event.label] += event.amount
        return counts

    def wait_durable(self, records: int) -> None:
        wait_for(lambda: self.durable() >= records, f"{records} records to be told as on disk")


class KeepingWriter:
    """A `batch.Writer` that writes nothing and keeps everything."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.rejected: list[Rejected] = []

    def append(self, batch: Batch) -> None:
        self.batches.append(batch)

    def skips_rejects(self, records: int) -> bool:
        return False

    def reject(self, rejected: list[Rejected]) -> None:
        self.rejected += rejected

    def flush(self) -> None:
        """Nothing waits."""

    def close(self, timeout_s: float) -> None:
        """Nothing is open."""


class FaultyOs:
    """The `os` module on a bad day: calls named in `errors` fail with that errno, writes stop at `write_limit` bytes.

    Put in the place of a module's `os`, so that only that module meets it.
    """

    def __init__(self) -> None:
        self.errors: dict[str, int] = {}
        self.write_limit: int | None = None
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self._wrapped(name, real) if callable(real) else real

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            self.calls[name] += 1
            if code := self.errors.get(name):
                raise OSError(code, os.strerror(code))
            if name in ("write", "pwrite") and self.write_limit is not None:
                args = (args[0], args[1][: self.write_limit], *args[2:])
            return real(*args, **named)

        return call


def records(
    first: int,
    count: int,
    *,
    format_: str = "json",
    level: str = "INFO",
    service: str = "api",
    padding_bytes: int = 0,
) -> Encoded:
    """A block of records whose `seq` runs from `first` on; the padding does not compress."""
    encoded = Encoded(format_, [], levels={}, services=set(), rejects=[])
    for seq in range(first, first + count):
        timestamp = f"2026-11-20T12:{seq // 60 % 60:02}:{seq % 60:02}.{seq % 1_000_000:06}Z"
        line = orjson.dumps(
            {
                "timestamp": timestamp,
                "level": level,
                "service": service,
                "message": os.urandom(padding_bytes // 2).hex(),
                "seq": seq,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        encoded.chunks.append(line)
        encoded.nbytes += len(line)
        encoded.records += 1
        encoded.count({level: 1}, [service], timestamp, timestamp)
    return encoded


def batch(encoded: Encoded, transport: str = "tcp", age_s: float = 0.0) -> Batch:
    """`encoded` on its way to the writer, received `age_s` ago."""
    return Batch(encoded, transport, time.monotonic_ns() - int(age_s * 1e9))


def content(path: Path) -> bytes:
    """All that is in the complete frames of a file."""
    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()


def seqs(*paths: Path) -> list[int]:
    """The `seq` of every record in these segments, in the order of the files."""
    return [orjson.loads(line)["seq"] for path in paths for line in content(path).splitlines()]


def segments(folder: Path) -> list[Path]:
    """The segments in `folder`, open and closed, in the order they were made."""
    return sorted(folder.glob("log_*.jsonl.zst*"), key=lambda path: _age_order(path.name))


def _age_order(name: str) -> tuple[str, str, int]:
    _, _, date, time_, *number = name.partition(".")[0].split("_")
    return date, time_, int(number[0]) if number else 0
