"""The framing of Avro: an object container file as a stream, block by block.

    header = "Obj" 01 | map of bytes: avro.schema, avro.codec | sync: 16 bytes
    block  = count | size | size bytes | sync                  counts and sizes: zigzag varints
    https://avro.apache.org/docs/1.12.0/specification/#object-container-files

The framer returns whole blocks behind the header they belong to: each time a container file of its own, that can
be decoded without any other. Nothing is allocated for what is only announced. A block over the limit is skipped.
Another file may follow where a block ends, since no count begins like a header. A wrong sync marker, or a size that
is none, loses the boundary: the blocks before it are returned, and the next call raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from formats.errors import FrameError

MAGIC = b"Obj\x01"
SYNC_BYTES = 16

_HEADER_BYTES = 1 << 20  # most of a header: schemas have some KB
_ENTRIES = 100  # most of a header's map
_VARINT_BYTES = 10
_EXCERPT_BYTES = 1024


class Header(NamedTuple):
    """What stands before the blocks. `data` are all its bytes."""

    data: bytes
    schema: bytes
    codec: str
    sync: bytes


class Block(NamedTuple):
    """A block as it stands in the file, `data` compressed; `end` is the position behind its sync marker."""

    records: int
    data: bytes
    end: int


class Short(Exception):  # noqa: N818  # not an error of the sender: more is to come
    """There must be at least `position` bytes, counted from the beginning, before another look is worth it."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class Oversize(Exception):  # noqa: N818  # the stream goes on
    """The `size` bytes from `position` on are a block over the limit."""

    def __init__(self, position: int, size: int) -> None:
        super().__init__(position, size)
        self.position = position
        self.size = size


def read_long(data: bytes, position: int) -> tuple[int, int]:
    """A zigzag varint, and the position behind it. IndexError if it is cut short, ValueError if it is none."""
    value = 0
    for index in range(_VARINT_BYTES):
        byte = data[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if value >> 64:
                break
            return (value >> 1) ^ -(value & 1), position + index + 1
    raise ValueError("a varint of more than 64 bits")


def read_header(data: bytes, start: int) -> tuple[Header, int]:
    """The header at `start`, and the position behind it. Raises Short and FrameError."""
    if not MAGIC.startswith(data[start : start + len(MAGIC)]):
        raise _lost(f"not an Avro container file: {data[start : start + len(MAGIC)]!r}")
    found: dict[bytes, bytes] = {}
    position, entries = start + len(MAGIC), 0
    while True:
        count, position = _read_size(data, position, "entries of the header", negative=True)
        if count < 0:  # then the size of these entries in bytes follows
            count = -count
            _, position = _read_size(data, position, "bytes of the header")
        if count == 0:
            break
        entries += count
        if entries > _ENTRIES:
            raise _lost(f"more than {_ENTRIES} entries in the header")
        for _ in range(count):
            name, position = _read_bytes(data, position, start)
            found[name], position = _read_bytes(data, position, start)
    end = position + SYNC_BYTES
    if end > len(data):
        raise Short(end)
    codec = found.get(b"avro.codec", b"null").decode("utf-8", "replace")
    return Header(data[start:end], found.get(b"avro.schema", b""), codec, data[position:end]), end


def read_block(data: bytes, start: int, sync: bytes, limit_bytes: int | None = None) -> Block:
    """The block at `start`. Raises Short, Oversize and FrameError."""
    count, position = _read_size(data, start, "records of a block")
    size, position = _read_size(data, position, "bytes of a block")
    if limit_bytes is not None and size > limit_bytes:
        raise Oversize(position, size)
    end = position + size
    if end + SYNC_BYTES > len(data):
        raise Short(end + SYNC_BYTES)
    check_sync(data, end, sync)
    return Block(count, data[position:end], end + SYNC_BYTES)


def check_sync(data: bytes, position: int, sync: bytes) -> None:
    """Raises Short, and FrameError if it is another sync marker than the header's."""
    if position + SYNC_BYTES > len(data):
        raise Short(position + SYNC_BYTES)
    if data[position : position + SYNC_BYTES] != sync:
        raise _lost("a block does not end in the sync marker of the header")


def is_header(data: bytes, position: int) -> bool:
    """Whether a header begins here: its first byte would be a negative count."""
    return data[position] == MAGIC[0]


def _read_size(data: bytes, position: int, what: str, negative: bool = False) -> tuple[int, int]:
    try:
        size, behind = read_long(data, position)
    except IndexError:
        raise Short(len(data) + 1) from None
    except ValueError as error:
        raise _lost(f"{what}: {error}") from None
    if size < 0 and not negative:
        raise _lost(f"{size} {what}")
    return size, behind


def _read_bytes(data: bytes, position: int, start: int) -> tuple[bytes, int]:
    size, position = _read_size(data, position, "bytes in the header")
    end = position + size
    if end - start > _HEADER_BYTES:
        raise _lost(f"a header of more than {_HEADER_BYTES} bytes")
    if end > len(data):
        raise Short(end)
    return data[position:end], end


def _lost(detail: str) -> FrameError:
    return FrameError("invalid_frame", detail)


class Container:
    """Container files. A block of more than `limit_bytes`, compressed as it is, is skipped.

    Of each block skipped, the first 1 KiB is put into `oversize`. `check` is called with each header; it raises
    FrameError for one of which nothing can be decoded.
    """

    __slots__ = (
        "_check",
        "_error",
        "_header",
        "_limit_bytes",
        "_need_bytes",
        "_pending",
        "_skip_bytes",
        "_skipped",
        "oversize",
    )

    def __init__(self, limit_bytes: int, check: Callable[[Header], object] = len) -> None:
        self.oversize: list[bytes] = []
        self._check = check
        self._limit_bytes = limit_bytes
        self._header: Header | None = None
        self._pending = bytearray()
        self._need_bytes = 0  # how long `_pending` must be for another look
        self._skip_bytes = 0  # how much is missing of a block to skip
        self._skipped: bytearray | None = None  # its excerpt, until its sync marker was seen
        self._error: FrameError | None = None

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished block or header is held."""
        return len(self._pending) + len(self._skipped or b"")

    def feed(self, data: bytes) -> bytes:
        """Return the whole blocks that are there now, behind their header; empty if none. Raises FrameError."""
        if self._error is not None:
            raise self._error
        if self._skip_bytes:
            data = self._skip(data, 0)
        if self._pending:
            self._pending += data
            if len(self._pending) < self._need_bytes:
                return b""
            data = bytes(self._pending)
            self._pending = bytearray()
        pieces: list[bytes] = []
        position = 0
        try:
            while position < len(data):
                position = self._step(data, position, pieces)
        except Short as short:
            self._need_bytes = short.position - position
            self._pending += memoryview(data)[position:]
        except FrameError as error:
            self._error = error
            self._pending += data[position : position + _EXCERPT_BYTES]
            if not pieces:
                raise
        return b"".join(pieces)

    def finish(self) -> bytes:
        """Return what the stream ended within, behind its header; empty if it ended with a block."""
        rest = bytes(self._pending)
        self._pending = bytearray()
        if self._skipped is not None:
            self.oversize.append(bytes(self._skipped))
            self._skipped, self._skip_bytes = None, 0
            return b""
        return rest and (self._header.data if self._header else b"") + rest

    def _step(self, data: bytes, position: int, pieces: list[bytes]) -> int:
        """Take one header, block or sync marker; returns the position behind it."""
        if self._skipped is not None:
            assert self._header is not None
            check_sync(data, position, self._header.sync)
            self.oversize.append(bytes(self._skipped))
            self._skipped = None
            return position + SYNC_BYTES
        if self._header is None or is_header(data, position):
            header, position = read_header(data, position)
            self._check(header)
            self._header = header
            if pieces:
                pieces.append(header.data)
            return position
        try:
            end = read_block(data, position, self._header.sync, self._limit_bytes).end
        except Oversize as oversize:
            self._skip_bytes, self._skipped = oversize.size, bytearray()
            return len(data) - len(self._skip(data, oversize.position))
        if not pieces:
            pieces.append(self._header.data)
        pieces.append(data[position:end])
        return end

    def _skip(self, data: bytes, position: int) -> bytes:
        """Leave out what belongs to a block over the limit; returns what stands behind it."""
        assert self._skipped is not None
        end = min(position + self._skip_bytes, len(data))
        self._skipped += data[position : min(end, position + _EXCERPT_BYTES - len(self._skipped))]
        self._skip_bytes -= end - position
        return data[end:]
