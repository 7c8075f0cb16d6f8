"""What a stream or a line is, told by how it begins.

`sniff` looks at the first bytes of a connection for what needs a framing of its own: Avro, the journal's export format,
syslog with counted octets. Anything else is lines, which may be of any kind in turn: `lines_of` tells them apart.

    {   [{                    JSON; of these, what has only a journal's names, and its time or cursor, is its JSON
    <PRI>, at most 191        syslog if RFC 5424's version and time follow, or any form of RFC 3164 with a time, a tag
                              with its process id, a tag alone where the facility is not kern, or Cisco's mnemonic;
                              anything where the line ends with NUL, as messages of SysLogHandler do
    Nov 20 12:00:00 host tag: syslog without a PRI; so is rsyslog's time, of six digits and an offset
    anything else             raw text; so `<html>`, `<14> is a number`, `<5>text` and `34 bottles`

The two common beginnings of syslog are compared by numpy, all lines at once; a pattern sees the uncommon ones alone.
Before that, a compiled kernel (formats.kernel) looks whether all lines are clearly raw, or all clearly syslog.
"""

import re

import numpy as np
from numpy.typing import NDArray

from formats import kernel, levels, lines
from formats.errors import DecodeError
from formats.mapping import decode_array, decode_object

if kernel.COMPILED:
    from formats.kernel import line_kinds

KINDS = ("raw", "json", "journald", "syslog")
_RAW, _JSON, _JOURNALD, _SYSLOG = range(4)

_Octets = NDArray[np.uint8]
_Positions = NDArray[np.intp]

_AVRO = b"Obj\x01"  # Avro 1.11, Object Container Files
# What journalctl -o export and systemd-journal-upload begin with is the first; the others are for who leaves that out.
_EXPORT = (b"__CURSOR=", b"__REALTIME_TIMESTAMP=", b"__MONOTONIC_TIMESTAMP=", b"__SEQNUM=")
_COUNTED = re.compile(rb"[1-9][0-9]{0,8} <[0-9]{1,3}>")  # RFC 6587 section 3.4.1
_MAY_BE_COUNTED = re.compile(rb"[1-9][0-9]{0,8}(?: (?:<[0-9]{0,3})?)?\Z")

PRI = rb"<(?:[0-9]|[1-9][0-9]|1[0-8][0-9]|19[01])>"
"""A pattern of what begins a message, RFC 5424 section 6.2.1."""

_MONTH_NAMES = b"Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_BSD = rb"(?:" + _MONTH_NAMES + rb") [ 0-3]?[0-9] (?:[0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}"
_ISO = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
_CISCO = rb"%(?:[A-Z0-9_]{1,64}-){1,4}+[A-Z0-9_]{1,64}: "
_NAME = rb"[A-Za-z_][A-Za-z0-9_./@-]{0,63}+"
_PID = rb"\[[0-9]{1,10}\]"
_LEVEL_NAMES = "|".join(name for name in levels.NAMES if len(name) > 1).encode()
_HOST = rb"(?!(?i:" + _LEVEL_NAMES + rb") )[A-Za-z0-9_](?:[A-Za-z0-9_.:-]{0,253}[A-Za-z0-9_])?"
_TAG = _NAME + rb"(?:" + _PID + rb")?: "
_with_pri = re.compile(
    PRI + rb"(?:[1-9][0-9]? (?:- (?:[!-~]{1,255} ){4}[-\[]|" + _ISO + rb")"
    rb"|:?[ ]?[*.]?(?:" + _BSD + rb"|" + _ISO + rb")[ .:Z+-]"
    rb"|[0-9A-Za-z_.:* -]{0,100}?" + _CISCO + rb"|" + _NAME + _PID + rb":?[ ])"
    rb"|<(?:[89]|[1-9][0-9]|1[0-8][0-9]|19[01])>" + _TAG
)
_pri = re.compile(PRI)
_without_pri = re.compile(
    rb"[*.]?"
    + _BSD
    + rb"(?:\.[0-9]{1,9})? (?:(?:"
    + _HOST
    + rb" )?"
    + _NAME
    + _PID
    + rb": |"
    + _HOST
    + rb" "
    + _TAG
    + rb")"
    rb"|[*.]?"
    + _BSD
    + rb"(?:\.[0-9]{1,9})?(?: [A-Z]{3,5})?: "
    + _CISCO
    + rb"|"
    + _ISO
    + rb"\.[0-9]{6}[+-][0-9]{2}:[0-9]{2} "
    + _HOST
    + rb" "
    + _TAG
)
_HEAD_BYTES = 512  # of a line that a pattern gets to see

_JOURNAL_FIELD = re.compile(rb'"__(?:REALTIME_TIMESTAMP|CURSOR)"')
_NO_JOURNAL_NAME = re.compile(
    rb'[^A-Z0-9_:,{\[\\ \t]"[ \t]*+:'
)  # the end of a name, as quotes in text are escaped
_JSON_BLANKS = b" \t\r"  # before a value, RFC 8259 section 2; LF ends the line
_ARRAY = re.compile(rb"\s*+\[\s*+\{")


def _classes(**firsts: bytes) -> _Octets:
    """A table of first bytes by the recogniser that sees the line."""
    table = np.zeros(256, np.uint8)
    for name, characters in firsts.items():
        table[list(characters)] = _RECOGNISERS.index(name)
    return table


_RECOGNISERS = ("text", "object", "unclear", "pri", "month", "year")
_TEXT, _OBJECT, _UNCLEAR, _PRI, _MONTH, _YEAR = range(6)
_FIRSTS = _classes(object=b"{", unclear=b"[ \t\r\v\f\n", pri=b"<", month=b"JFMASOND*.", year=b"12")


def _template(text: bytes, most: bytes) -> tuple[_Octets, _Octets]:
    """What each character is compared with, and how much it may differ: a digit xor `0` is its value."""
    template = np.frombuffer(text, np.uint8)
    return template, np.frombuffer(most, np.uint8) ^ template


_5424 = _template(b"1 0000-00-00T00:00:00", b"1 9999-19-39T29:59:69")
_3164 = _template(b"00 00:00:00 ", b"39 29:59:69 ")
_3164_PADDED = _template(b" 0 00:00:00 ", b" 9 29:59:69 ")
_MONTHS = np.array([int.from_bytes(month, "big") for month in _MONTH_NAMES.split(b"|")])
_BIG_ENDIAN = np.array([1 << 16, 1 << 8, 1])
_TENS = np.array([100, 10, 1])
_WIDTH = 28  # of what is compared: a PRI of five characters, RFC 5424 up to the seconds
_PADDING = np.zeros(64, np.uint8)


def sniff(head: bytes) -> str | None:
    """The format whose framing a stream without a header needs: `avro`, `journald`, `syslog`, or `auto`.

    None while `head` is too short to tell; 22 bytes always are enough.
    """
    if head.startswith(_AVRO):
        return "avro"
    if head.startswith(_EXPORT):
        return "journald"
    if _COUNTED.match(head):
        return "syslog"
    if any(start.startswith(head) for start in (_AVRO, *_EXPORT)) or _MAY_BE_COUNTED.match(head):
        return None
    return "auto"


def lines_of(block: bytes) -> list[tuple[str, bytes]]:
    """The runs of lines of one kind, one of `KINDS`. A blank line is of the kind before it."""
    if not block:
        return []
    if kernel.COMPILED and (kind := line_kinds.one_kind(block)) is not None:
        return [(kind, block)]
    ends = lines.ends(block)
    starts = np.concatenate(([0], ends[:-1]))
    octets = np.frombuffer(block, np.uint8)
    classes = _FIRSTS[octets[starts]]
    kinds = np.zeros(starts.size, np.uint8)
    kinds[classes == _OBJECT] = _JSON
    if (classes > _UNCLEAR).any():
        kinds[_syslog_lines(block, octets, starts, ends, classes)] = _SYSLOG
    for index in np.flatnonzero(classes == _UNCLEAR).tolist():
        line = block[starts[index] : ends[index]]
        if line.isspace():
            kinds[index] = kinds[index - 1] if index else _RAW
        elif line.lstrip(_JSON_BLANKS).startswith(b"{") or _is_array_of_objects(line):
            kinds[index] = _JSON
    if _JOURNAL_FIELD.search(block):
        for index in np.flatnonzero(kinds == _JSON).tolist():
            line = block[starts[index] : ends[index]]
            if _JOURNAL_FIELD.search(line) and not _NO_JOURNAL_NAME.search(line):
                kinds[index] = _JOURNALD
    changes = np.flatnonzero(kinds[1:] != kinds[:-1]) + 1
    bounds = [0, *starts[changes].tolist(), len(block)]
    firsts = kinds[np.concatenate(([0], changes))].tolist()
    return [
        (KINDS[kind], block[start:end])
        for kind, start, end in zip(firsts, bounds[:-1], bounds[1:], strict=True)
    ]


def _syslog_lines(
    block: bytes, octets: _Octets, starts: _Positions, ends: _Positions, classes: _Octets
) -> _Positions:
    """The indices of lines that are syslog."""
    octets = np.concatenate((octets, _PADDING))  # so that no line is too short to be looked at
    found = []
    with_pri = np.flatnonzero(classes == _PRI)
    if with_pri.size:
        at = starts[with_pri]
        is_common = _is_common(octets, at)
        found.append(with_pri[is_common])
        rest = with_pri[~is_common]
        found.append(_matching(_with_pri, block, starts, rest))
        lasts = ends[rest] - 1
        lasts -= octets[lasts] == ord("\n")
        found.append(_matching(_pri, block, starts, rest[octets[lasts] == 0]))
    months = np.flatnonzero(classes == _MONTH)
    at = starts[months]
    may_be = (octets[at + 6] == ord(" ")) | np.isin(octets[at], (ord("*"), ord(".")))
    found.append(_matching(_without_pri, block, starts, months[may_be]))
    years = np.flatnonzero(classes == _YEAR)
    at = starts[years]
    may_be = (octets[at + 10] == ord("T")) & (octets[at + 19] == ord(".")) & (octets[at + 32] == ord(" "))
    found.append(_matching(_without_pri, block, starts, years[may_be]))
    return np.concatenate(found)


def _is_common(octets: _Octets, at: _Positions) -> NDArray[np.bool_]:
    """Whether lines that begin with `<` go on with a PRI and the beginning of RFC 5424, or with RFC 3164's time."""
    heads = np.ndarray((octets.size - _WIDTH, _WIDTH), np.uint8, octets, strides=(1, 1))[at]
    found = np.zeros(at.size, np.bool_)
    for digits in (1, 2, 3):
        rows = np.flatnonzero(heads[:, digits + 1] == ord(">"))
        if rows.size:
            values = heads[:, 1 : digits + 1][rows] ^ np.uint8(ord("0"))
            is_pri = (values <= 9).all(axis=1) & (values @ _TENS[-digits:] <= 191)
            if digits > 1:
                is_pri &= values[:, 0] > 0
            found[rows[is_pri]] = _begins_message(heads[rows[is_pri], digits + 2 :])
    return found


def _begins_message(heads: _Octets) -> NDArray[np.bool_]:
    found = _fits(heads, _5424)
    rows = np.flatnonzero(~found)
    if rows.size:
        heads = heads[rows]
        months = heads[:, :3] @ _BIG_ENDIAN
        is_bsd = _fits(heads[:, 4:], _3164) | _fits(heads[:, 4:], _3164_PADDED)
        found[rows] = is_bsd & (heads[:, 3] == ord(" ")) & np.isin(months, _MONTHS)
    return found


def _fits(heads: _Octets, template: tuple[_Octets, _Octets]) -> NDArray[np.bool_]:
    characters, limit = template
    return np.asarray(((heads[:, : characters.size] ^ characters) <= limit).all(axis=1), np.bool_)


def _matching(
    pattern: re.Pattern[bytes], block: bytes, starts: _Positions, indices: _Positions
) -> _Positions:
    """Those of the lines that begin as the pattern has it."""
    positions = starts[indices].tolist()
    matches = [pattern.match(block, start, start + _HEAD_BYTES) is not None for start in positions]
    return indices[np.array(matches, np.bool_)]


def _is_array_of_objects(line: bytes) -> bool:
    if not _ARRAY.match(line):
        return False
    try:
        for element in decode_array(line):
            decode_object(bytes(element))
    except DecodeError:
        return False
    return True
