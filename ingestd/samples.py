"""A recent stored record of each format, for people to look at: one cell per worker and format in shared memory.

    cell: u32 version (odd while it is written) | u32 length | u64 when it was received, monotonic ns
        | the record's line, cut at `SAMPLE_BYTES`

Written at most once per `INTERVAL_S` and format by the worker that owns the cell, read by the sidecar; a reader that
meets a cell being written takes another worker's.
"""

from __future__ import annotations

import struct
from typing import Final

from formats import FORMATS
from ingestd.memory import Memory

#: A longer record is shown cut; it is a sample.
SAMPLE_BYTES: Final = 4096
INTERVAL_S: Final = 1.0

_HEADER: Final = struct.Struct("=IIQ")
_CELL_BYTES: Final = _HEADER.size + SAMPLE_BYTES
_FORMATS: Final = {name: number for number, name in enumerate(FORMATS)}


class Samples:
    """The cells of all workers, by the numbers of their slots; made before the fork."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._map = Memory("ingestd-samples", workers * len(_FORMATS) * _CELL_BYTES).bytes

    def _start(self, worker: int, format_: str) -> int:
        return (worker * len(_FORMATS) + _FORMATS[format_]) * _CELL_BYTES

    def write(self, worker: int, format_: str, line: bytes, now_ns: int) -> None:
        """Keep `line` as this worker's latest of `format_`."""
        start = self._start(worker, format_)
        version, _, _ = _HEADER.unpack_from(self._map, start)
        version |= 1  # also behind a predecessor that died in the middle
        kept = line[:SAMPLE_BYTES]
        _HEADER.pack_into(self._map, start, version, 0, 0)
        self._map[start + _HEADER.size : start + _HEADER.size + len(kept)] = kept
        _HEADER.pack_into(self._map, start, (version + 1) & 0xFFFFFFFF, len(kept), now_ns)

    def read(self) -> dict[str, str]:
        """The latest whole line of each format that any worker has, as text; a cut one ends in the middle."""
        found = {}
        for format_ in _FORMATS:
            _, line = max(self._read(self._start(worker, format_)) for worker in range(self._workers))
            if line:
                found[format_] = line.decode(errors="replace")
        return found

    def _read(self, start: int) -> tuple[int, bytes]:
        """When a line was received, and the line; none is from the beginning of time."""
        header = self._map[start : start + _HEADER.size]
        version, length, received_ns = _HEADER.unpack(header)
        line = self._map[start + _HEADER.size : start + _HEADER.size + length]
        unchanged = self._map[start : start + _HEADER.size] == header
        return (received_ns, line) if unchanged and not version & 1 else (0, b"")


class Sampler:
    """One worker's hand in it: asked with every block, it keeps one record per format and `INTERVAL_S`."""

    def __init__(self, samples: Samples, worker: int) -> None:
        self._samples = samples
        self._worker = worker
        self._due_ns = dict.fromkeys(FORMATS, 0)

    def offer(self, format_: str, chunks: list[bytes], now_ns: int) -> None:
        """Keep the first record of `chunks`, if it is time for another."""
        if now_ns < self._due_ns[format_]:
            return
        self._due_ns[format_] = now_ns + int(INTERVAL_S * 1e9)
        head = b"".join(bytes(memoryview(chunk)[: SAMPLE_BYTES + 1]) for chunk in chunks[:3])
        self._samples.write(self._worker, format_, head.partition(b"\n")[0], now_ns)
