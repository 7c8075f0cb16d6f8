"""The accounting law, kept: every record counter of a worker moves here, and only in whole moments.

    received = written + rejected{reason} + dropped{reason} + in flight

A record is received when it was told apart, in flight while it waits for the writer, and then on exactly one of
the other sides. All methods run on the worker's event loop. A worker that dies leaves its records in flight; its
successor takes them over (a `Ledger` begins with that) and settles them when recovery has read what reached the
disk: that much was written, the rest is dropped as `worker_crash`. So no counter ever goes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from formats import FORMATS
from formats.levels import LEVELS
from formats.record import REASONS, Encoded, tally
from ingestd.stats import DISK_FAULTS, DROP_REASONS, HEARTBEAT, LATENCY_BUCKETS, TRANSPORTS, Slot, index
from ingestd.store.batch import Commit, Durable, Event, Failing, Freed, Lost, Message, Recovery

_Source = tuple[str, str]
_SOURCES: Final = tuple((format_, transport) for format_ in FORMATS for transport in TRANSPORTS)


def _places(family: str) -> dict[_Source, int]:
    return {source: index(f"ingestd_records_{family}", *source) for source in _SOURCES}


_RECEIVED: Final = _places("received_total")
_WRITTEN: Final = _places("written_total")
_IN_FLIGHT: Final = _places("in_flight")
_REJECTED: Final = {
    (*source, reason): index("ingestd_records_rejected_total", *source, reason)
    for source in _SOURCES
    for reason in REASONS
}
_DROPPED: Final = {
    (*source, reason): index("ingestd_records_dropped_total", *source, reason)
    for source in _SOURCES
    for reason in DROP_REASONS
}
_HEARTBEATS: Final = {source: index("ingestd_heartbeats_received_total", *source) for source in _SOURCES}
_LEVELS: Final = {level: index("ingestd_records_level_total", level) for level in LEVELS}
_LINES_BYTES: Final = index("ingestd_encoded_bytes_total")
_WRITTEN_BYTES: Final = index("ingestd_written_bytes_total")
_FRAMES: Final = index("ingestd_frames_written_total")
_SYNCS: Final = index("ingestd_sync_duration_seconds")
_RECOVERED: Final = index("ingestd_segments_recovered_total")
_TORN_BYTES: Final = index("ingestd_segment_torn_bytes_total")
_LATENCY: Final = index("ingestd_write_latency_seconds")
_DISK_FAILING: Final = {fault: index("ingestd_disk_failing", fault) for fault in DISK_FAULTS}


class Ledger:
    """Counts one worker's records in its slot. `freed` is called with the bytes that no longer wait for the writer."""

    def __init__(self, slot: Slot, freed: Callable[[int], None]) -> None:
        self._slot = slot
        self._freed = freed
        self._orphans = self._adopt()

    @property
    def counted_frames(self) -> int:
        """How many frames this worker number has counted as written since the daemon started."""
        return self._slot[_FRAMES]

    def _adopt(self) -> dict[_Source, int]:
        """Take over what a dead predecessor had in flight; whatever it left half counted is counted here."""
        orphans = {}
        self._disk("")
        with self._slot.moving() as values:
            for source in _SOURCES:
                refused = sum(values[_REJECTED[*source, reason]] for reason in REASONS)
                dropped = sum(values[_DROPPED[*source, reason]] for reason in DROP_REASONS)
                in_flight = values[_RECEIVED[source]] - values[_WRITTEN[source]] - refused - dropped
                values[_IN_FLIGHT[source]] = in_flight
                if in_flight:
                    orphans[source] = in_flight
        return orphans

    def beat(self, now_ns: int) -> None:
        """A block was taken: a sign of life. Behind many costly blocks the timer of the heartbeat comes late."""
        self._slot[HEARTBEAT] = now_ns

    def received(self, encoded: Encoded, transport: str) -> None:
        """A block was decoded: its good records are in flight, the others are rejected."""
        source = (encoded.format, transport)
        reasons = tally([reject.reason for reject in encoded.rejects])
        with self._slot.moving() as values:
            values[_RECEIVED[source]] += encoded.records + len(encoded.rejects)
            values[_IN_FLIGHT[source]] += encoded.records
            for level, records in encoded.levels.items():
                values[_LEVELS[level]] += records
            for reason, records in reasons.items():
                values[_REJECTED[*source, reason]] += records

    def heartbeats(self, format_: str, transport: str, heartbeats: int) -> None:
        """Heartbeats that are not stored: no records."""
        self._slot.add(_HEARTBEATS[format_, transport], heartbeats)

    def refused(self, format_: str, transport: str, reason: str, records: int) -> None:
        """Records that never came as far as a decoder: oversize, truncated."""
        with self._slot.moving() as values:
            values[_RECEIVED[format_, transport]] += records
            values[_REJECTED[format_, transport, reason]] += records

    def dropped(self, format_: str, transport: str, reason: str, records: int) -> None:
        """Records that were told apart and given up at once."""
        with self._slot.moving() as values:
            values[_RECEIVED[format_, transport]] += records
            values[_DROPPED[format_, transport, reason]] += records

    def message(self, message: Message) -> None:
        """Count what the writer told."""
        match message:
            case Freed():
                self._freed(message.nbytes)
            case Commit():
                self._commit(message)
            case Event():
                labels = (message.label,) if message.label else ()
                self._slot.add(index(message.name, *labels), message.amount)
            case Recovery():
                self._recovered(message)
            case Lost():
                self._lost(message.durable)
            case Failing():
                self._disk(message.fault)

    def _disk(self, fault: str) -> None:
        for each, place in _DISK_FAILING.items():
            self._slot[place] = int(each == fault)

    def _commit(self, commit: Commit) -> None:
        written: Counter[_Source] = Counter()
        for format_, transport, records, _ in commit.durable:
            written[format_, transport] += records
        with self._slot.moving() as values:
            # A death between these two would settle records on disk as dropped: so they are summed up before, and moved
            # in a microsecond or two.
            for source, records in written.items():
                values[_WRITTEN[source]] += records
                values[_IN_FLIGHT[source]] -= records
            values[_FRAMES] += commit.frames
            values[_LINES_BYTES] += commit.lines_bytes
            values[_WRITTEN_BYTES] += commit.written_bytes
            self._slot.observe(_SYNCS, LATENCY_BUCKETS, commit.sync_ns / 1e9, 1)
            for _, _, records, received_ns in commit.durable:
                latency_s = (commit.done_ns - received_ns) / 1e9
                self._slot.observe(_LATENCY, LATENCY_BUCKETS, latency_s, records)

    def _lost(self, lost: Iterable[Durable]) -> None:
        with self._slot.moving() as values:
            for format_, transport, records, _ in lost:
                values[_IN_FLIGHT[format_, transport]] -= records
                values[_DROPPED[format_, transport, "write_error"]] += records

    def _recovered(self, recovery: Recovery) -> None:
        """Settle the orphans: what recovery found on disk was written, the rest died with the worker; unless there are
        files that could not be read yet."""
        found = {tuple(name.split("/")): records for name, records in recovery.sources.items()}
        with self._slot.moving() as values:
            values[_RECOVERED] += recovery.segments
            values[_TORN_BYTES] += recovery.torn_bytes
            values[_FRAMES] += recovery.frames
            values[_LINES_BYTES] += recovery.lines_bytes
            values[_WRITTEN_BYTES] += recovery.written_bytes
            for source, records in self._orphans.items():
                written = min(records, found.get(source, 0))
                dropped = records - written if recovery.complete else 0
                values[_WRITTEN[source]] += written
                values[_DROPPED[*source, "worker_crash"]] += dropped
                values[_IN_FLIGHT[source]] -= written + dropped
                self._orphans[source] = records - written - dropped
