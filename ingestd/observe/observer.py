"""What one worker notices, gathered over many blocks and told to the sidecar some five times a second.

    take      a block of a stream is received (sight.py)
    sight     what is seen of a numbered batch is kept apart, until `take_in`: it is received
    flush     tells all of it; by a timer that runs while there is something to tell

Memory is bounded whatever the senders do. What there is no room for is told without telling it apart, or left out, and
counted by `ingestd_observations_cut_total`.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Final, Protocol

from formats import heartbeats
from formats.cores import ALL_COLUMNS, Wanted
from formats.record import Encoded
from ingestd.observe.condition import Condition
from ingestd.observe.messages import SAMPLE_BYTES, Heartbeat, Observation, Rejected
from ingestd.observe.sight import Rules, Sight
from ingestd.stats import OBSERVED, Slot, index

FLUSH_S: Final = 0.2

#: Nodes and their services with a heartbeat, between two observations.
MAX_HEARTBEATS: Final = 10_000

#: Examples of rejected records, of each reason and second.
MAX_REJECTS: Final = 5

#: Sources that are told with their connections: those that have the most.
MAX_SOURCES: Final = 100

#: Each so many looks around, who is connected is told although nothing has changed.
TELL_AGAIN: Final = 10

_CUT: Final = {fact: index("ingestd_observations_cut_total", fact) for fact in OBSERVED}


class Teller(Protocol):
    """Takes observations, when it has sent those before."""

    def tell(self, observation: Observation) -> None: ...
    def push(self) -> bool: ...


#: A refused record: reason, data, detail.
Rejection = tuple[str, bytes, str]


class Sender(Protocol):
    """Whom records came from."""

    @property
    def transport(self) -> str: ...
    @property
    def source(self) -> str: ...


class Observer:
    """One worker's. `later` calls a function after so many seconds; `sources` has the open connections by source."""

    def __init__(
        self,
        worker: int,
        conditions: Sequence[Condition],
        teller: Teller,
        slot: Slot,
        later: Callable[[float, Callable[[], None]], object],
        sources: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._worker = worker
        self._rules = Rules(conditions)
        self._sight = Sight(self._rules, slot)
        self._teller = teller
        self._slot = slot
        self._later = later
        self._sources = sources
        self._told_sources: dict[str, int] = {}
        self._armed = False
        self._second = 0
        self._examples: Counter[str] = Counter()  # told of each reason this second
        self._heartbeats: dict[tuple[str, str], Heartbeat] = {}
        self._rejects: list[Rejected] = []
        self._sources_changed = False
        self._looks = 0

    @property
    def wanted(self) -> Wanted:
        """What is wanted of the next block."""
        wanted = self._rules.wanted
        return (
            ALL_COLUMNS._replace(search=wanted.search, pairs=wanted.pairs)
            if self._sight.services.due
            else wanted
        )

    def take(self, encoded: Encoded) -> None:
        """A block of a stream, with at least one record, is received. Its columns will be let go."""
        self._sight.add(encoded)
        self._arm()

    def sight(self) -> Sight:
        """What is going to be seen of a batch."""
        return Sight(self._rules, self._slot, self._sight)

    def take_in(self, sight: Sight) -> None:
        """A batch is received."""
        self._sight.take_in(sight)
        self._arm()

    def hear(self, heartbeat: heartbeats.Heartbeat, source: str, received_ns: int) -> None:
        """A heartbeat is received from this IP address. Without a node's name it is of this address."""
        node, service, timestamp, interval_s, version = heartbeat
        key = node or source, service
        if key not in self._heartbeats and len(self._heartbeats) >= MAX_HEARTBEATS:
            self._slot.add(_CUT["heartbeat"])
            return
        self._heartbeats[key] = Heartbeat(*key, timestamp, received_ns, interval_s, version, source)
        self._arm()

    def reject(self, rejected: Sequence[Rejection], format_: str, sender: Sender, time_: str) -> None:
        """Records are refused: some of them become examples."""
        second = int(time.monotonic())
        if second != self._second:
            self._second = second
            self._examples.clear()
        left_out = 0
        for reason, data, detail in rejected:
            if self._examples[reason] >= MAX_REJECTS:
                left_out += 1
                continue
            self._examples[reason] += 1
            text = data[:SAMPLE_BYTES].decode(errors="backslashreplace")[:SAMPLE_BYTES]
            self._rejects.append(
                Rejected(reason, detail, text, format_, sender.transport, sender.source, time_)
            )
        self._slot.add(_CUT["reject"], left_out)
        self._arm()

    def look_around(self) -> None:
        """Once a second: who is connected? Told when that changes, and now and then to who has just come."""
        self._looks += 1
        again = bool(self._told_sources) and not self._looks % TELL_AGAIN
        if again or self._top_sources() != self._told_sources:
            self._sources_changed = True
            self._arm()

    def _top_sources(self) -> dict[str, int]:
        sources = self._sources()
        if len(sources) <= MAX_SOURCES:
            return dict(sources)
        return dict(heapq.nlargest(MAX_SOURCES, sources.items(), key=itemgetter(1)))

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            self._later(FLUSH_S, self.flush)

    def flush(self) -> None:
        """Tell what there is to tell, unless what was told before has not found room yet."""
        self._armed = False
        if not self._teller.push():
            self._arm()
            return
        sources = None
        if self._sources_changed:
            self._sources_changed = False
            sources = self._told_sources = self._top_sources()
            left_out = len(self._sources()) - len(sources)
            self._slot.add(_CUT["source"], left_out)
        heartbeats, self._heartbeats = self._heartbeats, {}
        rejects, self._rejects = self._rejects, []
        estimated = self._sight.services.estimated
        self._teller.tell(
            Observation(
                self._worker,
                self._sight.take_matches(),
                list(heartbeats.values()),
                rejects,
                self._sight.services.take(),
                estimated,
                sources,
            )
        )
