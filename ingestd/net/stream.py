"""A sender's stream into its `Door` (pipeline.py), piece by piece, so that what costs much is done in several turns."""

from __future__ import annotations

from collections.abc import Iterator

from ingestd.pace import Pace
from ingestd.pipeline import Door


class Stream:
    """One sender's stream, without acknowledgements."""

    __slots__ = ("_door", "_pace")

    def __init__(self, door: Door) -> None:
        self._door = door
        self._pace = Pace()

    @property
    def pending_bytes(self) -> int:
        """How much is held of what is unfinished."""
        return self._door.pending_bytes + self._pace.left_bytes

    def feed(self, data: bytes) -> Iterator[None]:
        """Take the next bytes, in steps. Raises FrameError, as `Door.feed`."""
        return self._pace.steps(data, self._door.feed)

    def finish(self, clean: bool) -> None:
        self._door.finish(clean)
