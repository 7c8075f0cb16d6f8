"""zstd from senders, within bounds: what is small on the wire may be a million times as much.

A stream (`compression=zstd` without acknowledgements) is decompressed piece by piece, each worked on before the next
comes out; a batch at once, its size known or bounded before. Both refuse a window over 8 MiB (what RFC 8878 asks a
decoder to take).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import zstandard

from formats.errors import FrameError
from ingestd.net.stream import Stream

MAX_WINDOW_BYTES: Final = 8 << 20
_PIECE_BYTES: Final = 256 << 10

#: Of compressed bytes, what is decompressed at once: with `_RATIO`, what that can become.
_STEP_BYTES: Final = 16 << 10

#: A read may become so much more: repetitive logs shrink to a hundredth, nothing honest to less than a thousandth.
_RATIO: Final = 1000
_SLACK_BYTES: Final = 4 << 20


class BombError(FrameError):
    """More came out than honest data gives."""


class Decompressor:
    """A zstd stream of one or more frames before the `Stream` of what is in them."""

    def __init__(self, stream: Stream) -> None:
        self._inner = stream
        self._room_bytes = _SLACK_BYTES
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        self._stream = decompressor.stream_writer(self, write_size=_PIECE_BYTES, closefd=False)  # type: ignore[arg-type]  # it only writes

    @property
    def pending_bytes(self) -> int:
        """How much is held of what is unfinished."""
        return self._inner.pending_bytes + self._waiting_bytes

    def feed(self, data: bytes) -> Iterator[None]:
        """Take the next bytes, in steps. Raises FrameError where they are not zstd, or a bomb, or the stream does."""
        for start in range(0, len(data), _STEP_BYTES):
            if start:
                yield
            yield from self._decompress(data[start : start + _STEP_BYTES])

    def _decompress(self, data: bytes) -> Iterator[None]:
        self._room_bytes = min(self._room_bytes, _SLACK_BYTES) + _RATIO * len(data)
        failure: FrameError | None = None
        try:
            self._stream.write(data)
        except zstandard.ZstdError as error:
            failure = FrameError("invalid_frame", f"not zstd: {error}")
        except BombError as error:
            failure = error
        pieces, self._pieces = self._pieces, []
        for number, piece in enumerate(pieces):
            if number:
                yield
            self._waiting_bytes -= len(piece)
            yield from self._inner.feed(piece)
        if failure is not None:
            raise failure  # behind what stood before it

    def write(self, piece: bytes) -> int:
        """What the stream calls with each piece that it decompressed."""
        self._room_bytes -= len(piece)
        if self._room_bytes < 0:
            raise BombError("invalid_frame", f"zstd of more than {_RATIO} times its size")
        self._pieces.append(bytes(piece))
        self._waiting_bytes += len(piece)
        return len(piece)

    def finish(self, clean: bool) -> None:
        """The stream has ended; what a frame cut short holds beyond its whole blocks never came out."""
        self._inner.finish(clean)


def decompress_batch(payload: bytes, max_bytes: int) -> bytes:
    """One batch, one zstd frame. Raises FrameError where it is none, or larger than `max_bytes`."""
    try:
        size = zstandard.frame_content_size(payload)
        if size > max_bytes:
            raise FrameError(
                "oversize", f"a batch of {size} bytes, over limits.max_batch_bytes = {max_bytes}"
            )
        return zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompress(
            payload, max_output_size=0 if size >= 0 else max_bytes, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise FrameError(
            "invalid_frame", f"not one zstd frame of at most {max_bytes} bytes: {error}"
        ) from error
