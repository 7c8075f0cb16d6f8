"""A frame in the making: the chunks of many batches and what its description will say of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from ingestd.store.batch import Batch, Durable, Mark
from ingestd.store.segment import (
    MAX_SERVICES,
    MAX_SERVICES_CHARACTERS,
    Compressor,
    Description,
    pack_description,
)

#: Lines per frame, uncompressed. Larger frames compress no better (the window is 128 KiB) and only cost cache misses.
FRAME_BYTES: Final = 1 << 20

#: Clients in one frame; with the longest ids they take half of what a description may.
MAX_CLIENTS: Final = 4096


class Frame(NamedTuple):
    """A finished frame: its bytes on disk (description and data) and whose records are in it."""

    data: bytes
    lines_bytes: int
    durable: list[Durable]
    marks: list[Mark]


class FrameBuilder:
    """Gathers batches; `finish` compresses them. `frame` is the number of the last frame made."""

    def __init__(self, instance: str, worker: int, level: int, frame: int) -> None:
        self._instance = instance
        self._worker = worker
        self._compressor = Compressor(level)
        self.frame = frame
        self._clear()

    def _clear(self) -> None:
        self._batches: list[Batch] = []
        self._nbytes = 0
        self._marks: dict[str, Mark] = {}

    def __bool__(self) -> bool:
        """Whether anything was gathered."""
        return bool(self._batches or self._marks)

    @property
    def full(self) -> bool:
        return self._nbytes >= FRAME_BYTES or len(self._marks) >= MAX_CLIENTS

    @property
    def awaited(self) -> bool:
        """Whether a client waits for what was gathered."""
        return bool(self._marks)

    def add(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._nbytes += batch.encoded.nbytes

    def mark(self, mark: Mark) -> None:
        """The batches added last are all of the numbered batch `mark`."""
        self._marks[mark.client] = mark

    def received_ns(self) -> Iterator[int]:
        """When the gathered batches were received."""
        return (batch.received_ns for batch in self._batches)

    def finish(self) -> Frame:
        """Compress what was gathered and begin anew. The GIL is released while zstd works."""
        batches, nbytes, marks = self._batches, self._nbytes, self._marks
        self._clear()
        self.frame += 1
        data = self._compressor.compress(
            [chunk for batch in batches for chunk in batch.encoded.chunks], nbytes
        )
        levels: Counter[str] = Counter()
        sources: Counter[str] = Counter()
        services: set[str] = set()
        for encoded, transport, _ in batches:
            levels.update(encoded.levels)
            sources[f"{encoded.format}/{transport}"] += encoded.records
            services |= encoded.services
        description = Description(
            v=1,
            instance=self._instance,
            worker=self._worker,
            frame=self.frame,
            frame_bytes=len(data),
            lines_bytes=nbytes,
            records=sum(batch.encoded.records for batch in batches),
            first=min((batch.encoded.first for batch in batches), default=""),
            last=max((batch.encoded.last for batch in batches), default=""),
            levels=levels,
            services=_listed(services),
            sources=sources,
            clients={client: mark.sequence for client, mark in marks.items()},
        )
        durable = [
            Durable(encoded.format, transport, encoded.records, received_ns)
            for encoded, transport, received_ns in batches
        ]
        return Frame(pack_description(description) + data, nbytes, durable, list(marks.values()))


def _listed(services: set[str]) -> list[str]:
    """The services for the description; none of them where they are too many or, together, too long."""
    if len(services) > MAX_SERVICES or sum(map(len, services)) > MAX_SERVICES_CHARACTERS:
        return []
    return sorted(services)
