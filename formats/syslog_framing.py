"""Syslog over a stream (RFC 6587): octet counting or lines, told frame by frame by how each begins.

    frame   = MSG-LEN SP message        digits 1-9 first, at most nine of them: section 3.4.1
            / message (LF / NUL)        anything else: section 3.4.2

Lines pass as they were read. Counted messages leave as lines too, so that what follows works on lines alone; only
one that holds a LF or NUL, or begins like a count, stays counted. Lines take any text that a number of ten digits or
one without a space begins, so nothing a sender does loses the boundary. A line of text that begins with a short number
and a space is taken for a count, as the RFC has it.
"""

import re
from bisect import bisect_right

import numpy as np

from formats import kernel
from formats.framing import Lines

if kernel.COMPILED:
    from formats.kernel import syslog_frames

_COUNT = re.compile(rb"([1-9][0-9]{0,8}) ")
_UNFINISHED_COUNT = re.compile(rb"[1-9][0-9]{0,8}\Z")
_USUAL_COUNTS = {b"%d " % size: size for size in range(100, 1000)}  # a third of the time of a pattern
_EXCERPT_BYTES = 1024
_TRAILERS = b"\r\n\0"


class Frames:
    """Cuts a stream of syslog messages; a message longer than `limit_bytes` is skipped, and the stream goes on.

    Of each message skipped, the first 1 KiB is put into `oversize`.
    """

    __slots__ = (
        "_counted",
        "_digits",
        "_in_line",
        "_is_skipping",
        "_limit_bytes",
        "_lines",
        "_missing_bytes",
        "oversize",
    )

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._lines = Lines(limit_bytes)
        self.oversize = self._lines.oversize  # one list for both
        self._in_line = False
        self._digits = b""  # of what may become a count
        self._counted = bytearray()  # what has come of a counted message
        self._missing_bytes = 0  # what has not
        self._is_skipping = False

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished message is held."""
        return len(self._digits) + len(self._counted) + self._lines.pending_bytes

    def feed(self, data: bytes) -> bytes:
        """Return the whole messages that are there now, as one block, ended by LF; empty if none."""
        if self._digits:
            data = self._digits + data
            self._digits = b""
        starts = _count_starts(data)
        blocks: list[bytes] = []
        position = 0
        while position < len(data):
            if self._missing_bytes:
                position = self._take_counted(data, position, blocks)
                continue
            if not self._in_line:
                block, position = _counted_lines(data, position, self._limit_bytes)
                if block:
                    blocks.append(block)
                if position == len(data):
                    break
                count = _COUNT.match(data, position)
                if count is not None:
                    self._missing_bytes = int(count[1])
                    self._is_skipping = self._missing_bytes > self._limit_bytes
                    position = count.end()
                    continue
                if _UNFINISHED_COUNT.match(data, position):
                    self._digits = data[position:]
                    break
            position = self._take_lines(data, position, starts, blocks)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def finish(self) -> bytes:
        """Return the unfinished message at the end of the stream, its count included; empty if there is none."""
        counted, missing_bytes, digits = bytes(self._counted), self._missing_bytes, self._digits
        self._counted, self._missing_bytes, self._digits, self._in_line = bytearray(), 0, b"", False
        if missing_bytes and self._is_skipping:
            self.oversize.append(counted)
            return b""
        if missing_bytes:
            return b"%d %b" % (len(counted) + missing_bytes, counted)
        return digits or self._lines.finish()

    def _take_counted(self, data: bytes, position: int, blocks: list[bytes]) -> int:
        part = memoryview(data)[position : position + self._missing_bytes]
        self._counted += part[: _EXCERPT_BYTES - len(self._counted)] if self._is_skipping else part
        self._missing_bytes -= len(part)
        if not self._missing_bytes:
            if self._is_skipping:
                self.oversize.append(bytes(self._counted))
            else:
                blocks.append(join([bytes(self._counted)]))
            self._counted = bytearray()
        return position + len(part)

    def _take_lines(self, data: bytes, position: int, starts: list[int], blocks: list[bytes]) -> int:
        end = _run_end(data, position, starts)
        run = data[position:end].replace(b"\0", b"\n")
        if block := self._lines.feed(run):
            blocks.append(block)
        self._in_line = not run.endswith(b"\n")
        return end


def split(block: bytes) -> tuple[list[bytes], bytes] | None:
    """The messages of a block and, of a counted one cut off at its end, what is there; None if all are lines."""
    starts = _count_starts(block)
    if not starts and not _COUNT.match(block):
        return None
    messages: list[bytes] = []
    position = 0
    while position < len(block):
        frames, position = _counted_frames(block, position, len(block))
        messages += [message.rstrip(_TRAILERS) for message in frames]
        if _COUNT.match(block, position):
            return messages, block[position:]
        end = _run_end(block, position, starts)
        messages += block[position:end].replace(b"\0", b"\n").split(b"\n")
        position = end
    return messages, b""


def _counted_frames(data: bytes, position: int, limit_bytes: int) -> tuple[list[bytes], int]:
    """The counted messages that follow one another whole, and the position behind them."""
    frames: list[bytes] = []
    while True:
        size = _USUAL_COUNTS.get(data[position : position + 4])
        start = position + 4
        if size is None:
            count = _COUNT.match(data, position)
            if count is None:
                break
            size, start = int(count[1]), count.end()
        end = start + size
        if end > len(data) or size > limit_bytes:
            break
        frames.append(data[start:end])
        position = end
    return frames, position


def _counted_lines(data: bytes, position: int, limit_bytes: int) -> tuple[bytes, int]:
    """The same, joined."""
    if kernel.COMPILED:
        return syslog_frames.counted_lines(data, position, limit_bytes)
    frames, position = _counted_frames(data, position, limit_bytes)
    return join(frames) if frames else b"", position


def join(frames: list[bytes]) -> bytes:
    """Messages that came apart, such as datagrams, as one block; quickest where none ends with LF."""
    joined = b"\n".join([*frames, b""])
    is_lines = joined.count(b"\n") == len(frames) and b"\0" not in joined and b"\r" not in joined
    if is_lines and not _count_starts(joined) and not _COUNT.match(joined):
        return joined
    return b"".join(map(_as_line, frames))


def _as_line(message: bytes) -> bytes:
    message = message.rstrip(_TRAILERS)
    if b"\n" in message or b"\0" in message or _COUNT.match(message):
        return b"%d %b\n" % (len(message), message)
    return message + b"\n"


def _count_starts(data: bytes) -> list[int]:
    """Where, behind the end of a line, a digit stands that can begin a count."""
    if kernel.COMPILED:
        return syslog_frames.count_starts(data)
    octets = np.frombuffer(data, np.uint8)
    ends = octets == ord("\n")
    if b"\0" in data:
        ends |= octets == 0
    starts = np.flatnonzero(ends) + 1
    if starts.size and starts[-1] == len(data):
        starts = starts[:-1]
    found: list[int] = starts[octets[starts] - np.uint8(ord("1")) < 9].tolist()  # wraps around below "1"
    return found


def _run_end(data: bytes, position: int, starts: list[int]) -> int:
    """Where the lines from `position` on give way to a count; one cut off by the end of the data counts."""
    for index in range(bisect_right(starts, position), len(starts)):
        start = starts[index]
        if _COUNT.match(data, start) or _UNFINISHED_COUNT.match(data, start):
            return start
    return len(data)
