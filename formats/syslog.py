"""Syslog to records: RFC 5424 and RFC 3164 in any mixture, whatever is neither kept whole.

Before all that follows, a compiled kernel (formats.syslog_compiled) tries to take the block in one pass; it takes what
most senders send.

The first message of a block is read alone; that tells how those like it are cut into columns of PRI, time, origin
and text (formats.syslog_5424, formats.syslog_3164), whose distinct values are read once each. What did not fit is
treated the same way again, as often as there are layouts; what remains is read one by one. One call renders all.

A message that is none of these is kept as a raw record with `parse_error`, beside it what its PRI says. One that is not
UTF-8 is read all the same, its bad bytes shown as `\\xNN`, which `parse_error` tells. Only one cut off by the end of
the stream is refused.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from itertools import compress
from typing import NamedTuple, cast

import msgspec

from formats import kernel, syslog_3164, syslog_5424, syslog_framing, syslog_times
from formats.cores import Lists
from formats.errors import DecodeError
from formats.record import DETAIL_LIMIT, Context, Encoded, tally
from formats.syslog_message import PRI_NAMES, UNTOLD, Layout, Message, Origin, origin, split_pri

if kernel.COMPILED:
    from formats import syslog_compiled

_encoder = msgspec.json.Encoder()
_FEW = 8  # lines that are not worth being cut into columns
_BLANK = " \t\r\v\f"
_BY_KEY = syslog_5424.SEVERITIES | syslog_3164.SEVERITIES
_LEVELS = {key: severity.level for key, severity in _BY_KEY.items()}
_SEVERITIES = {key: severity.rendered for key, severity in _BY_KEY.items()}
_PARSE_ERROR = "parse_error"
_Lists = tuple[list[object], ...]
_NO_NAMES: frozenset[str] = frozenset()
_NOT_UTF8 = "invalid_utf8: bytes that are not UTF-8 are shown as \\xNN"


class _Line(msgspec.Struct, gc=False):
    """A record to encode: `level` and `service` are their values and, rendered already, all other fields."""

    timestamp: str
    level: msgspec.Raw
    service: msgspec.Raw
    message: str


class _Columns(NamedTuple):
    """Messages read, the same number in each list; `levels` and `services` are for counting."""

    times: list[str]
    levels: list[str]
    severities: list[msgspec.Raw]
    services: list[str]
    origins: list[msgspec.Raw]
    texts: list[str]

    def put(self, indexes: Sequence[int], other: "_Columns") -> None:
        """Take over others, to where they belong."""
        columns = zip(cast(_Lists, self), cast(_Lists, other), strict=True)
        if len(indexes) == indexes[-1] - indexes[0] + 1:
            where = slice(indexes[0], indexes[-1] + 1)
            for mine, others in columns:
                mine[where] = others
            return
        for mine, others in columns:
            for index, value in zip(indexes, others, strict=True):
                mine[index] = value


def encode(block: bytes, context: Context) -> list[Encoded]:
    """Make records of whole messages, as framing leaves them; the last may lack its LF.

    There is one `Encoded` for each run of messages that are syslog or are not.
    """
    if kernel.COMPILED and (encoded := _take(block, context)) is not None:
        return [encoded]
    messages, damaged, truncated = _split(block)
    reader = _Reader(messages, damaged, context, context.enrichment.zone)
    reader.read()
    done = []
    start = 0
    for end, format in reader.runs():
        done.append(_render(reader.columns, slice(start, end), format, context))
        start = end
    if truncated:
        done.append(Encoded("syslog"))
        done[-1].reject("truncated", truncated, "fewer octets than the count before them says")
    return done or [Encoded("syslog")]


def _take(block: bytes, context: Context) -> Encoded | None:
    """The compiled way."""
    readers: list[_Reader] = []  # one, if there is anything to read

    def other(message: bytes) -> "syslog_compiled.Told | None":
        if not readers:
            readers.append(_Reader([""], set(), context, context.enrichment.zone))
        return readers[0].read_alone(message)

    return syslog_compiled.encode(block, context, other)


def _split(block: bytes) -> tuple[list[str], set[int], bytes]:
    """Messages that are not blank, which of them are not UTF-8, and one cut off at the end."""
    parts = syslog_framing.split(block)
    if parts is None:
        if b"\0" in block:
            block = block.replace(b"\0", b"\n")
        lines = block.replace(b"\r\n", b"\n").removesuffix(b"\r") if b"\r" in block else block
        try:
            return _not_blank(lines.decode().split("\n")), set(), b""
        except UnicodeDecodeError:
            parts = block.split(b"\n"), b""
    whole, truncated = parts
    messages: list[str] = []
    damaged: set[int] = set()
    for part in whole:
        part = part.removesuffix(b"\r")
        try:
            text = part.decode()
        except UnicodeDecodeError:
            text = part.decode(errors="backslashreplace")
            damaged.add(len(messages))
        messages += _not_blank([text])
    return messages, damaged, truncated


def _not_blank(lines: list[str]) -> list[str]:
    if not lines[-1]:
        lines.pop()
    if "" in lines or any(map(str.isspace, lines)):
        return [line for line in lines if line.strip(_BLANK)]
    return lines


class _Reader:
    """Reads the messages of one block into columns."""

    def __init__(self, messages: list[str], damaged: set[int], context: Context, zone: tzinfo) -> None:
        nothing, size = msgspec.Raw(), len(messages)
        self.columns = _Columns(
            [""] * size, [""] * size, [nothing] * size, [""] * size, [nothing] * size, [""] * size
        )
        self.kept: set[int] = set()  # what is none of these
        self._messages = messages
        self._damaged = damaged
        self._context = context
        self._zone = zone
        self._received = datetime.fromisoformat(context.received_at)
        self._service = _encoder.encode(context.service)
        self._rests: dict[tuple[str, frozenset[str], frozenset[str]], bytes] = {}

    def read(self) -> None:
        """Read all, in columns where that can be."""
        left: Sequence[int] = range(len(self._messages))
        tried: set[Layout] = set()
        position = 0
        while position < len(left):
            layout = self._read_one(left[position])
            position += 1
            if layout is not None and layout not in tried and len(left) - position > _FEW:
                tried.add(layout)
                left = self._read_columns(layout, left[position:])
                position = 0

    def read_alone(self, message: bytes) -> "syslog_compiled.Told | None":
        """Read one that is not of the block, in the place of the first; None if it is not syslog."""
        self._damaged.clear()
        try:
            self._messages[0] = message.decode()
        except UnicodeDecodeError:
            self._messages[0] = message.decode(errors="backslashreplace")
            self._damaged.add(0)
        self._read_one(0)
        if self.kept:
            return None
        times, levels, severities, services, origins, texts = self.columns
        return times[0], levels[0], bytes(severities[0]), services[0], bytes(origins[0]), texts[0]

    def runs(self) -> Iterator[tuple[int, str]]:
        """Where each run of messages of one format ends."""
        size, kept = len(self._messages), self.kept
        for index in range(1, size) if kept else ():
            if (index in kept) != (index - 1 in kept):
                yield index, "syslog" if index in kept else "raw"
        if size:
            yield size, "raw" if size - 1 in kept else "syslog"

    def _read_columns(self, layout: Layout, indexes: Sequence[int]) -> Sequence[int]:
        """Read those messages that have the layout, and return the others."""
        lines = list(map(self._messages.__getitem__, indexes))
        times: Sequence[str | None]
        if layout.kind == syslog_5424.KIND:
            pris, spelled, heads, texts = syslog_5424.cut(lines, layout.separator)
            times = syslog_times.iso_column(spelled, self._zone)
        elif layout.kind == syslog_3164.ISO_KIND:
            pris, spelled, heads, texts = syslog_3164.cut_iso(lines)
            times = syslog_times.iso_column(spelled, self._zone)
        else:
            pris, spelled, heads, texts = syslog_3164.cut_bsd(lines)
            times = syslog_times.bsd_column(spelled, self._received, self._zone)
        known = (syslog_5424 if layout.kind == syslog_5424.KIND else syslog_3164).SEVERITIES
        services, origins = self._open_heads(layout, set(heads))
        left: Sequence[int] = ()
        if (
            None in times
            or self._damaged
            or not (known.keys() >= set(pris) and services.keys() >= set(heads))
        ):
            damaged = self._damaged
            fits = [
                time is not None and pri in known and head in services and index not in damaged
                for index, time, pri, head in zip(indexes, times, pris, heads, strict=True)
            ]
            left = [index for index, fit in zip(indexes, fits, strict=True) if not fit]
            indexes = list(compress(indexes, fits))
            times = list(compress(times, fits))
            pris, heads, texts = [list(compress(column, fits)) for column in (pris, heads, texts)]
        if indexes:
            columns = _Columns(
                cast(list[str], times),
                list(map(_LEVELS.__getitem__, pris)),
                list(map(_SEVERITIES.__getitem__, pris)),
                list(map(services.__getitem__, heads)),
                list(map(origins.__getitem__, heads)),
                list(texts),
            )
            self.columns.put(indexes, columns)
        return left

    def _open_heads(
        self, layout: Layout, heads: Iterable[str]
    ) -> tuple[dict[str, str], dict[str, msgspec.Raw]]:
        """Service and rendered origin of the heads that are recognised to their end."""
        services: dict[str, str] = {}
        origins: dict[str, msgspec.Raw] = {}
        rests: dict[frozenset[str], bytes] = {}
        is_5424 = layout.kind == syslog_5424.KIND
        for head in heads:
            found = syslog_5424.read_head(head, layout.separator) if is_5424 else syslog_3164.read_head(head)
            if found is None:
                continue
            service, rendered, names = found
            if service is None or (rest := rests.get(names)) is None:
                services[head], origins[head] = self._open(found, PRI_NAMES, "syslog")
                rests[names] = self._rest(names, PRI_NAMES, "syslog")
            else:
                services[head] = service
                origins[head] = msgspec.Raw(rendered + rest)
        return services, origins

    def _read_one(self, index: int) -> Layout | None:
        """Read one message; the layout that it has, if it is one of those that can be cut."""
        text = self._messages[index]
        severity = None
        try:
            severity, rest = split_pri(text)
            if severity is not None and syslog_5424.claims(rest):
                message = syslog_5424.read(severity, rest, self._zone)
            else:
                message = syslog_3164.read(severity, rest, self._received, self._zone)
            format = "syslog"
        except DecodeError as error:
            reason = f"{error.reason}: {error.detail}"[:DETAIL_LIMIT]
            message = Message(severity or UNTOLD, None, origin(None, {_PARSE_ERROR: reason}), text, None)
            format = "raw"
            self.kept.add(index)
        found = message.origin
        if index in self._damaged and format == "syslog":
            found = found.having({_PARSE_ERROR: _NOT_UTF8})
        names = PRI_NAMES if severity else _NO_NAMES
        times, levels, severities, services, origins, texts = self.columns
        times[index] = message.timestamp or self._context.received_at
        levels[index], severities[index] = message.severity
        services[index], origins[index] = self._open(found, names, format)
        texts[index] = message.text
        return message.layout

    def _open(self, found: Origin, pri_names: frozenset[str], format: str) -> tuple[str, msgspec.Raw]:
        """The service and, rendered from its value on, all fields up to the message."""
        rest = self._rest(found.names, pri_names, format)
        if found.service is None:
            return self._context.service, msgspec.Raw(self._service + found.rendered + rest)
        return found.service, msgspec.Raw(found.rendered + rest)

    def _rest(self, names: frozenset[str], pri_names: frozenset[str], format: str) -> bytes:
        """The enrichment of messages with fields of these names."""
        key = (format, pri_names, names)
        rest = self._rests.get(key)
        if rest is None:
            carried = self._context.enrichment.keys & (names | pri_names)
            rest = self._rests[key] = b"," + self._context.prefix(format, carried).removesuffix(b",")
        return rest


def _render(columns: _Columns, run: slice, format: str, context: Context) -> Encoded:
    """Make records of messages that stand together."""
    times, levels, services = columns.times[run], columns.levels[run], columns.services[run]
    severities, origins, texts = columns.severities[run], columns.origins[run], columns.texts[run]
    chunk = _encoder.encode_lines(list(map(_Line, times, severities, origins, texts)))
    encoded = Encoded(format, [chunk], len(chunk), len(times))
    encoded.count(tally(levels), set(services), min(times), max(times))
    if context.wanted.is_any:
        encoded.columns = Lists(levels, services, texts)
    return encoded
