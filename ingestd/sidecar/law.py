"""The accounting law as JSON: the record counters of a slot, or of the sum of all, by format and transport.

    received = written + rejected{reason} + dropped{reason} + in flight

The places are looked up once; reading them out of a snapshot is then indexing alone. The law is linear, so what
holds in each slot holds in their sum.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from ingestd.stats import METRICS, TRANSPORTS, index

FAMILIES: Final = {metric.name: metric for metric in METRICS}
RECEIVED: Final = "ingestd_records_received_total"
WRITTEN: Final = "ingestd_records_written_total"
REJECTED: Final = "ingestd_records_rejected_total"
DROPPED: Final = "ingestd_records_dropped_total"
IN_FLIGHT: Final = "ingestd_records_in_flight"


class Records(msgspec.Struct):
    """One format over one transport: the two sides of the law. Only reasons that occurred are named."""

    received: int
    written: int
    rejected: dict[str, int]
    dropped: dict[str, int]
    in_flight: int


class Totals(msgspec.Struct):
    """The law, summed over formats, transports and reasons."""

    received: int
    written: int
    rejected: int
    dropped: int
    in_flight: int


def places_of(name: str) -> tuple[int, ...]:
    """The places of every series of a family."""
    return tuple(index(name, *values) for values in FAMILIES[name].series)


def by_last_label(name: str, *first: str) -> tuple[tuple[str, int], ...]:
    """(value of the last label, place) of the series of a family whose other labels start with `first`."""
    return tuple(
        (values[-1], index(name, *values))
        for values in FAMILIES[name].series
        if values[: len(first)] == first
    )


class _RecordPlaces(msgspec.Struct, frozen=True):
    received: int
    written: int
    rejected: tuple[tuple[str, int], ...]
    dropped: tuple[tuple[str, int], ...]
    in_flight: int


_RECORDS: Final[dict[str, dict[str, _RecordPlaces]]] = {
    name: {
        transport: _RecordPlaces(
            index(RECEIVED, name, transport),
            index(WRITTEN, name, transport),
            by_last_label(REJECTED, name, transport),
            by_last_label(DROPPED, name, transport),
            index(IN_FLIGHT, name, transport),
        )
        for transport in TRANSPORTS
    }
    for name in dict.fromkeys(values[0] for values in FAMILIES[RECEIVED].series)
}


def moved(values: Sequence[int], places: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Sums by name, of the series that moved."""
    sums: dict[str, int] = {}
    for name, place in places:
        if values[place]:
            sums[name] = sums.get(name, 0) + values[place]
    return sums


def records_of(values: Sequence[int]) -> dict[str, dict[str, Records]]:
    """Every format and transport, those at 0 included."""
    return {
        name: {
            transport: Records(
                values[places.received],
                values[places.written],
                moved(values, places.rejected),
                moved(values, places.dropped),
                values[places.in_flight],
            )
            for transport, places in transports.items()
        }
        for name, transports in _RECORDS.items()
    }


def totals_of(records: Mapping[str, Mapping[str, Records]]) -> Totals:
    """The same law in five numbers."""
    parts = [part for transports in records.values() for part in transports.values()]
    return Totals(
        sum(part.received for part in parts),
        sum(part.written for part in parts),
        sum(sum(part.rejected.values()) for part in parts),
        sum(sum(part.dropped.values()) for part in parts),
        sum(part.in_flight for part in parts),
    )
