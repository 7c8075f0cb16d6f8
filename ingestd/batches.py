"""The way in of a client that numbers its batches: as a `Door` (pipeline.py), but each batch is whole and told back.

    payload --unpack--> stream --framer, encode, rules--> all of it in one `Pack` --> writer --> acknowledge

What of a batch is refused is refused record by record, kept and counted as always; where the payload cannot be read
as its format, what stood before that is stored and the rest is one reject. The boundaries of the batches are
the protocol's own, so the connection goes on in any case.

Decoding is done in steps (pace.py) and has no effects: whoever asked for it may give up, until `store` counts and
queues all of it at once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator

from formats import FORMATS
from formats.batches import unpack
from formats.errors import FrameError
from formats.record import Encoded, Enrichment, Reject
from ingestd.observe.sight import Sight
from ingestd.pace import Pace
from ingestd.pipeline import Pipeline, now
from ingestd.schema.rules import UNCHECKED, Rules
from ingestd.store.batch import Batch, Mark, Pack

_EXCERPT_BYTES = 1024

#: Of one batch, so many refused records are kept; further ones are counted only. A batch of 16 MB may hold millions.
KEPT_REJECTS = 10_000

#: What a reject takes beside its data, roughly.
_REJECT_BYTES = 300


class Decoded:
    """What became of one batch so far: good records and what was refused, with the time of receipt."""

    __slots__ = ("_kept", "blocks", "held_bytes", "received_at", "received_ns", "rejects", "sight", "unkept")

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        self.received_ns = time.monotonic_ns()
        self.received_at = now()
        self.blocks: list[Encoded] = []
        self.rejects: list[Reject] = []  # what never came as far as a decoder
        self.unkept: Counter[tuple[str, str]] = Counter()  # refused and not kept, by format and reason
        self.held_bytes = 0
        self._kept = 0

    def add(self, block: Encoded) -> None:
        """Add what was decoded of one piece."""
        self._kept += len(block.rejects)
        if self._kept > KEPT_REJECTS:
            self.unkept.update((block.format, reject.reason) for reject in block.rejects)
            block.rejects.clear()
        if block.records or block.rejects or block.heartbeats:
            self.blocks.append(block)
            self.held_bytes += block.nbytes + sum(
                _REJECT_BYTES + len(reject.data) for reject in block.rejects
            )

    def refused(self) -> Counter[str]:
        """How many records were refused, by reason."""
        counts = Counter(reject.reason for block in self.blocks for reject in block.rejects)
        counts.update(reject.reason for reject in self.rejects)
        for (_, reason), records in self.unkept.items():
            counts[reason] += records
        return counts


class BatchDoor:
    """One client's way in. `source` is its IP address; `avro_schema` the schema of its arrays, JSON, if it has one."""

    transport = "tcp"

    def __init__(
        self,
        pipeline: Pipeline,
        format_: str,
        source: str,
        enrichment: Enrichment,
        limit_bytes: int,
        rules: Rules = UNCHECKED,
        avro_schema: bytes = b"",
    ) -> None:
        self._pipeline = pipeline
        self._format = FORMATS[format_]
        self._enrichment = enrichment
        self._limit_bytes = limit_bytes
        self._rules = rules
        self._avro_schema = avro_schema
        self._pace = Pace()
        self._decoded: Decoded | None = None
        self.format = format_
        self.source = source

    @property
    def held_bytes(self) -> int:
        """What is held of the batch that is being decoded."""
        return 0 if self._decoded is None else self._decoded.held_bytes + self._pace.left_bytes

    def decode(self, payload: bytes) -> Generator[None, None, Decoded]:
        """All records of a batch, in steps."""
        observer = self._pipeline.observer
        self._decoded = decoded = Decoded(observer.sight())
        framer = self._format.framer(self._limit_bytes)
        service = self._pipeline.service
        context = self._enrichment.at(decoded.received_at, service, observer.wanted)

        def feed(data: bytes) -> None:
            while block := framer.feed(data):
                encode(block)
                data = b""

        def encode(block: bytes) -> None:
            for encoded in self._format.encode(block, context):
                checked = self._rules.check(encoded)
                if checked.records:
                    decoded.sight.add(checked)
                decoded.add(checked)

        try:
            yield from self._pace.steps(unpack(self.format, payload, self._avro_schema), feed)
            if rest := framer.finish():
                encode(rest)
        except FrameError as error:
            data = framer.finish() or payload[:_EXCERPT_BYTES]
            decoded.rejects.append(Reject(error.reason, data, error.detail))
        detail = f"longer than limits.max_record_bytes = {self._limit_bytes}"
        decoded.rejects += [Reject("oversize", data, detail) for data in framer.oversize]
        self._decoded = None
        return decoded

    def unreadable(self, payload: bytes, reason: str, detail: str) -> Decoded:
        """A batch that cannot be read at all."""
        decoded = Decoded(self._pipeline.observer.sight())
        decoded.rejects.append(Reject(reason, payload[:_EXCERPT_BYTES], detail))
        return decoded

    def store(self, decoded: Decoded, mark: Mark) -> None:
        """Count and queue one batch."""
        batches = [Batch(block, self.transport, decoded.received_ns) for block in decoded.blocks]
        pack = Pack(batches, mark)
        self._pipeline.take_pack(self, pack, decoded.sight, decoded.rejects, decoded.received_at)
        self._pipeline.count_unkept(self, decoded.unkept)
