"""The systemd journal: its export format, and the lines of `journalctl -o json`, to stored records.

    MESSAGE                 message     text; base64 of what is not UTF-8
    __REALTIME_TIMESTAMP    timestamp   microseconds since 1970; the time of receipt where there is none
    PRIORITY                level       also kept; INFO where it is none of 0 to 7
    SYSLOG_IDENTIFIER       service     else _SYSTEMD_UNIT, which is also kept, else the default
    _HOSTNAME               hostname

All other fields keep their names and their text. A field given several times becomes an array; of one named above the
first counts, and the array is kept under its own name. So is what is not text: the null of a value that journalctl
found too long. `base64_fields` names the fields whose bytes are no UTF-8. An entry that is none is kept whole, as a raw
record with `parse_error`, or rejected if it is not UTF-8.

Text goes a block at a time: numpy makes a LF of the first `=` of each line, and one split cuts names and values.
Entries with binary fields are walked one by one.
"""

import re
from typing import Annotated, NamedTuple

import msgspec
import numpy as np

from formats import lines
from formats.errors import DecodeError
from formats.journald_entries import Entries, Value
from formats.journald_framing import CUT_OFF, JSON_STARTS, LENGTH_BYTES, TEXT_FIELDS, read_length
from formats.mapping import decode_object
from formats.record import Context, Encoded
from formats.runs import Runs

_LF = ord("\n")
_EQUALS = ord("=")
_TEXT_ENTRIES = re.compile(rb"(?:[^\n=]*+=[^\n]*+\n|\n)*+")
_MANY_BYTES = 8192  # of text, from where on it pays to call numpy

_strings = msgspec.json.Decoder(dict[str, str])
_string = msgspec.json.Decoder(str)
_octets = msgspec.json.Decoder(list[Annotated[int, msgspec.Meta(ge=0, le=255)]])
_elements = msgspec.json.Decoder(list[msgspec.Raw])


def encode(block: bytes, context: Context) -> list[Encoded]:
    """Make records of whole entries, or of lines of JSON. One `Encoded` for each run of records of one format."""
    runs = Runs(context, "journald")
    entries = Entries(context, runs)
    if block[:1] and block[0] in JSON_STARTS:
        _encode_json(block, entries)
    else:
        _encode_export(block, entries)
    entries.flush()
    return runs.encoded


def _encode_export(block: bytes, entries: Entries) -> None:
    if b"\0" not in block and _encode_text(block, entries):
        return
    at = 0
    while at < len(block):
        run = _TEXT_ENTRIES.match(block, at)
        end = block.rfind(b"\n\n", at, run.end() if run else at) + 2
        if end - at >= _MANY_BYTES and _encode_text(block[at:end], entries):
            at = end
            continue
        at = _encode_one(block, at, entries)
        while at < end:
            at = _encode_one(block, at, entries)


def _encode_text(block: bytes, entries: Entries) -> bool:
    """Take entries of text fields alone; False, and none is taken, if that is not what they all are."""
    if not block.endswith(b"\n"):
        return False
    octets = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(octets == _LF)
    starts = np.concatenate(([0], ends[:-1] + 1))
    is_blank = starts == ends
    equals = np.flatnonzero(octets == _EQUALS)
    first = np.append(equals, len(block))[np.searchsorted(equals, starts)]
    if (first > ends)[~is_blank].any():
        return False
    cut = octets.copy()
    cut[first[~is_blank]] = _LF
    try:
        parts = cut.tobytes().decode().split("\n")
    except UnicodeDecodeError:
        return False
    blanks = np.flatnonzero(is_blank)
    stops = (
        2 * blanks - np.arange(blanks.size)
    ).tolist()  # each line before was cut in two, the empty ones not
    start = 0
    for index, stop in enumerate([*stops, len(parts) - 1]):
        if stop > start:
            try:
                entries.add(tuple(parts[start:stop:2]), parts[start + 1 : stop : 2])
            except DecodeError as error:
                begin = ends[blanks[index - 1]] + 1 if index else 0
                end = starts[blanks[index]] if index < blanks.size else len(block)
                entries.keep(error, block[begin:end])
        start = stop + 1
    return True


def _encode_one(block: bytes, start: int, entries: Entries) -> int:
    """Take the entry at `start`, with whatever is in it; return where the next one begins."""
    try:
        entry = _read(block, start)
    except DecodeError as error:
        entries.keep(error, block[start:])
        return len(block)
    try:
        if entry.odd:
            raise DecodeError("invalid_field", f"a line without '=': {entry.odd[:80]!r}")
        if entry.fields:
            entries.add_fields(entry.fields)
    except DecodeError as error:
        entries.keep(error, block[start : entry.end])
    return entry.end + 1


class _Entry(NamedTuple):
    """One entry taken apart, up to its empty line at `end`. `odd` is its first line that is no field."""

    fields: list[tuple[str, Value]]
    odd: bytes
    end: int


def _read(block: bytes, at: int) -> _Entry:
    """Raises DecodeError if the block ends within the entry, or its rest has no boundaries."""
    fields: list[tuple[str, Value]] = []
    odd = b""
    while True:
        run = TEXT_FIELDS.match(block, at)
        end = run.end() if run else at
        if end > at:
            fields += map(_read_line, block[at : end - 1].split(b"\n"))
            at = end
        line_end = block.find(b"\n", at)
        if line_end == at or at == len(block):
            return _Entry(fields, odd, at)
        length = CUT_OFF if line_end < 0 else read_length(block, at, line_end)
        if length is None:
            odd = odd or block[at:line_end]
            at = line_end + 1
            continue
        data = line_end + 1 + LENGTH_BYTES
        end = data + length
        if length == CUT_OFF or end >= len(block):
            raise DecodeError("truncated", "cut off within a field")
        if block[end] != _LF:
            raise DecodeError("invalid_frame", f"no LF behind the {length} bytes of a field")
        fields.append((_read_name(block[at:line_end]), block[data:end]))
        at = end + 1


def _read_line(line: bytes) -> tuple[str, Value]:
    name, _, value = line.partition(b"=")
    return _read_name(name), value


def _read_name(name: bytes) -> str:
    return name.decode("ascii", "replace")


def _encode_json(block: bytes, entries: Entries) -> None:
    objects = _decode_lines(block)
    if objects is None:
        for line in block.split(b"\n"):
            if text := line.strip(b" \t\r"):
                _encode_line(text, entries)
        return
    for index, object_ in enumerate(objects):
        try:
            entries.add(tuple(object_), list(object_.values()))
        except DecodeError as error:
            entries.keep(error, block.split(b"\n", index + 1)[index])


def _decode_lines(block: bytes) -> list[dict[str, str]] | None:
    """The objects of lines of JSON; None unless each is one object, of strings alone."""
    try:
        block.decode()
        objects = _strings.decode_lines(block)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    # `}` LF `{` cannot occur inside a JSON value: so many joints are so many lines, and objects on lines of their own.
    joints = block.count(b"}\n{") + 1
    return objects if joints == len(objects) == lines.count(block) + (not block.endswith(b"\n")) else None


def _encode_line(line: bytes, entries: Entries) -> None:
    try:
        line.decode()
        entries.add_fields([(name, _read_value(raw)) for name, raw in decode_object(line).items()])
    except UnicodeDecodeError as error:
        entries.keep(DecodeError("invalid_utf8", error.reason), line)
    except msgspec.DecodeError as error:
        entries.keep(DecodeError("invalid_json", str(error)), line)
    except DecodeError as error:
        entries.keep(error, line)


def _read_value(raw: msgspec.Raw) -> Value:
    """What the JSON of a field stands for: text, bytes written as numbers, a list of either; else itself."""
    data = bytes(raw)
    if not data.startswith(b"["):
        return _read_element(data)
    octets = _read_octets(data)
    return octets or [_read_element(bytes(element)) for element in _elements.decode(data)]


def _read_element(data: bytes) -> str | bytes | msgspec.Raw:
    if data.startswith(b'"'):
        return _string.decode(data)
    return (_read_octets(data) if data.startswith(b"[") else b"") or msgspec.Raw(data.replace(b"\r", b" "))


def _read_octets(data: bytes) -> bytes:
    """The bytes that are written as an array of numbers; empty if it is none."""
    try:
        return bytes(_octets.decode(data))
    except msgspec.ValidationError:
        return b""
