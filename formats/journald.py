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

Measured (Python 3.11, 2 shared cores; entries of 12 fields, 460 bytes, 500 a block): 0.22 us of CPU per entry of the
export format, binary data or not, and 0.6 as JSON. In Python alone 1.9 where all have the same fields in one order,
7 with binary data in every tenth, and 3.7 as JSON (benchmarks/micro_journald.py).
"""

from functools import cache
from typing import Annotated

import msgspec

from formats import kernel, lines
from formats.errors import DecodeError
from formats.journald_entries import Entries, Value, are_names
from formats.journald_export import encode_compiled, encode_export
from formats.journald_framing import JSON_STARTS
from formats.mapping import decode_object
from formats.record import Context, Encoded
from formats.runs import Runs

_WHITESPACE = b" \t\r"  # RFC 8259 section 2; LF ends the line
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
        encode_export(block, entries)
    entries.flush()
    return runs.encoded


def _encode_json(block: bytes, entries: Entries) -> None:
    if kernel.COMPILED:
        block = block[encode_compiled(block, entries, True, _encode_next) :]
        if not block:
            return
    objects = _decode_lines(block)
    if objects is None:
        for line in block.split(b"\n"):
            if text := line.strip(_WHITESPACE):
                _encode_line(text, entries)
        return
    split = cache(lambda: block.split(b"\n"))
    entries.add(objects, lambda index: split()[index].strip(_WHITESPACE))


def _decode_lines(block: bytes) -> list[dict[str, str]] | None:
    """The objects of lines of JSON; None unless each is one object, of strings alone."""
    try:
        block.decode()
        objects = _strings.decode_lines(block)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    # `}` LF `{` cannot occur inside a JSON value: so many joints are so many lines, and objects on lines of their own.
    joints = block.count(b"}\n{") + 1
    if not all(are_names(object_.keys()) for object_ in objects):
        return None
    return objects if joints == len(objects) == lines.count(block) + (not block.endswith(b"\n")) else None


def _encode_next(block: bytes, at: int, entries: Entries) -> int:
    """Take the line at a position; return where the next one begins."""
    end = block.find(b"\n", at)
    if end < 0:
        end = len(block)
    if text := block[at:end].strip(_WHITESPACE):
        _encode_line(text, entries)
    return end + 1


def _encode_line(line: bytes, entries: Entries) -> None:
    try:
        line.decode()
        fields = [(name, _read_value(raw)) for name, raw in decode_object(line).items()]
    except UnicodeDecodeError as error:
        entries.keep(DecodeError("invalid_utf8", error.reason), line)
    except msgspec.DecodeError as error:
        entries.keep(DecodeError("invalid_json", str(error)), line)
    except DecodeError as error:
        entries.keep(error, line)
    else:
        entries.add_fields(fields, line)


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
