"""Framing: from the bytes of a stream to blocks of whole frames.

A framer is fed what a read brought and returns all the whole frames that are now there, as one block; it
does not cut them apart, since the formats work on blocks. When a read ends on a frame's end and nothing
waits, the block is the very object that was read. What is unfinished waits in one growing buffer, so that
a sender of single bytes costs linear time, and is never longer than the limit.
"""

from typing import Protocol

import numpy as np

_EXCERPT_BYTES = 1024


class Framer(Protocol):
    """Cuts a stream into blocks of whole frames; its owner drains `oversize`."""

    oversize: list[bytes]

    @property
    def pending_bytes(self) -> int: ...
    def feed(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


class Lines:
    """Lines ended by LF. One longer than `limit_bytes`, its LF not counted, is skipped; the stream goes on.

    Of each line skipped, the first 1 KiB is put into `oversize`.
    """

    __slots__ = ("_limit_bytes", "_pending", "_skipping", "oversize")

    def __init__(self, limit_bytes: int) -> None:
        self.oversize: list[bytes] = []
        self._limit_bytes = limit_bytes
        self._pending = bytearray()
        self._skipping = False  # `_pending` is then the excerpt of a line whose LF has not come

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished line is held."""
        return len(self._pending)

    def feed(self, data: bytes) -> bytes:
        """Return the whole lines that are there now, as one block, each ended by LF; empty if none."""
        if self._skipping:
            data = self._skip(data)
        end = data.rfind(b"\n") + 1
        if end == 0:
            self._keep(data)
            return b""
        if self._pending:
            block = b"".join((self._pending, memoryview(data)[:end]))
            self._pending = bytearray()
        elif end == len(data):
            block = data
        else:
            block = data[:end]
        if end < len(data):
            self._keep(memoryview(data)[end:])
        return block if len(block) <= self._limit_bytes else self._within_limit(block)

    def finish(self) -> bytes:
        """Return the last line of the stream if it lacks its LF; empty if there is none."""
        rest = bytes(self._pending)
        self._pending = bytearray()
        if self._skipping:
            self._skipping = False
            self.oversize.append(rest)
            return b""
        return rest

    def _keep(self, rest: bytes | memoryview) -> None:
        if len(self._pending) + len(rest) <= self._limit_bytes:
            self._pending += rest
            return
        self._pending += rest[:_EXCERPT_BYTES]
        del self._pending[_EXCERPT_BYTES:]
        self._skipping = True

    def _skip(self, data: bytes) -> bytes:
        end = data.find(b"\n")
        head = data if end < 0 else data[:end]
        self._pending += head[: _EXCERPT_BYTES - len(self._pending)]
        if end < 0:
            return b""
        self._skipping = False
        self.oversize.append(bytes(self._pending))
        self._pending = bytearray()
        return data[end + 1 :]

    def _within_limit(self, block: bytes) -> bytes:
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10) + 1
        starts = np.concatenate(([0], ends[:-1]))
        too_long = np.flatnonzero(ends - starts > self._limit_bytes + 1)
        if not too_long.size:
            return block
        kept, position = [], 0
        for start, end in zip(starts[too_long].tolist(), ends[too_long].tolist(), strict=True):
            self.oversize.append(block[start : min(end - 1, start + _EXCERPT_BYTES)])
            kept.append(block[position:start])
            position = end
        kept.append(block[position:])
        return b"".join(kept)
