"""Blocks of records for tests, an observer of them, and what it told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from formats import FORMATS
from formats.record import Enrichment
from ingestd.observe.condition import Condition
from ingestd.observe.messages import Heartbeat, Match, Observation, Rejected
from ingestd.observe.observer import Observer
from ingestd.stats import OBSERVED, Board, index

Record = Mapping[str, object]
RECEIVED_AT = "2026-11-20T12:00:00.000000Z"


def record(level: str = "INFO", service: str = "api", message: str = "x", **more: object) -> Record:
    """In the stored form, so that a block of them goes the fast way."""
    return {"timestamp": RECEIVED_AT, "level": level, "service": service, "message": message, **more}


def block(records: Iterable[Record]) -> bytes:
    return b"".join(
        json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for record in records
    )


class KeepingTeller:
    """Keeps what it is told, while it has room."""

    def __init__(self) -> None:
        self.told: list[Observation] = []
        self.has_room = True

    def tell(self, observation: Observation) -> None:
        self.told.append(observation)

    def push(self) -> bool:
        return self.has_room


class Observed:
    """An observer whose timer the test is."""

    def __init__(self, *conditions: Condition) -> None:
        self.board = Board(1)
        self.slot = self.board.slot(0)
        self.teller = KeepingTeller()
        self.timers: list[Callable[[], None]] = []
        self.sources: dict[str, int] = {}
        self.observer = Observer(
            0,
            conditions,
            self.teller,
            self.slot,
            lambda _, flush: self.timers.append(flush),
            lambda: self.sources,
        )

    def take(self, data: bytes, format_: str = "json") -> None:
        """A block of bytes, as a pipeline takes it."""
        context = Enrichment({"hostname": b'"vm"'}).at(RECEIVED_AT, "unknown", self.observer.wanted)
        for encoded in FORMATS[format_].encode(data, context):
            if encoded.records:
                self.observer.take(encoded)

    def flush(self) -> None:
        """Let the timer pass."""
        timers, self.timers = self.timers, []
        for flush in timers:
            flush()

    def cut(self) -> dict[str, int]:
        """What was too much, and how often."""
        counts = {fact: self.slot[index("ingestd_observations_cut_total", fact)] for fact in OBSERVED}
        return {fact: count for fact, count in counts.items() if count}

    @property
    def matches(self) -> list[Match]:
        return [match for told in self.teller.told for match in told.matches]

    @property
    def counts(self) -> dict[tuple[str, str], int]:
        """Matches by rule and service."""
        counts: Counter[tuple[str, str]] = Counter()
        for match in self.matches:
            counts[match.rule, match.service] += match.count
        return dict(counts)

    @property
    def services(self) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for told in self.teller.told:
            counts.update(told.services)
        return dict(counts)

    @property
    def heartbeats(self) -> list[Heartbeat]:
        return [heartbeat for told in self.teller.told for heartbeat in told.heartbeats]

    @property
    def rejects(self) -> list[Rejected]:
        return [rejected for told in self.teller.told for rejected in told.rejects]


def errors(count: int, services: Sequence[str]) -> list[Record]:
    """Records of ERROR, of each of the services in turn."""
    return [record("ERROR", services[number % len(services)], f"failed {number}") for number in range(count)]
