"""What the daemon did over the last minutes, hours and day: rings of points in shared memory.

    ring:  `capacity` rows, the row of time t at (t / resolution) % capacity
    row:   t (UNIX seconds, the end of the span that the point is of) | the fields of `Point`, all float64

A point's place follows from its time alone. So a ring needs no head and no lock: a sidecar that follows another goes
on in the same rows, two that live for a moment side by side write the same, and a reader leaves out rows of another
lap. The memory is made before the fork and outlives every sidecar and every program, like the board's.
"""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Final, NamedTuple

from ingestd.memory import Memory


class Point(NamedTuple):
    """How it stood in one span of time; NaN is what could not be known. Rates are means over the span."""

    received_per_second: float
    written_per_second: float
    rejected_per_second: float
    dropped_per_second: float
    udp_kernel_drops_per_second: float
    in_bytes_per_second: float
    out_bytes_per_second: float
    latency_p50_seconds: float
    """Over the records that reached the disk in the span; NaN where none did."""
    latency_p99_seconds: float
    queue_bytes: float
    """The most that was seen in the span."""
    pauses_per_second: float
    """How often reading paused because the writer was behind."""
    compression_ratio: float
    """Encoded bytes per written byte, over the span; NaN where nothing was written."""
    free_bytes: float
    """Of the data folder's file system, at the end of the span."""
    connections: float
    """Open at the end of the span."""


class Resolution(NamedTuple):
    """One ring: a point for so many seconds, over so many seconds."""

    name: str
    step_s: int
    span_s: int

    @property
    def capacity(self) -> int:
        return self.span_s // self.step_s


RESOLUTIONS: Final = (
    Resolution("1s", 1, 15 * 60),
    Resolution("10s", 10, 2 * 3600),
    Resolution("1m", 60, 24 * 3600),
)

_ROW: Final = struct.Struct(f"={1 + len(Point._fields)}d")
#: Opens the memory; says whether what another program left is laid out as here.
_LAYOUT: Final = hashlib.sha256(repr((Point._fields, RESOLUTIONS)).encode()).digest()


class Rings:
    """The points of all resolutions."""

    def __init__(self, memory: Memory | None = None) -> None:
        """`memory` is that of rings made before; where it is laid out otherwise, the past is forgotten."""
        if memory is None or memory.bytes[: len(_LAYOUT)] != _LAYOUT:
            rows = sum(one.capacity for one in RESOLUTIONS)
            memory = Memory("ingestd-rings", len(_LAYOUT) + rows * _ROW.size)
            memory.bytes[: len(_LAYOUT)] = _LAYOUT
        self.memory = memory
        starts, start = {}, len(_LAYOUT)
        for one in RESOLUTIONS:
            starts[one], start = start, start + one.capacity * _ROW.size
        self._starts: Final = starts

    def put(self, resolution: Resolution, end_s: int, point: Point) -> None:
        """Keep the point of the span that ends at `end_s`, UNIX seconds, a multiple of the step."""
        _ROW.pack_into(self.memory.bytes, self._row(resolution, end_s), end_s, *point)

    def get(self, resolution: Resolution, end_s: int) -> Point | None:
        """The point of the span that ends at `end_s`; None where there is none."""
        at_s, *values = _ROW.unpack_from(self.memory.bytes, self._row(resolution, end_s))
        return Point(*values) if at_s == end_s else None

    def last(self, resolution: Resolution, now_s: int, span_s: int = 0) -> list[tuple[int, Point]]:
        """(end, point) of the points that end in the last `span_s` up to `now_s`, oldest first; 0 is the whole ring."""
        newest_s = now_s - now_s % resolution.step_s
        span_s = min(span_s or resolution.span_s, resolution.span_s)
        ends = range(newest_s - span_s + resolution.step_s, newest_s + 1, resolution.step_s)
        found = ((end_s, self.get(resolution, end_s)) for end_s in ends)
        return [(end_s, point) for end_s, point in found if point is not None]

    def _row(self, resolution: Resolution, end_s: int) -> int:
        number = end_s // resolution.step_s % resolution.capacity
        return self._starts[resolution] + number * _ROW.size


def known(value: float) -> float | None:
    """`value`, or None for NaN, as JSON has none."""
    return None if math.isnan(value) else value
