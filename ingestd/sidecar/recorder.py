"""The hand that writes the rings: told once a second how the counters stand, it knows when a span is over."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from ingestd.rings import RESOLUTIONS, Point, Resolution, Rings
from ingestd.sidecar.law import DROPPED, RECEIVED, REJECTED, WRITTEN, places_of
from ingestd.sidecar.moment import Sums, latencies, rate

_REJECTED: Final = places_of(REJECTED)
_DROPPED: Final = places_of(DROPPED)
_RECEIVED: Final = places_of(RECEIVED)
_STORED: Final = places_of(WRITTEN)
_KERNEL_DROPS: Final = places_of("ingestd_udp_kernel_drops_total")
_IN: Final = places_of("ingestd_received_bytes_total")
_OUT: Final = places_of("ingestd_written_bytes_total")
_PAUSES: Final = places_of("ingestd_backpressure_pauses_total")
_ENCODED: Final = places_of("ingestd_encoded_bytes_total")
_QUEUE: Final = places_of("ingestd_queue_bytes")
_CONNECTIONS: Final = places_of("ingestd_connections_open")

#: A part of a step that is too short for a rate: it is left to the span that follows.
_SHORTEST: Final = 0.5
#: So many spans that nobody looked at get the mean over all of them.
_LATE_STEPS: Final = 10


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def measure(now: Sums, past: Sums, queue_bytes: int, free_bytes: int | None) -> Point:
    """The point of the span from `past` to `now`, in which the queue was at most `queue_bytes`."""
    written = now.total(_OUT) - past.total(_OUT)
    encoded = now.total(_ENCODED) - past.total(_ENCODED)
    p50, p99 = latencies(now, past)

    def per_second(places: Iterable[int]) -> float:
        return _or_nan(rate(now, past, places))

    return Point(
        received_per_second=per_second(_RECEIVED),
        written_per_second=per_second(_STORED),
        rejected_per_second=per_second(_REJECTED),
        dropped_per_second=per_second(_DROPPED),
        udp_kernel_drops_per_second=per_second(_KERNEL_DROPS),
        in_bytes_per_second=per_second(_IN),
        out_bytes_per_second=per_second(_OUT),
        latency_p50_seconds=_or_nan(p50),
        latency_p99_seconds=_or_nan(p99),
        queue_bytes=queue_bytes,
        pauses_per_second=per_second(_PAUSES),
        compression_ratio=encoded / written if written else math.nan,
        free_bytes=_or_nan(free_bytes),
        connections=now.total(_CONNECTIONS),
    )


class _Span:
    """The span of one resolution that is going on."""

    def __init__(self, since: Sums, since_s: int) -> None:
        self.since = since
        self.since_s = since_s
        self.queue_bytes = 0


class Recorder:
    """One process's writer of the rings. Its first point of a resolution may be of less than a whole span."""

    def __init__(self, rings: Rings) -> None:
        self._rings = rings
        self._spans: dict[Resolution, _Span] = {}

    def add(self, sums: Sums, now_s: int, free_bytes: int | None) -> None:
        """How it stands at the UNIX second `now_s`; several in one second, or a clock set back, do no harm."""
        queue_bytes = sums.total(_QUEUE)
        for resolution in RESOLUTIONS:
            span = self._spans.setdefault(resolution, _Span(sums, now_s))
            span.queue_bytes = max(span.queue_bytes, queue_bytes)
            elapsed_s = (sums.at_ns - span.since.at_ns) / 1e9
            if now_s // resolution.step_s != span.since_s // resolution.step_s and (
                elapsed_s >= _SHORTEST * resolution.step_s
            ):
                point = measure(sums, span.since, span.queue_bytes, free_bytes)
                for end_s in _ends(resolution, span.since_s, now_s):
                    self._rings.put(resolution, end_s, point)
                self._spans[resolution] = _Span(sums, now_s)


def _ends(resolution: Resolution, since_s: int, now_s: int) -> range:
    """The ends of the spans that are over: one, or some more when the machine was too busy for our tick."""
    newest_s = now_s - now_s % resolution.step_s
    oldest_s = since_s - since_s % resolution.step_s + resolution.step_s
    if not newest_s - _LATE_STEPS * resolution.step_s <= oldest_s <= newest_s:
        oldest_s = newest_s  # the clock was set, or the machine slept
    return range(oldest_s, newest_s + 1, resolution.step_s)
