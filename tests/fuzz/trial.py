"""One execution of a fuzzer: bytes through framer and encoder as a connection passes them on, and what must hold.

An input is what a sender sends, and behind it four bytes that say how it arrives:

    sent | cut | cut | cut | how        each cut at so many 256ths of `sent`
                                        how: the low four bits are the limit, 16 << them bytes; from F0 on, instead
                                        in 64 pieces, byte by byte where `sent` is short

What was sent is run whole and in those pieces. Only FrameError may be raised, and only by `feed`. Each `Encoded` is
JSON lines of the size, count, levels, services and times told; the framer holds no more than the limit; what the pieces
become is what the whole becomes; and no line is lost where lines are records.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from formats import Format, kernel
from formats.errors import FrameError
from formats.record import Encoded
from tests.formats.harness import CONTEXT, Record, check

CONTROL_BYTES = 4
_IN_SMALL_PIECES = 0xF0
_SMALL_PIECES = 64
_HELD_BYTES = 1024 + 256  # over the limit: the excerpt of what is skipped, and what a frame is told by
_HEADER_BYTES = 1 << 20  # of Avro: a header is no record
# Of an array there may be no record, and NUL may end lines.
_TEXT_LINE = re.compile(rb"^[ \t\r\v\f\0]*[^ \t\r\v\f\0\n\[]", re.MULTILINE)
_LINE_FORMATS = frozenset({"json", "raw", "auto"})


class Outcome(NamedTuple):
    """What became of a stream; `error` is the reason of a FrameError."""

    records: list[Record]
    rejects: list[tuple[str, bytes]]
    oversize: list[bytes]
    error: str


class Passed(NamedTuple):
    """The same, as it came."""

    blocks: list[Encoded]
    oversize: list[bytes]
    error: str


def run(format: Format, input_: bytes) -> None:
    """Run one input. AssertionError if what must hold does not; any other exception is a find as well."""
    if len(input_) < CONTROL_BYTES:
        return
    sent, (*cuts, how) = input_[:-CONTROL_BYTES], input_[-CONTROL_BYTES:]
    limit_bytes = 16 << (how & 0x0F)
    positions = sorted(cut * len(sent) >> 8 for cut in cuts)
    if how >= _IN_SMALL_PIECES:
        step = -(-len(sent) // _SMALL_PIECES)
        positions = list(range(step, len(sent), step)) if sent else []
    passed = pass_on(format, [sent], limit_bytes)
    whole = outcome(passed)
    pieces = [sent[start:end] for start, end in zip([0, *positions], [*positions, len(sent)], strict=True)]
    in_pieces = outcome(pass_on(format, pieces, limit_bytes))
    assert _is_same(in_pieces, whole), "cut in pieces it becomes something else"
    if kernel.COMPILED:
        with _interpreted():
            interpreted = pass_on(format, [sent], limit_bytes)
        assert _bytes_of(interpreted) == _bytes_of(passed), "without kernels it becomes something else"
    if format.name in _LINE_FORMATS:
        lines = len(_TEXT_LINE.findall(sent))
        known = len(whole.records) + len(whole.rejects) + len(whole.oversize)
        assert known >= lines, f"of {lines} lines {lines - known} are unaccounted for"


@contextmanager
def _interpreted() -> Iterator[None]:
    kernel.COMPILED = False
    try:
        yield
    finally:
        kernel.COMPILED = True


def _is_same(pieces: Outcome, whole: Outcome) -> bool:
    """Excerpts of what is oversize may end elsewhere in pieces, and `auto` may put the lines of a kind together."""
    if pieces == whole:
        return True
    if pieces.error != whole.error or len(pieces.oversize) != len(whole.oversize):
        return False
    for mine, other in zip(pieces.oversize, whole.oversize, strict=True):
        if not mine.startswith(other) and not other.startswith(mine):
            return False
    sort = partial(sorted, key=lambda record: repr(sorted(record.items())))  # fields come in any order
    return sort(pieces.records) == sort(whole.records) and sorted(pieces.rejects) == sorted(whole.rejects)


def pass_on(format: Format, pieces: list[bytes], limit_bytes: int) -> Passed:
    """Pass a stream on as a connection does, to its end."""
    framer = format.framer(limit_bytes)
    held_bytes = limit_bytes + _HELD_BYTES + (_HEADER_BYTES if format.name == "avro" else 0)
    blocks: list[Encoded] = []
    error = ""
    try:
        for piece in pieces:
            data = piece
            while block := framer.feed(data):
                blocks += format.encode(block, CONTEXT)
                data = b""
            assert framer.pending_bytes <= held_bytes, f"{framer.pending_bytes} bytes held"
    except FrameError as caught:
        error = caught.reason
    rest = framer.finish()
    if rest and not error:
        blocks += format.encode(rest, CONTEXT)
    assert framer.pending_bytes == 0, "something is held after the end"
    return Passed(blocks, framer.oversize, error)


def outcome(passed: Passed) -> Outcome:
    """Check what must hold of any block, and put all together."""
    records: list[Record] = []
    rejects: list[tuple[str, bytes]] = []
    for encoded in passed.blocks:
        records += check(encoded)
        records += [heartbeat._asdict() for heartbeat in encoded.heartbeats]
        rejects += [(reject.reason, reject.data) for reject in encoded.rejects]
    return Outcome(records, rejects, passed.oversize, passed.error)


def _bytes_of(passed: Passed) -> tuple[object, ...]:
    """All that came of a stream, however it is divided into blocks."""
    blocks = passed.blocks
    lines = b"".join([chunk for encoded in blocks for chunk in encoded.chunks])
    rejects = [reject for encoded in blocks for reject in encoded.rejects]
    heartbeats = [heartbeat for encoded in blocks for heartbeat in encoded.heartbeats]
    return lines, rejects, heartbeats, passed.oversize, passed.error
