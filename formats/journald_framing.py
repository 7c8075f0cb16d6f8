"""The framing of the journal: the export format, or one JSON object per line, told by the first byte of a stream.

    entry = *( name "=" text LF / name LF length data LF ) LF        length: u64, little endian, of data
    https://systemd.io/JOURNAL_EXPORT_FORMATS/#journal-export-format

Binary data may hold anything, empty lines too. But a length below 2^56 has a zero byte, so a stretch without one
holds text alone, where the last empty line ends the last entry; only the rest is walked, by a compiled kernel
(formats.kernel) or a run of text fields at a time. A line without `=` before eight bytes of which none is zero is no
binary field but odd text, and no boundary is lost for it. One that is, and longer than systemd itself takes or not
followed by LF, loses it: what was whole is returned, and the next call raises. An entry over the limit is skipped.
"""

import re

from formats import kernel
from formats.errors import FrameError
from formats.framing import Framer, Lines

if kernel.COMPILED:
    from formats.kernel import journal_frames

DATA_LIMIT_BYTES = 768 << 20  # systemd, src/shared/journal-importer.h: DATA_SIZE_MAX
LENGTH_BYTES = 8
CUT_OFF = -1
TEXT_FIELDS = re.compile(rb"(?:[^\n=]*+=[^\n]*+\n)*+")
NAME_LIMIT_BYTES = 64  # as systemd has it: journal_field_valid
JSON_STARTS = b"{ \t\r"  # what no field begins with, and a line of JSON may

_EXCERPT_BYTES = 1024
_APART = b"\n" * LENGTH_BYTES  # between entries that did not follow one another: none is part of a length
_AHEAD_BYTES = 1 + LENGTH_BYTES  # that are looked at to tell that an entry has ended before them
_LF = ord("\n")
_EQUALS = ord("=")


class Journal:
    """Cuts a stream of journal entries. An entry or a line longer than `limit_bytes` is skipped.

    Of each one skipped, the first 1 KiB is put into `oversize`. A block begins with a byte of `JSON_STARTS` if, and
    only if, it is lines of JSON.
    """

    __slots__ = ("_framer", "_is_json", "_limit_bytes", "oversize")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._framer: Framer = Export(limit_bytes)
        self._is_json: bool | None = None  # None until the first byte
        self.oversize = self._framer.oversize

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished entry is held."""
        return self._framer.pending_bytes

    def feed(self, data: bytes) -> bytes:
        """Return the whole entries that are there now, as one block; empty if none. Raises FrameError."""
        if self._is_json is None and data:
            self._is_json = data[0] in JSON_STARTS
            if self._is_json:
                self._framer = Lines(self._limit_bytes)
                self.oversize = self._framer.oversize
        return self._marked(self._framer.feed(data))

    def finish(self) -> bytes:
        """Return the last entry of the stream if its end is missing; empty if there is none."""
        return self._marked(self._framer.finish())

    def _marked(self, block: bytes) -> bytes:
        """The block, behind an empty line if it begins like what the stream is not."""
        if not block or (block[0] in JSON_STARTS) == self._is_json:
            return block
        return (b" \n" if self._is_json else b"\n") + block


class Export:
    """Cuts the export format into blocks of whole entries, each ended by its empty line."""

    __slots__ = (
        "_at",
        "_drop_bytes",
        "_error",
        "_excerpt",
        "_is_text",
        "_limit_bytes",
        "_pending",
        "_searched",
        "oversize",
    )

    def __init__(self, limit_bytes: int) -> None:
        self.oversize: list[bytes] = []
        self._limit_bytes = limit_bytes
        self._pending = bytearray()  # begins where an entry does; what is skipped is taken out
        self._is_text = True  # there is no zero byte in `_pending`, and nothing is being skipped
        self._at = 0  # the field to look at next
        self._searched = 0  # up to where the end of its line has been looked for
        self._excerpt: bytes | None = None  # of the entry that is being skipped
        self._drop_bytes = 0  # of its data, still to come
        self._error: FrameError | None = None

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished entry is held."""
        return len(self._pending)

    def feed(self, data: bytes) -> bytes:
        """Return the whole entries that are there now, as one block; empty if none. Raises FrameError."""
        self._check()
        if self._is_text and b"\0" not in data and len(self._pending) + len(data) <= self._limit_bytes:
            return self._feed_text(data)
        if self._drop_bytes:
            dropped = min(self._drop_bytes, len(data))
            self._drop_bytes -= dropped
            data = data[dropped:]
        self._pending += data
        block = self._walk()
        if not block:
            self._check()
        return block

    def finish(self) -> bytes:
        """Return the last entry of the stream if its end is missing; empty if there is none."""
        rest = bytes(self._pending)
        self._pending = bytearray()
        if self._excerpt is not None:
            self.oversize.append(self._excerpt)
            self._excerpt = None
            return b""
        return rest

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _feed_text(self, data: bytes) -> bytes:
        """Take data without a binary field; one may only begin at its end."""
        pending = self._pending
        end = data.rfind(b"\n\n") + 2
        if end == 1:
            end = 1 if data.startswith(b"\n") and pending.endswith(b"\n") else 0
        if not end:
            pending += data
            return b""
        whole = b"".join((pending, data)) if pending else data
        if _ends_with_name(whole):
            pending += data
            return self._walk()
        end += len(pending)
        self._pending = bytearray(memoryview(whole)[end:])
        self._at = self._searched = 0
        return whole if end == len(whole) else whole[:end]

    def _walk(self) -> bytes:
        """Go on through the fields of `_pending`, and take the whole entries out."""
        pending = self._pending
        entry = 0
        while True:
            if pending.find(b"\n", self._searched) < 0:
                self._searched = len(pending)
                break
            if kernel.COMPILED and self._excerpt is None:
                entry, at = journal_frames.walk(pending, entry, self._at, self._limit_bytes)
            else:
                fields = TEXT_FIELDS.match(pending, self._at)
                at = fields.end() if fields else self._at
            self._at = self._searched = at
            line_end = pending.find(b"\n", at)
            if line_end < 0:
                self._searched = len(pending)
                break
            if line_end > at:
                following = self._follow(entry, line_end)
                if following is None:
                    break
                self._at = self._searched = following
                continue
            end = line_end + 1
            if self._excerpt is not None or at - entry > self._limit_bytes:
                self.oversize.append(self._excerpt or bytes(pending[entry : min(at, entry + _EXCERPT_BYTES)]))
                self._excerpt = None
                left = _APART if entry else b""
                pending[entry:end] = left
                end = entry + len(left)
            entry = self._at = self._searched = end
        block = bytes(memoryview(pending)[:entry])
        del pending[:entry]
        self._at -= entry
        self._searched -= entry
        if self._error is not None:
            pending[:] = self._excerpt or pending[:_EXCERPT_BYTES]
            self._excerpt = None  # it is refused once, for the error
            return block
        if self._excerpt is None and len(pending) > self._limit_bytes + _AHEAD_BYTES:
            self._excerpt = bytes(pending[:_EXCERPT_BYTES])
        if self._excerpt is not None:
            self._forget()
        self._is_text = self._excerpt is None and b"\0" not in pending
        return block

    def _follow(self, entry: int, line_end: int) -> int | None:
        """What comes after a line without `=`; None if that cannot be told yet, or any more."""
        pending = self._pending
        start = line_end + 1 + LENGTH_BYTES
        length = read_length(pending, self._at, line_end)
        if length == CUT_OFF or (start > len(pending) and line_end - self._at <= NAME_LIMIT_BYTES):
            return None
        if length is None:
            return line_end + 1
        end = start + length
        if length > DATA_LIMIT_BYTES:
            self._error = FrameError("invalid_frame", f"a field of {length} bytes, over {DATA_LIMIT_BYTES}")
            return None
        if self._excerpt is not None or end + 1 - entry > self._limit_bytes:
            if self._excerpt is None:
                self._excerpt = bytes(pending[entry : min(end, entry + _EXCERPT_BYTES)])
            return self._skip_data(end)
        if end >= len(pending):
            return None
        if pending[end] != _LF:
            name = bytes(pending[self._at : line_end])
            self._error = FrameError(
                "invalid_frame", f"no LF behind the {length} bytes of the field {name!r}"
            )
            return None
        return end + 1

    def _skip_data(self, end: int) -> int | None:
        """Leave a `=` for the data up to `end`, so that the rest of it reads as a line of text."""
        pending = self._pending
        if end <= len(pending):
            pending[end - 1] = _EQUALS
            return end - 1
        self._drop_bytes = end - len(pending)
        pending[self._at :] = b"="
        return None

    def _forget(self) -> None:
        """Take out what was gone through of an entry that is being skipped."""
        pending = self._pending
        del pending[: self._at]
        self._searched -= self._at
        self._at = 0
        if len(pending) > NAME_LIMIT_BYTES and self._searched == len(pending):
            pending[:] = b"="  # whatever this line is, it ends with the next LF
        self._searched = min(self._searched, len(pending))


def read_length(data: bytes | bytearray, start: int, line_end: int) -> int | None:
    """The length of the binary field whose name stands from `start` to `line_end`; None if it is none.

    `CUT_OFF` if not all of it is there.
    """
    octets = data[line_end + 1 : line_end + 1 + LENGTH_BYTES]
    if line_end - start > NAME_LIMIT_BYTES or 0 not in octets:
        return None
    return int.from_bytes(octets, "little") if len(octets) == LENGTH_BYTES else CUT_OFF


def _ends_with_name(data: bytes) -> bool:
    """Whether a line without `=` ends so near the end that its length may be to come."""
    near = max(len(data) - LENGTH_BYTES, 0)
    end = data.rfind(b"\n", near)
    while end >= 0:
        start = data.rfind(b"\n", 0, end) + 1
        if 0 < end - start <= NAME_LIMIT_BYTES and data.find(b"=", start, end) < 0:
            return True
        end = data.rfind(b"\n", near, end)
    return False
