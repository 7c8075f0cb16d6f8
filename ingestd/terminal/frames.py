"""The frames of a segment file that may still be written, may be torn, and may have come from anywhere.

A file is walked from description to description (docs/formats.md), and a frame is decompressed only when its lines are
wanted. Where a frame should begin and none does, the walk goes on at the next description that can be found, and tells
of the gap. What is incomplete at the end of a file that is being written is left for later.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec
import zstandard

from ingestd.store.segment import DESCRIPTION_MAGIC, HEADER, ZSTD_MAGIC, Description, decode_description

#: What ingestd writes is below half of this, with all the services and clients that a description may list.
MAX_DESCRIPTION_BYTES: Final = 1 << 20

#: More lines than any writer puts into one frame: a batch has at most 1 GB. A frame that claims more is not opened.
MAX_LINES_BYTES: Final = 4 << 30

#: The layout that is read here.
VERSION: Final = 1

#: Most descriptions are shorter, so that one read gets one.
_FIRST_READ_BYTES: Final = 1024
_SEARCH_BYTES: Final = 1 << 20
_MAGIC: Final = re.compile(re.escape(DESCRIPTION_MAGIC.to_bytes(4, "little")))


class Frame(NamedTuple):
    """One complete frame: where its description begins, where its data does, and where the next one is."""

    description: Description
    start: int
    data_start: int
    end: int


class Gap(NamedTuple):
    """Bytes of a file that cannot be read, and why."""

    start: int
    end: int
    why: str


class DamagedError(Exception):
    """The data of a frame is not what its description says; `str()` says why."""


class _IncompleteError(Exception):
    """The file ends within the frame."""


def walk(fd: int, start: int, end: int, *, final: bool) -> Iterator[Frame | Gap]:
    """What is in the bytes from `start` to `end`, in order.

    Stops before a frame that `end` cuts, which in a `final` file is a gap too. Raises `OSError`.
    """
    while start < end:
        try:
            frame = _frame_at(fd, start, end)
        except (DamagedError, _IncompleteError) as error:
            incomplete = isinstance(error, _IncompleteError)
            if incomplete and not final:
                return
            found = _search(fd, start + 1, end)
            if found is None and not final:
                return  # more may come that says where to go on
            yield Gap(
                start, end if found is None else found, "a frame is cut short" if incomplete else str(error)
            )
            start = end if found is None else found
        else:
            yield frame
            start = frame.end


def lines_of(fd: int, frame: Frame) -> bytes:
    """The LF-ended lines of a frame. Raises `DamagedError` and `OSError`."""
    description = frame.description
    data = os.pread(fd, description.frame_bytes, frame.data_start)
    try:
        if zstandard.frame_content_size(data) != description.lines_bytes:
            raise DamagedError("its length is not what its description says")
        lines = zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise DamagedError(f"it cannot be decompressed: {error}") from error
    if len(lines) != description.lines_bytes:
        raise DamagedError("its length is not what its description says")
    return lines


def _frame_at(fd: int, start: int, end: int) -> Frame:
    head = os.pread(fd, min(_FIRST_READ_BYTES, end - start), start)
    if len(head) < HEADER.size:
        raise _IncompleteError
    magic, length = HEADER.unpack_from(head)
    if magic != DESCRIPTION_MAGIC or length > MAX_DESCRIPTION_BYTES:
        raise DamagedError("no frame begins here")
    data_start = start + HEADER.size + length
    if data_start > end:
        raise _IncompleteError
    if data_start - start > len(head):
        head += os.pread(fd, data_start - start - len(head), start + len(head))
    try:
        description = decode_description(head[HEADER.size : HEADER.size + length])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedError("the description of a frame cannot be read") from error
    if description.v != VERSION:
        raise DamagedError(f"it is of layout {description.v}, and this ingestd reads layout {VERSION}")
    if description.frame_bytes < len(ZSTD_MAGIC) or not 0 <= description.lines_bytes <= MAX_LINES_BYTES:
        raise DamagedError("the description of a frame makes no sense")
    frame = Frame(description, start, data_start, data_start + description.frame_bytes)
    if frame.end > end:
        raise _IncompleteError
    return frame


def _search(fd: int, start: int, end: int) -> int | None:
    """Where the next description begins that can be read, its frame complete or not."""
    while start < end:
        piece = os.pread(fd, min(_SEARCH_BYTES, end - start), start)
        for match in _MAGIC.finditer(piece):
            try:
                _frame_at(fd, start + match.start(), end)
            except DamagedError:
                continue
            except _IncompleteError:
                if not _has_description(fd, start + match.start(), end):
                    continue
            return start + match.start()
        if len(piece) < _SEARCH_BYTES:
            return None
        start += len(piece) - 3  # a magic may lie across two pieces
    return None


def _has_description(fd: int, start: int, end: int) -> bool:
    """Whether what begins here is a description, whatever becomes of its frame."""
    _, length = HEADER.unpack(os.pread(fd, HEADER.size, start).ljust(HEADER.size, b"\xff"))
    if length > MAX_DESCRIPTION_BYTES or start + HEADER.size + length > end:
        return False
    try:
        decode_description(os.pread(fd, length, start + HEADER.size))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True
