"""The journal's export format, entry by entry or, where it can be, all at once.

A compiled kernel (formats.kernel) takes entries up to the first that is unusual; that one is taken by itself, and the
kernel goes on behind it. Where many are unusual, all that is left is taken as where there is no kernel.

Where there is no binary data, entries that are all alike are taken in columns (`journald_columns`). This is the way
of all others: binary data is taken out first, found by walking over runs of text; numpy makes a LF of the first `=` of
each line, and one split cuts all into names and values. Entries that had binary fields or have a name twice are read
one by one, as are all of them where a line is no field or not UTF-8.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from formats import kernel
from formats.errors import DecodeError
from formats.journald_columns import encode_stretches
from formats.journald_entries import Entries, Value, are_names, names_of
from formats.journald_framing import CUT_OFF, LENGTH_BYTES, TEXT_FIELDS, read_length
from formats.record import Context, Encoded

if kernel.COMPILED:
    from formats.kernel import journal_export, made

EncodeOne = Callable[[bytes, int, Entries], int]
"""Takes the entry of a block that begins at a position, whatever is in it; returns where the next one begins."""

_COMMON = 8  # entries that a kernel takes between two that it does not: else the other way takes the rest
_FIRST = 64  # that it may fail to take before
_NOTHING: frozenset[str] = frozenset()
_HOSTNAME = frozenset({"hostname"})
_LF = ord("\n")
_EQUALS = ord("=")
_TEXT_ENTRIES = re.compile(rb"(?:[^\n=]*+=[^\n]*+\n|\n)*+")


def encode_export(block: bytes, entries: Entries) -> None:
    """Take whole entries; the last may lack its empty line."""
    if kernel.COMPILED:
        block = block[encode_compiled(block, entries, False, _encode_one) :]
        if not block:
            return
    at = 0
    for stretch in encode_stretches(block, entries.context) if b"\0" not in block else ():
        _encode_any(block[at : stretch.start], entries)
        entries.append(stretch.encoded)
        at = stretch.end
    _encode_any(block[at:], entries)


def encode_compiled(block: bytes, entries: Entries, is_json: bool, encode_one: EncodeOne) -> int:
    """Take entries as long as few are unusual, these by `encode_one`; return where those begin that are left."""
    take = Compiled(entries.context, is_json).take
    at = taken = stops = 0
    while True:
        encoded, at = take(block, at)
        if encoded is not None:
            entries.append(encoded)
            taken += encoded.records
        stops += 1
        if at >= len(block) or _COMMON * stops > taken + _FIRST:
            return at
        at = encode_one(block, at, entries)


class Compiled:
    """The kernel, for the blocks of one context."""

    def __init__(self, context: Context, is_json: bool) -> None:
        keys = context.enrichment.keys
        prefixes = [context.prefix("journald", keys & carried) for carried in (_NOTHING, _HOSTNAME)]
        tail, hosted_tail = (prefix.removesuffix(b",") + b"}\n" for prefix in prefixes)
        self._tails = tail, hosted_tail
        self._received_at = context.received_at.encode()
        self._service = context.service.encode()
        self._absent = names_of(keys)
        self._is_json = is_json
        self._wanted = context.wanted

    def take(self, block: bytes, at: int) -> tuple[Encoded | None, int]:
        """The entries from one that begins at `at` up to the first that is unusual, if any, and where that begins."""
        fields, stop = journal_export.entries(
            block,
            at,
            self._received_at,
            self._service,
            self._tails,
            self._absent,
            self._is_json,
            self._wanted,
        )
        return made.encoded("journald", fields), stop


def _encode_any(block: bytes, entries: Entries) -> None:
    """Take entries whatever fields they have."""
    text = _take_out(block) if b"\0" in block else _Text(block, [], [])
    if text is not None and _encode_text(block, text, entries):
        return
    at = 0
    while at < len(block):
        at = _encode_one(block, at, entries)


class _Text(NamedTuple):
    """A block without the data of its binary fields: where it has a name and `=` instead, and how much is missing."""

    text: bytes
    positions: list[int]
    missing_bytes: list[int]


def _take_out(block: bytes) -> _Text | None:
    """None if there is what is no field, or half of one."""
    pieces: list[bytes] = []
    positions: list[int] = []
    missing_bytes: list[int] = []
    at = missing = 0
    while True:
        run = _TEXT_ENTRIES.match(block, at)
        end = run.end() if run else at
        pieces.append(block[at:end])
        if end == len(block):
            return _Text(b"".join(pieces), positions, missing_bytes)
        line_end = block.find(b"\n", end)
        length = CUT_OFF if line_end < 0 else read_length(block, end, line_end)
        if length is None or length == CUT_OFF:
            return None
        at = line_end + 1 + LENGTH_BYTES + length + 1
        if block[at - 1 : at] != b"\n":
            return None
        pieces.append(block[end:line_end] + b"=\n")
        positions.append(end - missing)
        missing_bytes.append(at - end - len(pieces[-1]))
        missing += missing_bytes[-1]


def _encode_text(block: bytes, cut: _Text, entries: Entries) -> bool:
    """Take all entries; False, and none is taken, if a line is no field, or not UTF-8."""
    text = cut.text
    if not text.endswith(b"\n"):
        return False
    octets = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(octets == _LF)
    starts = np.concatenate(([0], ends[:-1] + 1))
    is_blank = starts == ends
    equals = np.flatnonzero(octets == _EQUALS)
    first = np.append(equals, len(text))[np.searchsorted(equals, starts)]
    if (first > ends)[~is_blank].any():
        return False
    marked = octets.copy()
    marked[first[~is_blank]] = _LF
    try:
        parts = marked.tobytes().decode().split("\n")
    except UnicodeDecodeError:
        return False
    blanks = np.flatnonzero(is_blank)
    stops = np.append(
        2 * blanks - np.arange(blanks.size), len(parts) - 1
    )  # each line is cut in two, but empty ones
    begins = np.concatenate(([0], stops[:-1] + 1))
    filled = begins < stops
    records, special = _make(parts, begins[filled].tolist(), stops[filled].tolist())
    bounds = np.concatenate(([0], ends[blanks] + 1, [len(text)]))[np.append(filled, True)]
    if cut.positions:
        special |= set((np.searchsorted(bounds, cut.positions, side="right") - 1).tolist())
        missing_bytes = np.concatenate(([0], np.cumsum(cut.missing_bytes)))
        bounds += missing_bytes[np.searchsorted(cut.positions, bounds)]
    start = 0
    for index in sorted(special):
        entries.add(records[start:index], partial(_entry, block, bounds, start))
        _encode_one(_entry(block, bounds, 0, index), 0, entries)
        start = index + 1
    entries.add(records[start:], partial(_entry, block, bounds, start))
    return True


def _entry(block: bytes, bounds: NDArray[np.intp], first: int, index: int) -> bytes:
    """The bytes of an entry, by its index from the `first`."""
    return block[bounds[first + index] : bounds[first + index + 1]]


def _make(parts: list[str], begins: list[int], stops: list[int]) -> tuple[list[dict[str, str]], set[int]]:
    """Entries of names and values by turns, and which of them have a name twice or one that is none."""
    entries: list[dict[str, str]] = []
    special: set[int] = set()
    names_before: list[str] = []
    for begin, stop in zip(begins, stops, strict=True):
        names = parts[begin:stop:2]
        if names == names_before:  # most follow their like: the hashes of its names are known
            names = names_before
        entry = dict(zip(names, parts[begin + 1 : stop : 2]))  # noqa: B905  # as many: to have it checked costs
        if names is not names_before:
            if len(entry) < len(names) or not are_names(names):
                special.add(len(entries))
            else:
                names_before = names
        entries.append(entry)
    return entries, special


def _encode_one(block: bytes, start: int, entries: Entries) -> int:
    """Take the entry at `start`, with whatever is in it; return where the next one begins."""
    try:
        entry = _read(block, start)
    except DecodeError as error:
        entries.keep(error, block[start:])
        return len(block)
    data = block[start : entry.end]
    if entry.odd:
        entries.keep(DecodeError("invalid_field", f"a line without '=': {entry.odd[:80]!r}"), data)
    elif entry.fields:
        entries.add_fields(entry.fields, data)
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
    return name.decode("utf-8", "replace")
