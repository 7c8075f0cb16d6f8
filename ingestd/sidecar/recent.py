"""What happened in the last minute, counted: the numbers that an assessment of the present goes by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from ingestd.sidecar.law import DROPPED, RECEIVED, REJECTED, WRITTEN, by_last_label, places_of
from ingestd.sidecar.moment import Sums

WINDOW_S: Final = 60.0

_RECEIVED: Final = places_of(RECEIVED)
_WRITTEN: Final = places_of(WRITTEN)
_REJECTED: Final = by_last_label(REJECTED)
_DROPPED: Final = by_last_label(DROPPED)
_KERNEL_DROPS: Final = places_of("ingestd_udp_kernel_drops_total")
_WRITE_ERRORS: Final = by_last_label("ingestd_write_errors_total")
_AUTH_FAILURES: Final = by_last_label("ingestd_auth_failures_total")
_PAUSES: Final = places_of("ingestd_backpressure_pauses_total")
_RESTARTS: Final = places_of("ingestd_worker_restarts_total")


class Recent(msgspec.Struct, frozen=True):
    """How far counters moved in the last minute, or since the sidecar started; by reason, only what moved."""

    received: int = 0
    written: int = 0
    rejected: dict[str, int] = {}
    dropped: dict[str, int] = {}
    udp_kernel_drops: int = 0
    write_errors: dict[str, int] = {}
    auth_failures: dict[str, int] = {}
    pauses: int = 0
    worker_restarts: int = 0


def recent(now: Sums, past: Sums | None) -> Recent:
    """The difference between two readings; without the earlier one nothing has happened yet."""
    if past is None:
        return Recent()

    def moved(places: Iterable[int]) -> int:
        return now.total(places) - past.total(places)

    def split(places: Iterable[tuple[str, int]]) -> dict[str, int]:
        found: dict[str, int] = {}
        for reason, place in places:
            if count := now.values[place] - past.values[place]:
                found[reason] = found.get(reason, 0) + count
        return found

    return Recent(
        received=moved(_RECEIVED),
        written=moved(_WRITTEN),
        rejected=split(_REJECTED),
        dropped=split(_DROPPED),
        udp_kernel_drops=moved(_KERNEL_DROPS),
        write_errors=split(_WRITE_ERRORS),
        auth_failures=split(_AUTH_FAILURES),
        pauses=moved(_PAUSES),
        worker_restarts=moved(_RESTARTS),
    )
