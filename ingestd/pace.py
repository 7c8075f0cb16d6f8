"""How much of a sender's input is worked on at a time, so that everybody else on the event loop gets a turn.

What a byte costs differs by a factor of a thousand: a read of good JSON takes half a millisecond, one of lines of two
bytes half a second. So input is taken in pieces, and their size is learnt from what the last ones took: a small part of
a read at first, whole reads where they cost little, a few kilobytes where they do not. Small reads are not even timed.

Limits. A piece may end anywhere, for framers join what belongs together; but what completes a record pays for all of
it, so `limits.max_record_bytes` bounds what cannot be cut. A sender that was good until now may surprise once, with
`MAX_BYTES`. The clock is the wall's: a busy machine may make pieces smaller for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

#: What a turn may take: far below the 100 ms in which a quiet client wants its answer, far above what a turn costs.
TURN_S: Final = 0.004

#: What takes so long is dear. What takes less, but more than a turn, may just have waited for the core or the
#: interpreter: it is dear the second time in a row.
SURELY_S: Final = 0.03

#: What a sender that nobody knows may have worked on at first, and any may at least and at most. `MIN_BYTES` of what
#: costs most take about a turn (benchmarks/micro_stalls.py); uvloop delivers 256 KiB, after a pause some more, at once,
#: so a sender of cheap records never has a read cut.
FIRST_BYTES: Final = 8 << 10
MIN_BYTES: Final = 2 << 10
MAX_BYTES: Final = 512 << 10


class Pace:
    """The pace of one sender."""

    __slots__ = ("_clock", "_late", "left_bytes", "size_bytes")

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """`clock` tells seconds, also within one turn of the event loop, where the loop's own stands still."""
        self._clock = clock
        self._late = False  # whether the last piece took longer than a turn
        self.size_bytes = FIRST_BYTES
        self.left_bytes = 0  # of the input under way, what is not worked on

    def steps(self, data: bytes, work: Callable[[bytes], object]) -> Iterator[None]:
        """Do `work` on `data` in pieces; yields between two of them, never behind the last."""
        position, size = 0, len(data)
        if size <= MIN_BYTES:
            work(data)
            return
        clock = self._clock
        piece = data
        while True:
            if position or size > self.size_bytes:
                piece = data[position : position + self.size_bytes]
            began_s = clock()
            work(piece)
            self._learn(len(piece), clock() - began_s)
            position += len(piece)
            self.left_bytes = size - position
            if not self.left_bytes:
                return
            yield

    def _learn(self, nbytes: int, took_s: float) -> None:
        late, self._late = self._late, took_s > TURN_S
        if took_s > (TURN_S if late else SURELY_S):
            self.size_bytes = max(MIN_BYTES, int(nbytes * TURN_S / took_s))
        elif nbytes == self.size_bytes < MAX_BYTES and took_s < TURN_S / 2:
            self.size_bytes = min(MAX_BYTES, 2 * nbytes)
