"""Auto: JSON, journal entries as JSON, syslog and raw text in any mixture, told line by line (formats.detect).

Nothing that looked like one of them and is none is lost: a line (or an element of an array) that begins like JSON and
is no record is kept whole, as a raw record with the field `parse_error`; syslog and the journal do so by themselves.
A block of one kind costs what that kind costs. A mixed one is cut into runs, and where these are many, the lines of a
kind are put together: then only they keep their order.
"""

from collections.abc import Callable

from formats import detect, journald, json, raw, syslog
from formats.record import Context, Encoded
from formats.runs import Runs

_ENCODERS: dict[str, Callable[[bytes, Context], list[Encoded]]] = {
    "raw": raw.encode,
    "journald": journald.encode,
    "syslog": syslog.encode,
}

_MANY_RUNS = 16  # each costs some 20 us, as much as 20 to 50 lines


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
