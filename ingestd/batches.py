"""The way in of a client that numbers its batches: as a `Door` (pipeline.py), but each batch is whole and told back.

    payload --unpack--> stream --framer, encode, rules--> all of it in one `Pack` --> writer --> acknowledge

What of a batch is refused is refused record by record, kept and counted as always; where the payload cannot be read
as its format, what stood before that is stored and the rest is one reject. The boundaries of the batches are
the protocol's own, so the connection goes on in any case.
"""

from __future__ import annotations

import time
from collections import Counter

from formats import FORMATS
from formats.batches import unpack
from formats.errors import FrameError
from formats.record import Encoded, Enrichment, Reject
from ingestd.pipeline import Pipeline, now
from ingestd.schema.rules import UNCHECKED, Rules
from ingestd.store.batch import Batch, Mark, Pack

_EXCERPT_BYTES = 1024


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
        self.format = format_
        self.source = source

    def take(self, payload: bytes, mark: Mark) -> Counter[str]:
        """Decode, enrich, count and queue one batch; returns how many records were refused, by reason."""
        received_ns = time.monotonic_ns()
        received_at = now()
        encoded, rejects = self._encode(payload, received_at)
        refused = Counter(reject.reason for block in encoded for reject in block.rejects)
        refused.update(reject.reason for reject in rejects)
        self._pipeline.take_pack(
            self,
            Pack([Batch(block, self.transport, received_ns) for block in encoded], mark),
            rejects,
            received_at,
        )
        return refused

    def refuse(self, payload: bytes, reason: str, detail: str, mark: Mark) -> Counter[str]:
        """Take note of a batch that cannot be read at all."""
        reject = Reject(reason, payload[:_EXCERPT_BYTES], detail)
        self._pipeline.take_pack(self, Pack([], mark), [reject], now())
        return Counter({reason: 1})

    def _encode(self, payload: bytes, received_at: str) -> tuple[list[Encoded], list[Reject]]:
        """All blocks of a payload, and what never came as far as a decoder."""
        context = self._enrichment.at(received_at, self._pipeline.service)
        framer = self._format.framer(self._limit_bytes)
        encoded: list[Encoded] = []
        rejects: list[Reject] = []
        try:
            data = unpack(self.format, payload, self._avro_schema)
            while block := framer.feed(data):
                encoded += self._format.encode(block, context)
                data = b""
            if rest := framer.finish():
                encoded += self._format.encode(rest, context)
        except FrameError as error:
            data = framer.finish() or payload[:_EXCERPT_BYTES]
            rejects.append(Reject(error.reason, data, error.detail))
        detail = f"longer than limits.max_record_bytes = {self._limit_bytes}"
        rejects += [Reject("oversize", data, detail) for data in framer.oversize]
        return [self._rules.check(block) for block in encoded if block.records or block.rejects], rejects
