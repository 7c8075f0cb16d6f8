"""A connection with acknowledgements: numbered batches in, `OK`, `ACK` and `REJECT` out (docs/wire.md).

    u32 length | u64 sequence | payload        big-endian, sequences rising by one

Strategy. The connection claims its client in the shared table (sequences/table.py), which fences any older connection
of it in any worker, waits until what that one had taken is decided, and answers `OK <last durable>`. Each batch is
decoded in steps, noted in the table when that is done, becomes durable in one frame with its sequence, and is
acknowledged when the writer says so. So whatever dies, the next connection is told exactly what is on disk. A batch
sent again is acknowledged and not stored.

Limits. A batch is held whole, up to `limits.max_batch_bytes`, and all that it becomes; a sender of single bytes costs
linear time. Nothing that a client sends makes the wait for its `OK` longer than `PATIENCE_S`.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Generator, Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from formats.errors import FrameError
from ingestd.batches import BatchDoor, Decoded
from ingestd.net.compression import decompress_batch
from ingestd.sequences.table import MAX_SEQUENCE, Claim, Sequences, TableFullError
from ingestd.stats import Slot, index
from ingestd.store.batch import Mark

FENCED: Final = "fenced by a newer connection of this client"

HEAD: Final = struct.Struct(">IQ")

#: How often a connection that waits for its predecessor's batches looks again, and how long it waits in all.
LOOK_S: Final = 0.002
PATIENCE_S: Final = 30.0

_RECEIVED: Final = index("ingestd_batches_received_total")
_ACKNOWLEDGED: Final = index("ingestd_batches_acknowledged_total")
_DUPLICATE: Final = index("ingestd_batches_duplicate_total")


class Refusal(Exception):  # noqa: N818  # an answer, not a fault of ours
    """The connection must end: `reason` is one of stats.CLOSE_REASONS, `str()` what the client is told after `ERR `."""

    told = ""
    """What the log is told where that is something else."""

    def __init__(self, reason: str, answer: str) -> None:
        super().__init__(answer)
        self.reason = reason


class Numbered(NamedTuple):
    """One batch as it was sent."""

    sequence: int
    payload: bytes


class Batches:
    """Cuts the stream into batches."""

    __slots__ = ("_left_bytes", "_max_bytes", "_need_bytes", "_pending")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pending = bytearray()
        self._need_bytes = HEAD.size
        self._left_bytes = 0  # of what is being cut

    @property
    def pending_bytes(self) -> int:
        """How much is held of batches that are unfinished, or were not asked for yet."""
        return len(self._pending) + self._left_bytes

    def feed(self, data: bytes) -> Iterator[Numbered]:
        """Take the next bytes; yields the batches that are whole now. Raises `Refusal` for a length out of bounds."""
        if len(self._pending) + len(data) < self._need_bytes:
            self._pending += data
            return
        held, position = b"".join((self._pending, data)) if self._pending else data, 0
        self._pending = bytearray()
        try:
            while len(held) - position >= HEAD.size:
                length, sequence = HEAD.unpack_from(held, position)
                if not 0 < length <= self._max_bytes:
                    raise Refusal(
                        "bad_batch",
                        f"batch of {length} bytes, allowed are 1 to limits.max_batch_bytes = {self._max_bytes}",
                    )
                end = position + HEAD.size + length
                if end > len(held):
                    self._need_bytes = end - position
                    return
                self._left_bytes = len(held) - position
                yield Numbered(sequence, held[position + HEAD.size : end])
                position = end
            self._need_bytes = HEAD.size
        finally:
            self._left_bytes = 0
            self._pending += memoryview(held)[position:]


class Peer(Protocol):
    """The connection, to whoever answers on it."""

    def send(self, line: bytes) -> None: ...

    def work(self, data: bytes) -> None: ...

    def refuse(self, reason: str, answer: str) -> None: ...


class Clients:
    """What the acknowledged connections of one worker share, and all of them that are open."""

    def __init__(
        self,
        sequences: Sequences,
        number: int,
        max_batch_bytes: int,
        loop: asyncio.AbstractEventLoop,
        slot: Slot,
    ) -> None:
        """`number` is the worker's. What a dead worker of that number had taken is undecided until `settle`."""
        self.sequences = sequences
        self.number = number
        self.max_batch_bytes = max_batch_bytes
        self.loop = loop
        self.slot = slot
        self.open: set[Acknowledged] = set()
        self._orphans = sequences.orphans(number)

    def settle(self, found: Mapping[str, int]) -> None:
        """Recovery is done: `found` are the last sequences in what a dead worker of this number left."""
        self.sequences.settle(self._orphans, found)
        self._orphans = []

    def durable(self, marks: list[Mark]) -> None:
        """These are on disk. On the writer's thread: a word each."""
        now_s = int(time.time())
        for mark in marks:
            self.sequences.durable(mark.entry, mark.sequence, now_s)

    def check_fences(self) -> None:
        """End the connections whose clients have newer ones; those that send notice at once."""
        for connection in tuple(self.open):
            connection.check_fence()


class Acknowledged:
    """One such connection: takes bytes as a `Door` does, and answers through its `Peer`."""

    def __init__(self, clients: Clients, client: str, compressed: bool, door: BatchDoor, peer: Peer) -> None:
        self._clients = clients
        self._sequences = clients.sequences
        self._client = client
        self._compressed = compressed
        self._door = door
        self._peer = peer
        self._batches = Batches(clients.max_batch_bytes)
        self._claim: Claim | None = None
        self._patience_ends_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._early = bytearray()  # what a client sent before it was told where to begin
        self._welcomed = False
        self._taken = self._acknowledged = 0  # sequences
        self._waiting = 0  # batches taken and not acknowledged
        self._gone = False
        self._draining = False

    def start(self) -> None:
        """Claim the client, and greet it once its past is decided. Raises `Refusal`."""
        try:
            self._claim = self._sequences.claim(self._client, int(time.time()))
        except TableFullError as error:
            raise Refusal("too_many_clients", f"busy: {error}") from error
        self._patience_ends_s = self._clients.loop.time() + PATIENCE_S
        self._clients.open.add(self)
        self._greet()

    def drain(self) -> None:
        """Take no further batch, and ask the client to go on elsewhere once all that was taken is acknowledged."""
        if not self._draining:
            self._draining = True
            if self._timer is not None:
                self._timer.cancel()
            self._say_farewell()

    def _leaves(self) -> bool:
        """Whether nothing more is taken; it may come to that between two steps."""
        return self._draining

    def _say_farewell(self) -> None:
        if not self._waiting and not self._gone:
            self._peer.send(b"ERR shutting down\n")

    @property
    def idle(self) -> bool:
        """Whether no batch is on its way to the disk."""
        return not self._waiting

    def check_fence(self) -> None:
        """End this connection if its client has a newer one."""
        if self._claim is not None and not self._sequences.holds(self._claim):
            self._refuse(_fence())

    def _greet(self) -> None:
        self._timer = None
        if self._gone or self._claim is None:
            return
        if not self._sequences.holds(self._claim):
            self._refuse(_fence())
            return
        durable = self._sequences.settled(self._claim)
        loop = self._clients.loop
        if durable is None:
            if loop.time() > self._patience_ends_s:
                self._refuse(
                    Refusal("busy", f"busy: earlier batches of {self._client} are not decided yet, try again")
                )
            else:
                self._timer = loop.call_later(LOOK_S, self._greet)
            return
        self._taken = self._acknowledged = durable
        self._welcomed = True
        self._peer.send(b"OK %d\n" % durable)
        early, self._early = self._early, bytearray()
        if early:
            self._peer.work(bytes(early))

    @property
    def pending_bytes(self) -> int:
        """How much is held of what is unfinished."""
        return self._batches.pending_bytes + len(self._early) + self._door.held_bytes

    def feed(self, data: bytes) -> Iterator[None]:
        """Take the next bytes of the connection, in steps. Raises `Refusal`: the batches before it are taken."""
        if self._leaves():
            return
        if not self._welcomed:
            self._early += data
            if len(self._early) > self._clients.max_batch_bytes:
                raise Refusal("bad_batch", "batches before OK was answered")
            return
        again = taken = False
        for batch in self._batches.feed(data):
            if self._leaves():
                return
            if 0 < batch.sequence <= self._taken:
                self._clients.slot.add(_DUPLICATE)
                again = True
            else:
                if taken:
                    yield
                taken = True
                yield from self._take(batch)
        if again and self._acknowledged:
            self._peer.send(b"ACK %d\n" % self._acknowledged)

    def _take(self, batch: Numbered) -> Iterator[None]:
        assert self._claim is not None
        sequence = batch.sequence
        if not 0 < sequence <= MAX_SEQUENCE or (self._taken and sequence != self._taken + 1):
            raise Refusal("bad_sequence", f"sequence {sequence} does not follow {self._taken}")
        decoded = yield from self._decode(batch.payload)
        if self._leaves():
            return  # it was told to go elsewhere meanwhile
        clients = self._clients
        if not self._sequences.take(self._claim, sequence, clients.number):
            raise _fence()
        self._taken = sequence
        self._waiting += 1
        clients.slot.add(_RECEIVED)
        mark = Mark(self._client, self._claim.entry, sequence, self._durable)
        self._door.store(decoded, mark)
        for reason, records in sorted(decoded.refused().items()):
            self._peer.send(b"REJECT %d %d %b\n" % (sequence, records, reason.encode()))

    def _decode(self, payload: bytes) -> Generator[None, None, Decoded]:
        if self._compressed:
            try:
                payload = decompress_batch(payload, self._clients.max_batch_bytes)
            except FrameError as error:
                return self._door.unreadable(payload, error.reason, error.detail)
        return (yield from self._door.decode(payload))

    def _durable(self, sequence: int) -> None:
        """Called on the event loop when all up to `sequence` is on disk."""
        waiting = self._taken - sequence
        self._clients.slot.add(_ACKNOWLEDGED, self._waiting - waiting)
        self._acknowledged, self._waiting = sequence, waiting
        if not self._gone:
            self._peer.send(b"ACK %d\n" % sequence)
        if self._draining:
            self._say_farewell()

    def _refuse(self, refusal: Refusal) -> None:
        self._gone = True
        self._peer.refuse(refusal.reason, str(refusal))

    def finish(self, clean: bool) -> None:
        """The connection ended. A batch cut short was never taken: the client sends it again."""
        self._gone = True
        self._clients.open.discard(self)
        if self._timer is not None:
            self._timer.cancel()


def _fence() -> Refusal:
    return Refusal("fenced", FENCED)
