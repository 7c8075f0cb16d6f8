"""What the event loop hands the writer, what the writer tells back, and the contract between them.

A writer is a few calls (`append`, `flush`, `close`) and two messages (`Freed`, `Commit`); the segment files of
`writer.SegmentWriter` are one implementation. Nothing here is per record: a batch is a block of a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from formats.record import Encoded


class Batch(NamedTuple):
    """The good records of one block on their way to disk."""

    encoded: Encoded
    transport: str
    received_ns: int  # CLOCK_MONOTONIC


class Mark(NamedTuple):
    """A batch that a client numbered and waits for: `entry` is the client's in the table of sequences, and
    `acknowledge` is to be called, on the event loop, with the sequence of the last batch that is durable."""

    client: str
    entry: int
    sequence: int
    acknowledge: Callable[[int], None]


class Pack(NamedTuple):
    """What became of one numbered batch: its good records, perhaps none, which must become durable together."""

    batches: list[Batch]
    mark: Mark


class Rejected(NamedTuple):
    """One refused record on its way to the rejects file."""

    reason: str
    detail: str
    data: bytes
    format: str
    transport: str
    source: str
    time: str


class Durable(NamedTuple):
    """The records of one batch that are on disk now."""

    format: str
    transport: str
    records: int
    received_ns: int


class Freed(NamedTuple):
    """Encoded bytes that no longer wait for the writer: compressed, though not yet synced."""

    nbytes: int


class Commit(NamedTuple):
    """One sync returned: all of this is on disk."""

    durable: list[Durable]
    frames: int
    lines_bytes: int
    written_bytes: int
    sync_ns: int  # how long it took
    done_ns: int  # CLOCK_MONOTONIC
    marks: Sequence[Mark] = ()  # the last of each client


class Lost(NamedTuple):
    """Batches given up at shutdown because the disk did not take them."""

    durable: list[Durable]


class Recovery(NamedTuple):
    """What recovery found at start, or trying again: files closed, bytes set aside, uncounted frames of this instance.

    `sources` counts the records of frames that a dead predecessor of this same daemon wrote but did not live to count;
    `frames` is how far their numbers go beyond the counted ones. `clients` are the last sequences in all that was read
    so far. `complete` says that this was all: what was in flight and was not found is lost.
    """

    segments: int
    torn_bytes: int
    frames: int
    sources: dict[str, int]
    lines_bytes: int
    written_bytes: int
    clients: Mapping[str, int] = MappingProxyType({})
    complete: bool = True


class Failing(NamedTuple):
    """The disk takes nothing, and why: one of `stats.DISK_FAULTS`; or empty, when it does again."""

    fault: str


class Event(NamedTuple):
    """Something to count: a rotation's reason, a failed operation, skipped rejects."""

    name: str
    label: str
    amount: int = 1


Message = Freed | Commit | Lost | Recovery | Failing | Event


class Listener(Protocol):
    """Takes the writer's messages, mostly on the writer's thread: hand over to the event loop at once."""

    def __call__(self, message: Message, /) -> object: ...


class Writer(Protocol):
    """Takes batches from the event loop's thread; never blocks it."""

    def append(self, batch: Batch) -> None:
        """Queue good records."""
        ...

    def append_pack(self, pack: Pack) -> None:
        """Queue a numbered batch, to be durable soon."""
        ...

    def skips_rejects(self, records: int) -> bool:
        """Whether no more refused records are kept for now: these are then counted as skipped, and not to be queued."""
        ...

    def reject(self, rejected: list[Rejected]) -> None:
        """Queue refused records for the rejects file."""
        ...

    def flush(self) -> None:
        """Write and sync all that was queued before this call, soon."""
        ...

    def close(self, timeout_s: float) -> None:
        """Flush, rename, stop; returns when that is done. What cannot be written in time is told as `Lost`."""
        ...
