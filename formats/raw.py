"""Raw text: one line per record. What stands at its head is recognised; the message is the rest.

    2026-11-20 12:00:00,123 ERROR api[42]: text     time, level, service, process id
    2026-11-20 12:00:00,123 - api - ERROR - text    as Python's logging is often set up
    2026-11-20T12:00:00Z [error] text               time, level
    1763640000.123 text                             time alone, ISO 8601 or epoch
    [ERROR] text   ERROR: text                      level alone
    text                                            anything else: the whole line is the message

Most lines of a block share few heads. So lines are cut at the first `: ` (a call in C), each distinct head is
read once (formats.raw_head), and one call encodes all lines. That is sound because nothing recognised goes
beyond a `: `. A head that is not recognised to its end sends its lines the long way, a pattern per line.
"""

from collections import Counter
from collections.abc import Hashable
from typing import NamedTuple

import msgspec

from formats.raw_head import Head, Heads, read
from formats.record import Context, Encoded, Row

_BLANK = " \t\r\v\f"
_encoder = msgspec.json.Encoder()


class _Line(msgspec.Struct, gc=False):
    """A record to encode: `timestamp` is its value and, rendered already, all the fields but `message`."""

    timestamp: msgspec.Raw
    message: str


class _Opening(NamedTuple):
    head: Head
    rendered: msgspec.Raw


def encode(block: bytes, context: Context) -> list[Encoded]:
    """Make records of whole lines; the last may lack its LF. Always one `Encoded`."""
    encoded = Encoded("raw")
    try:
        text = block.decode()
    except UnicodeDecodeError:
        text = _valid_lines(block, encoded)
    lines = _split(text)
    if lines:
        _encode_lines(lines, context, encoded)
    return [encoded]


def keep(text: bytes, context: Context, parse_error: str) -> Row:
    """A record whose message is the whole of a line that was not what it looked like. `text` is valid UTF-8."""
    head = Head(context.received_at, "INFO", context.service, None)
    extra = b',"parse_error":' + _encoder.encode(parse_error)
    carried = frozenset({"parse_error"})
    line = _Line(_render(head, context, carried, extra), text.decode())
    return Row(_encoder.encode(line) + b"\n", head.timestamp, head.level, head.service)


def _valid_lines(block: bytes, encoded: Encoded) -> str:
    """The lines that are UTF-8; the others are rejected."""
    valid = []
    for line in block.split(b"\n"):
        try:
            valid.append(line.decode())
        except UnicodeDecodeError as error:
            encoded.reject("invalid_utf8", line.removesuffix(b"\r"), str(error.reason))
    return "\n".join(valid)


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
    heads = Heads(context.received_at, context.service)
    openings: dict[Hashable, _Opening] = {}
    for key in counts:
        head = heads.read(str(key))
        if head is not None:
            openings[key] = _open(head, context)
    # An empty message may also mean that there was no `: ` to cut at.
    if len(openings) < len(counts) or "" in messages:
        for index, line in enumerate(lines):
            if messages[index] and keys[index] in openings:
                continue
            head, messages[index] = read(line, context.received_at, context.service)
            keys[index] = head
            if head not in openings:
                openings[head] = _open(head, context)
        counts = Counter(keys)
    rendered = {key: opening.rendered for key, opening in openings.items()}
    chunk = _encoder.encode_lines(list(map(_Line, map(rendered.__getitem__, keys), messages)))
    encoded.chunks.append(chunk)
    encoded.nbytes += len(chunk)
    encoded.records += len(lines)
    used = [openings[key].head for key in counts]
    timestamps = [head.timestamp for head in used]
    levels: Counter[str] = Counter()
    for head, number in zip(used, counts.values(), strict=True):
        levels[head.level] += number
    encoded.count(levels, {head.service for head in used}, min(timestamps), max(timestamps))


def _open(head: Head, context: Context) -> _Opening:
    if head.pid is None:
        return _Opening(head, _render(head, context, frozenset(), b""))
    return _Opening(head, _render(head, context, frozenset({"pid"}), b',"pid":%d' % head.pid))


def _render(head: Head, context: Context, carried: frozenset[str], extra: bytes) -> msgspec.Raw:
    service = _encoder.encode(head.service)
    prefix = context.prefix("raw", carried & context.enrichment.keys)
    core = f'"{head.timestamp}","level":"{head.level}","service":'.encode()
    return msgspec.Raw(core + service + extra + b"," + prefix.removesuffix(b","))
