"""Auto: JSON, journal entries as JSON, syslog and raw text in any mixture, told line by line (formats.detect).

Nothing that looked like one of them and is none is lost: a line (or an element of an array) that begins like JSON and
is no record is kept whole, as a raw record with the field `parse_error`; syslog and the journal do so by themselves.
A block of one kind costs what that kind costs. A mixed one is cut into runs, and where these are many, the lines of a
kind are put together: then only they keep their order.
"""

import re
from collections.abc import Callable

from formats import detect, journald, json, raw, syslog, syslog_framing
from formats.framing import Lines
from formats.record import Context, Encoded
from formats.runs import Runs


def _encode_syslog(block: bytes, context: Context) -> list[Encoded]:
    """Lines that are syslog; in them NUL is a character, where syslog's own framing takes it for an end."""
    if b"\0" in block:  # to replace what is not there takes as long as to make the records
        block = block.replace(b"\0\n", b"\n")
        if b"\0" in block:
            block = syslog_framing.join(block.removesuffix(b"\n").split(b"\n"))
    return syslog.encode(block, context)


_ENCODERS: dict[str, Callable[[bytes, Context], list[Encoded]]] = {
    "raw": raw.encode,
    "journald": journald.encode,
    "syslog": _encode_syslog,
}

_MANY_RUNS = 16  # each costs some 20 us, as much as 20 to 50 lines


_PRI = re.compile(rb"<[0-9]{1,3}>")
_MESSAGE = re.compile(rb"^" + detect.PRI + rb"[^\n]*+", re.MULTILINE)
_END = re.compile(rb"[\n\0]")


class Stream(Lines):
    """Lines ended by LF; by NUL too where the first one begins with a PRI and ends so.

    That is how Python's SysLogHandler and others send syslog over TCP. What begins with a PRI there keeps a NUL before
    its LF, which tells detection that it is a message, whatever its text. In all other streams NUL is a character.
    """

    __slots__ = ("_is_open", "_nul_ends")

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self._is_open = True  # the first line has not ended
        self._nul_ends = False

    def feed(self, data: bytes) -> bytes:
        if self._is_open and (end := _END.search(data)) is not None:
            self._is_open = False
            self._nul_ends = end[0] == b"\0" and _PRI.match(self._pending + data[:6]) is not None
        if not self._nul_ends:
            return super().feed(data)
        return _MESSAGE.sub(rb"\g<0>\0", super().feed(data.replace(b"\0", b"\n")))


def encode(block: bytes, context: Context) -> list[Encoded]:
    """Make records of whole lines; the last may lack its LF. One `Encoded` for each run of records of one format."""
    encoded = json.encode_canonical(block, context)
    if encoded is not None:
        return [encoded]
    runs = Runs(context, "json")
    pieces = detect.lines_of(block)
    if len(pieces) > _MANY_RUNS:
        pieces = _by_kind(pieces)
    for kind, piece in pieces:
        if kind == "json":
            json.encode_into(piece, context, runs)
        else:
            for made in _ENCODERS[kind](piece, context):
                runs.append(made)
    return runs.encoded


def _by_kind(runs: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    pieces: dict[str, list[bytes]] = {}
    for kind, piece in runs:
        pieces.setdefault(kind, []).append(piece)
    return [(kind, b"".join(pieces[kind])) for kind in pieces]
