"""Framing by length: each message behind its length as a varint, as Protobuf's `writeDelimitedTo` does it.

    varint length (1 to 10 bytes) | message        https://protobuf.dev/programming-guides/encoding/#varints

The framer walks from length to length, which is all it costs, and returns the whole frames as they came,
together with where each begins, so that nobody need walk again. A message over the limit is skipped, as its
length is known. A length that is no varint of 64 bits loses the boundary: the frames before it are returned, and
the next call raises.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from formats import kernel
from formats.errors import FrameError

if kernel.COMPILED:
    from formats.kernel import delimited as walks

Positions = NDArray[np.int64]

_EXCERPT_BYTES = 1024
_VARINT_BYTES = 10  # 64 bits, seven a byte


class Frames(bytes):
    """Whole frames, and the position of each: not empty, ascending, the first 0. Made by `frames`."""

    starts: Positions


def frames(data: bytes, starts: Positions) -> Frames:
    """Whole frames that begin at `starts` and end with `data`."""
    made = Frames(data)
    made.starts = starts
    return made


def cut(data: bytes) -> tuple[Frames, bytes]:
    """The whole frames of `data`, and the rest behind them: a frame cut short, or a length that is none."""
    starts, end = _walk(data)
    return frames(data[:end], starts), data[end:]


def read_length(data: bytes, position: int) -> tuple[int, int]:
    """A length, and the position behind it. IndexError if it is cut short, FrameError if it is none."""
    value = 0
    for index in range(_VARINT_BYTES):
        byte = data[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if value >> 64:
                break
            return value, position + index + 1
    excerpt = data[position : position + _VARINT_BYTES].hex(" ")
    raise FrameError("invalid_frame", f"not a length, a varint of at most 64 bits: {excerpt}")


class Delimited:
    """Messages behind their lengths. One longer than `limit_bytes`, its length not counted, is skipped.

    Of each message skipped, the first 1 KiB is put into `oversize`.
    """

    __slots__ = ("_error", "_limit_bytes", "_need_bytes", "_pending", "_skip_bytes", "oversize")

    def __init__(self, limit_bytes: int) -> None:
        self.oversize: list[bytes] = []
        self._limit_bytes = limit_bytes
        self._pending = bytearray()
        self._need_bytes = 0  # how long `_pending` must be for another look
        self._skip_bytes = 0  # how much is missing of a message to skip; `_pending` is then its excerpt
        self._error: FrameError | None = None

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished message is held."""
        return len(self._pending)

    def feed(self, data: bytes) -> bytes:
        """Return the whole frames that are there now, as one block; empty if none. Raises FrameError."""
        if self._error is not None:
            raise self._error
        if self._skip_bytes:
            data = self._skip(data)
        if self._pending and not self._skip_bytes:
            self._pending += data
            if len(self._pending) < self._need_bytes:
                return b""
            data = bytes(self._pending)
            self._pending = bytearray()
        if not data:
            return b""
        starts, end = _walk(data)
        if end < len(data):
            self._keep(data, end)
        block = b""
        if len(starts):
            whole = data if end == len(data) else data[:end]
            is_within = end <= self._limit_bytes
            block = frames(whole, starts) if is_within else self._within_limit(whole, starts)
        if not block and self._error is not None:
            raise self._error
        return block

    def finish(self) -> bytes:
        """Return the last frame of the stream if it is cut short; empty if there is none."""
        rest = bytes(self._pending)
        self._pending = bytearray()
        if self._skip_bytes:
            self._skip_bytes = 0
            self.oversize.append(rest)
            return b""
        return rest

    def _keep(self, data: bytes, position: int) -> None:
        """Hold on to a frame that is not whole."""
        try:
            size, body = read_length(data, position)
        except IndexError:
            self._need_bytes = 0
        except FrameError as error:
            self._error = error
            self._pending += data[position : position + _EXCERPT_BYTES]
            return
        else:
            self._need_bytes = body - position + size
            if size > self._limit_bytes:
                self._pending += data[body : body + _EXCERPT_BYTES]
                self._skip_bytes = body + size - len(data)
                return
        self._pending += memoryview(data)[position:]

    def _skip(self, data: bytes) -> bytes:
        skipped = data[: self._skip_bytes]
        self._pending += skipped[: _EXCERPT_BYTES - len(self._pending)]
        self._skip_bytes -= len(skipped)
        if self._skip_bytes:
            return b""
        self.oversize.append(bytes(self._pending))
        self._pending = bytearray()
        return data[len(skipped) :]

    def _within_limit(self, block: bytes, starts: Positions) -> bytes:
        """Leave out what came whole and is over the limit all the same."""
        ends = np.append(starts[1:], len(block))
        if int((ends - starts).max()) <= self._limit_bytes:
            return frames(block, starts)
        kept = []
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            size, body = read_length(block, start)
            if size > self._limit_bytes:
                self.oversize.append(block[body : min(end, body + _EXCERPT_BYTES)])
            else:
                kept.append(block[start:end])
        sizes = np.fromiter(map(len, kept), np.int64, len(kept))
        return frames(b"".join(kept), np.cumsum(sizes) - sizes) if kept else b""


def _walk(data: bytes) -> tuple[Positions, int]:
    """Where each whole frame begins, and where the last one ends."""
    if kernel.COMPILED:
        positions, end = walks.walk(data)
        return np.frombuffer(positions, np.int64), end
    starts, end = _walked(data)
    return np.fromiter(starts, np.int64, len(starts)), end


def _walked(data: bytes) -> tuple[list[int], int]:
    starts: list[int] = []
    append = starts.append
    position, size = 0, len(data)
    try:
        while position < size:
            end = position + 1 + data[position]
            if end - position > 0x80:  # the length goes on in the next byte
                high = data[position + 1]
                if high < 0x80:
                    end += 1 + (high << 7) - 0x80
                else:
                    length, end = read_length(data, position)
                    end += length
            if end > size:
                break
            append(position)
            position = end
    except (IndexError, FrameError):
        pass  # the rest is cut within a length, or has none: who asked looks at it
    return starts, position
