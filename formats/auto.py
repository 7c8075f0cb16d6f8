"""Text or JSON, told line by line: what begins like JSON is JSON, all else is raw text.

A line is taken for JSON if its first character is `{`, or if it is an array of objects; `[ERROR] text` is not.
Nothing but invalid UTF-8 is rejected: a line (or an element of an array) that begins like JSON and is no
record is kept whole, as a raw record with the field `parse_error`. A block of one kind costs what that kind costs; a
mixed one is cut into runs, found by numpy from the first byte of each line.
"""

import re
from collections.abc import Iterator

import numpy as np

from formats import json, lines, raw
from formats.errors import DecodeError
from formats.mapping import decode_array, decode_object
from formats.record import Context, Encoded
from formats.runs import Runs

_ARRAY = re.compile(rb"\s*+\[\s*+\{")
_OBJECT_BYTE = ord("{")
_UNCLEAR_BYTES = np.zeros(256, np.bool_)  # first bytes after which the line must be looked at
_UNCLEAR_BYTES[list(b"[ \t\r\v\f\n")] = True


def encode(block: bytes, context: Context) -> list[Encoded]:
    """Make records of whole lines; the last may lack its LF. One `Encoded` for each run of lines of one kind."""
    encoded = json.encode_canonical(block, context)
    if encoded is not None:
        return [encoded]
    runs = Runs(context, "json")
    for is_json, piece in _cut(block):
        if is_json:
            json.encode_into(piece, context, runs)
        else:
            runs.append(raw.encode(piece, context)[0])
    return runs.encoded


def _cut(block: bytes) -> Iterator[tuple[bool, bytes]]:
    """Runs of lines of one kind; whether they are taken for JSON, and their bytes."""
    if not block:
        return
    ends = lines.ends(block)
    starts = np.concatenate(([0], ends[:-1]))
    firsts = np.frombuffer(block, np.uint8)[starts]
    is_json = firsts == _OBJECT_BYTE
    for index in np.flatnonzero(_UNCLEAR_BYTES[firsts]).tolist():
        line = block[starts[index] : ends[index]]
        if line.isspace():
            is_json[index] = is_json[index - 1] if index else False  # belongs to either kind
        else:
            is_json[index] = line.lstrip().startswith(b"{") or _is_array_of_objects(line)
    changes = np.flatnonzero(is_json[1:] != is_json[:-1]) + 1
    start = 0
    for first, end in zip([0, *changes], [*starts[changes], len(block)], strict=True):
        yield bool(is_json[first]), block[start:end]
        start = end


def _is_array_of_objects(line: bytes) -> bool:
    if not _ARRAY.match(line):
        return False
    try:
        for element in decode_array(line):
            decode_object(bytes(element))
    except DecodeError:
        return False
    return True
