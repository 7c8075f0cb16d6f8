"""Records by service.

Of blocks that do not know, as without compiled kernels, all are counted up to some 20,000 a second, and above that
those of one in `COUNT_EVERY`: its numbers then stand for those of the blocks between. Names are told of every block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from formats.record import Encoded
from ingestd.observe.block import Block
from ingestd.observe.gathered import MAX_SERVICES
from ingestd.observe.messages import OTHERS
from ingestd.stats import Slot, index

#: Between two observations, which are a fifth of a second apart.
COUNTED_RECORDS: Final = 4_000
COUNT_EVERY: Final = 32

_CUT: Final = index("ingestd_observations_cut_total", "service")


class _Turn:
    """Whose turn it is to be counted, among all blocks of a worker."""

    def __init__(self) -> None:
        self.exact_left = COUNTED_RECORDS  # records before only some blocks are counted
        self.blocks_left = 0  # until one is counted again
        self.uncounted = 0  # records since one was counted
        self.is_needed = False  # lately there was a block that did not know

    @property
    def has_come(self) -> bool:
        """Whether the next block that does not know is counted."""
        return self.exact_left > 0 or self.blocks_left <= 0


class ServiceCounts:
    """Since they were last taken. With a `before`, for which they are, whose turn it is is decided there."""

    def __init__(self, slot: Slot, before: ServiceCounts | None = None) -> None:
        self._slot = slot
        self._turn: _Turn = _Turn() if before is None else before._turn
        self._counts: dict[str, float] = {}
        self.estimated = False

    @property
    def due(self) -> bool:
        """Whether the next block should have the columns to be counted."""
        return self._turn.is_needed and self._turn.has_come

    def add(self, encoded: Encoded) -> None:
        """Count a block, or take note of its services."""
        names, records, turn = encoded.services, encoded.records, self._turn
        counts = dict.fromkeys(names, records) if len(names) == 1 else encoded.by_service
        turn.is_needed = counts is None
        if counts is not None:
            self._add(counts, 1)
        elif turn.has_come:
            weight = 1 + turn.uncounted / records
            self.estimated |= weight > 1
            turn.uncounted, turn.blocks_left = 0, COUNT_EVERY
            turn.exact_left -= records
            for counted in Block([encoded]).count(encoded.levels).values():
                self._add(counted, weight)
        else:
            turn.blocks_left -= 1
            turn.uncounted += records
            if not names <= self._counts.keys():
                self._add(dict.fromkeys(names, 0), 1)

    def _add(self, counts: Mapping[str, float], weight: float) -> None:
        services = self._counts
        for name, records in counts.items():
            if name not in services and len(services) >= MAX_SERVICES:
                self._slot.add(_CUT)
                name = OTHERS
            services[name] = services.get(name, 0) + records * weight

    def take_in(self, other: ServiceCounts) -> None:
        """What was counted there is received."""
        self._add(other._counts, 1)
        self.estimated |= other.estimated

    def take(self) -> dict[str, int]:
        """Records by service; from now on there are none."""
        counts, self._counts = self._counts, {}
        self._turn.exact_left, self.estimated = COUNTED_RECORDS, False
        return {name: round(records) for name, records in counts.items()}
