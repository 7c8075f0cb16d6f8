"""Raw text: one line per record. What stands at its head is recognised; the message is the rest.

    2026-11-20 12:00:00,123 ERROR api[42]: text     time, level, service, process id
    2026-11-20 12:00:00,123 - api - ERROR - text    as Python's logging is often set up
    2026-11-20T12:00:00Z [error] text               time, level
    1763640000.123 text                             time alone, ISO 8601 or epoch
    [ERROR] text   ERROR: text                      level alone
    text                                            anything else: the whole line is the message

Where there are compiled kernels (formats.kernel), one takes all of this in one pass. Else, as most lines of a block
share few heads, lines are cut at the first `: ` (a call in C), each distinct head is read once (formats.raw_head), and
one call encodes all lines. That is sound because nothing recognised goes beyond a `: `. A head that is not recognised
to its end sends its lines the long way, a pattern per line.

Measured (Python 3.11, 2 shared cores, 109-byte lines, 1,600 a block), microseconds of CPU per record, compiled and not:
the first shape with milliseconds 0.14 and 0.66; plain text 0.13 and 1.4; times all distinct (microseconds) 0.15 and
3.0; dashes 0.16 and 4.0 (benchmarks/micro_formats.py).
"""

from collections import Counter
from collections.abc import Hashable, Iterable
from functools import lru_cache
from typing import NamedTuple

import msgspec

from formats import kernel
from formats.cores import Lists
from formats.levels import LEVELS
from formats.raw_head import CutReader, Said, read
from formats.record import Context, Encoded, Row

if kernel.COMPILED:
    from formats.kernel import made, raw_lines

_PID = frozenset({"pid"})
_BLANK = " \t\r\v\f"
_encoder = msgspec.json.Encoder()


class _Line(msgspec.Struct, gc=False):
    """A record to encode: `timestamp` is its value and, rendered already, all the fields but `message`."""

    timestamp: msgspec.Raw
    message: str


class _Opening(NamedTuple):
    """All of a record but its message."""

    timestamp: str
    level: str
    service: str
    rendered: msgspec.Raw


def encode(block: bytes, context: Context) -> list[Encoded]:
    """Make records of whole lines; the last may lack its LF. Always one `Encoded`."""
    encoded = Encoded("raw")
    if not (block.isascii() or _is_utf8(block)):
        block = _valid_lines(block, encoded)
    compiled = _compiled(block, context) if kernel.COMPILED else None
    if compiled is not None:
        compiled.rejects = encoded.rejects
        return [compiled]
    lines = _split(block.decode())
    if lines:
        _encode_lines(lines, context, encoded)
    return [encoded]


class Kept:
    """Makes records whose message is the whole of a line that was not what it looked like, for one block."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._timestamps: dict[str, msgspec.Raw] = {}  # by parse error, with all fields but the message

    def row(self, text: bytes, parse_error: str) -> Row:
        """Make one. `text` is valid UTF-8."""
        context = self._context
        timestamp = self._timestamps.get(parse_error)
        if timestamp is None:
            own = _render("INFO", context.service, None) + b',"parse_error":' + _encoder.encode(parse_error)
            timestamp = _quoted(context.received_at, _enriched(own, context, frozenset({"parse_error"})))
            self._timestamps[parse_error] = timestamp
        line = _encoder.encode(_Line(timestamp, text.decode()))
        return Row(line + b"\n", context.received_at, "INFO", context.service)


def _compiled(block: bytes, context: Context) -> Encoded | None:
    """The block as the kernel makes it; None where there is no record. It is UTF-8."""
    service = context.service
    return made.encoded(
        "raw",
        raw_lines.encode(
            block,
            context.received_at.encode(),
            service.encode(),
            _encoder.encode(service),
            context.prefix("raw"),
            context.prefix("raw", context.enrichment.keys & _PID),
            context.wanted,
        ),
    )


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _valid_lines(block: bytes, encoded: Encoded) -> bytes:
    """The lines that are UTF-8; the others are rejected."""
    valid = []
    for line in block.split(b"\n"):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            encoded.reject("invalid_utf8", line.removesuffix(b"\r"), str(error.reason))
        else:
            valid.append(line)
    return b"\n".join(valid)


def _split(text: str) -> list[str]:
    """The lines that are not blank."""
    if "\r" in text:
        if not text.endswith("\n"):
            text += "\n"
        text = text.replace("\r\n", "\n")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    if "" in lines or any(map(str.isspace, lines)):
        return [line for line in lines if line.strip(_BLANK)]
    return lines


def _encode_lines(lines: list[str], context: Context, encoded: Encoded) -> None:
    cut = [line.partition(": ") for line in lines]
    keys: list[Hashable] = [parts[0] for parts in cut]
    messages = [parts[2] for parts in cut]
    counts = Counter(keys)
    openings = _Openings(context)
    uncut = "" in messages  # where there was nothing to cut at, or nothing behind it
    openings.read_heads({head for head, _, message in cut if message} if uncut else counts)
    if uncut or len(openings) < len(counts):
        for index, line in enumerate(lines):
            if not messages[index] or keys[index] not in openings:
                keys[index], messages[index] = openings.read_line(line)
        counts = Counter(keys)
    rendered = {key: opening.rendered for key, opening in openings.items()}
    chunk = _encoder.encode_lines(list(map(_Line, map(rendered.__getitem__, keys), messages)))
    encoded.chunks.append(chunk)
    encoded.nbytes += len(chunk)
    encoded.records += len(lines)
    levels = dict.fromkeys(LEVELS, 0)
    for key, number in counts.items():
        levels[openings[key].level] += number
    if context.wanted.is_any:
        found = [openings[key] for key in keys]
        encoded.columns = Lists(
            [opening.level for opening in found], [opening.service for opening in found], messages
        )
    used = [openings[key] for key in counts]
    encoded.count(
        {level: number for level, number in levels.items() if number},
        {opening.service for opening in used},
        min(opening.timestamp for opening in used),
        max(opening.timestamp for opening in used),
    )


class _Openings(dict[Hashable, _Opening]):
    """The openings of one block: by head where lines were cut at it, else by what was read."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rests: dict[Said, tuple[str, str, bytes]] = {}

    def read_heads(self, heads: Iterable[Hashable]) -> None:
        """Make openings of the heads that are recognised to their end."""
        reader = CutReader()
        for head in heads:
            found = reader.read(str(head))
            if found is not None:
                self[head] = self._open(*found)

    def read_line(self, line: str) -> tuple[Hashable, str]:
        """The key of a line's opening, made if there is none, and the line's message."""
        timestamp, said, message = read(line)
        key = (timestamp, said)
        if key not in self:
            self[key] = self._open(timestamp, said)
        return key, message

    def _open(self, timestamp: str | None, said: Said) -> _Opening:
        known = self._rests.get(said)
        if known is None:
            known = self._rests[said] = self._rest(said)
        level, service, rest = known
        timestamp = timestamp or self._context.received_at
        return _Opening(timestamp, level, service, _quoted(timestamp, rest))

    def _rest(self, said: Said) -> tuple[str, str, bytes]:
        level = said.level or "INFO"
        service = said.service or self._context.service
        carried = frozenset() if said.pid is None else _PID
        return level, service, _enriched(_render(level, service, said.pid), self._context, carried)


@lru_cache(4096)
def _render(level: str, service: str, pid: int | None) -> bytes:
    own = b'","level":"%s","service":%s' % (level.encode(), _encoder.encode(service))
    return own if pid is None else own + b',"pid":%d' % pid


def _enriched(own: bytes, context: Context, carried: frozenset[str]) -> bytes:
    """All fields between timestamp and message; `carried` are those of `own` that enrichment might have too."""
    prefix = context.prefix("raw", context.enrichment.keys & carried)
    return own + b"," + prefix.removesuffix(b",")


def _quoted(timestamp: str, rest: bytes) -> msgspec.Raw:
    return msgspec.Raw(b'"' + timestamp.encode() + rest)
