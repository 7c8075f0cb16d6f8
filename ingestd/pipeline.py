"""The hot path: a block of whole frames goes in, enriched lines go to the writer, everything is counted.

    socket --bytes--> framer --block--> [ Door.feed: encode -> check -> count -> queue ] --> writer thread

A `Door` is one sender's way in: a TCP connection, or a UDP source. It is built once, when format and source are
known, and then runs straight: one call of the format's `encode` decodes, checks, enriches and renders a whole block
(see formats/), one look at what was counted of it tells that it keeps the rules (see schema/), one move of the counters
accounts for it, one queue item hands it on. Nothing here is per record but the refused ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from formats import FORMATS
from formats.errors import FrameError
from formats.record import Encoded, Enrichment, Reject
from ingestd.accounting import Ledger
from ingestd.observe.observer import Observer
from ingestd.observe.sight import Sight
from ingestd.samples import Sampler
from ingestd.schema.rules import UNCHECKED, Rules
from ingestd.store.batch import Batch, Event, Pack, Rejected, Writer


class Sender(Protocol):
    """Whom records came from: what it speaks, over what, from which IP address."""

    @property
    def format(self) -> str: ...
    @property
    def transport(self) -> str: ...
    @property
    def source(self) -> str: ...


class Pipeline:
    """What all doors of a worker share. `queued` is called with the bytes that now wait for the writer."""

    def __init__(
        self,
        ledger: Ledger,
        writer: Writer,
        service: str,
        queued: Callable[[int], None],
        sampler: Sampler,
        observer: Observer,
        stores_heartbeats: bool = False,
    ) -> None:
        self.ledger = ledger
        self._stores_heartbeats = stores_heartbeats
        self.observer = observer
        self._sampler = sampler
        self._writer = writer
        self.service = service
        self._queued = queued

    def take(self, door: Door, block: bytes) -> None:
        """Decode, enrich, count and queue one block of whole frames."""
        received_ns = time.monotonic_ns()
        self.ledger.beat(received_ns)
        received_at = now()
        observer = self.observer
        context = door.enrichment.at(received_at, self.service, observer.wanted)
        for encoded in map(door.rules.check, door.encode(block, context)):
            self.ledger.received(encoded, door.transport)
            if encoded.heartbeats:
                self._hear(encoded, door)
            if encoded.records:
                observer.take(encoded)
                self._sampler.offer(encoded.format, encoded.chunks, received_ns)
                self._queued(encoded.nbytes)
                self._writer.append(Batch(encoded, door.transport, received_ns))
            if encoded.rejects:
                self._reject(door, encoded.format, encoded.rejects, received_at)

    def take_pack(
        self, sender: Sender, pack: Pack, sight: Sight, rejects: list[Reject], received_at: str
    ) -> None:
        """Count and queue one numbered batch, already decoded, and what was seen of it; `rejects` never reached a
        decoder."""
        self.ledger.beat(time.monotonic_ns())
        self.observer.take_in(sight)
        for batch in pack.batches:
            encoded = batch.encoded
            self.ledger.received(encoded, batch.transport)
            if encoded.heartbeats:
                self._hear(encoded, sender)
            if encoded.records:
                self._sampler.offer(encoded.format, encoded.chunks, batch.received_ns)
                self._queued(encoded.nbytes)
            if encoded.rejects:
                self._reject(sender, encoded.format, encoded.rejects, received_at)
        for reject in rejects:
            self.ledger.refused(sender.format, sender.transport, reject.reason, 1)
        if rejects:
            self._reject(sender, sender.format, rejects, received_at)
        good = [batch for batch in pack.batches if batch.encoded.records]
        self._writer.append_pack(pack._replace(batches=good))

    def _hear(self, encoded: Encoded, sender: Sender) -> None:
        """Pass on heartbeats, and count them where they are no records."""
        received_ns = time.time_ns()
        for heartbeat in encoded.heartbeats:
            self.observer.hear(heartbeat, sender.source, received_ns)
        if not self._stores_heartbeats:
            self.ledger.heartbeats(encoded.format, sender.transport, len(encoded.heartbeats))

    def count_unkept(self, sender: Sender, refused: Mapping[tuple[str, str], int]) -> None:
        """Count refused records that are not kept, by format and reason."""
        for (format_, reason), records in refused.items():
            self.ledger.refused(format_, sender.transport, reason, records)
        if refused:
            self.ledger.message(Event("ingestd_rejects_skipped_total", "", sum(refused.values())))

    def refuse(self, door: Door, rejects: list[Reject]) -> None:
        """Count and keep records that never reached a decoder: oversize, truncated."""
        for reject in rejects:
            self.ledger.refused(door.format, door.transport, reject.reason, 1)
        self._reject(door, door.format, rejects, now())

    def _reject(self, sender: Sender, format_: str, rejects: list[Reject], time_: str) -> None:
        self.observer.reject(rejects, format_, sender, time_)
        if self._writer.skips_rejects(len(rejects)):
            return
        transport, source = sender.transport, sender.source
        self._writer.reject(
            [
                Rejected(reason, detail, data, format_, transport, source, time_)
                for reason, data, detail in rejects
            ]
        )


class Door:
    """One sender's way in. `feed` takes the bytes of its stream as they come; `finish` its end.

    `source` is the sender's IP address. Records over `limit_bytes` are refused and the stream goes on; the last record
    of a stream that ended cleanly may lack its delimiter.
    """

    __slots__ = (
        "_framer",
        "_limit_bytes",
        "_pipeline",
        "encode",
        "enrichment",
        "format",
        "rules",
        "source",
        "transport",
    )

    def __init__(
        self,
        pipeline: Pipeline,
        format_: str,
        transport: str,
        source: str,
        enrichment: Enrichment,
        limit_bytes: int,
        rules: Rules = UNCHECKED,
    ) -> None:
        self._pipeline = pipeline
        self._limit_bytes = limit_bytes
        self._framer = FORMATS[format_].framer(limit_bytes)
        self.encode = FORMATS[format_].encode
        self.enrichment = enrichment
        self.format = format_
        self.rules = rules
        self.transport = transport
        self.source = source

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished record is held."""
        return self._framer.pending_bytes

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream.

        Raises FrameError where the boundary between records is lost: what stood before it is taken, the rest is
        refused, and the caller must close.
        """
        framer = self._framer
        try:
            while block := framer.feed(data):
                self._pipeline.take(self, block)
                data = b""  # asked again, a framer tells what it found behind the block
        except FrameError as error:
            self._refuse(error.reason, [framer.finish()], error.detail)
            raise
        finally:
            if framer.oversize:
                self._refuse_oversize()

    def finish(self, clean: bool) -> None:
        """The stream has ended. What stands behind the last delimiter is stored if it decodes, else refused.

        After a reset (`clean` is False) it is refused as truncated without a look: nobody knows what is missing.
        """
        rest = self._framer.finish()
        self._refuse_oversize()
        encoded = self.encode(rest, self.enrichment.at(now(), ""))
        if not any(block.records or block.rejects or block.heartbeats for block in encoded):
            return  # nothing, or white space that no format takes for a record
        if clean and self._is_whole(rest, encoded):
            self._pipeline.take(self, rest)
        else:
            self._refuse("truncated", [rest], "the stream ended within this record")

    def _is_whole(self, rest: bytes, encoded: list[Encoded]) -> bool:
        """Whether an undelimited last record is complete. An object cut short is not text either, unless named so."""
        cut_object = rest.lstrip().startswith(b"{") and any(block.format == "raw" for block in encoded)
        return not any(block.rejects for block in encoded) and (self.format == "raw" or not cut_object)

    def _refuse_oversize(self) -> None:
        oversize = self._framer.oversize
        self._refuse("oversize", oversize, f"longer than limits.max_record_bytes = {self._limit_bytes}")
        oversize.clear()

    def _refuse(self, reason: str, records: list[bytes], detail: str) -> None:
        if records:
            self._pipeline.refuse(self, [Reject(reason, data, detail) for data in records])


def now() -> str:
    """The time of receipt: RFC 3339, UTC, microseconds, `Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
