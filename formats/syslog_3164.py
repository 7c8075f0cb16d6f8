"""RFC 3164 as it is really sent: `<PRI>Oct 11 22:14:15 host tag[pid]: text`, and most parts may be missing.

    <34>Oct 11 22:14:15 mymachine su[230]: text      the RFC; also ISO times, a year, no host, no tag, no PRI
    <189>29: *Mar  1 18:46:11.123 UTC: %SYS-5-CONFIG_I: text           Cisco: sequence number, mnemonic
    <166>%ASA-6-302013: text    <13>tag: text    <13>text             no time at all

Without a PRI there must be a time. A word before the tag is the host; a single word that a colon ends is the tag. Where
there is no time either, a tag without a process id must look like a name: `<13>12:30:00: text` has none.
The tag goes to the service, Cisco's `%FACILITY-SEVERITY-MNEMONIC` to service and `msgid`, its numbers to `sequence` and
`counter`.

In columns only the first form is read, with either time; origins are what stands between time and `: `.
"""

import re
from collections.abc import Sequence
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

from formats import syslog_times
from formats.errors import DecodeError
from formats.levels import parse as parse_level
from formats.syslog_message import (
    PRIS,
    UNTOLD,
    Columns,
    Layout,
    Message,
    Origin,
    Severity,
    origin,
    severity_of,
)

BSD_KIND = "3164"
ISO_KIND = "3164 ISO"
_BSD_WIDTH = 16  # the time of RFC 3164 section 4.1.2 and its space
_SEPARATOR = ": "

_HOST = r"(?:[A-Za-z0-9_][A-Za-z0-9_.:%/@-]{0,253}+(?<!:))"
_time = re.compile(rf":?[ ]?[*.]?(?:({syslog_times.BSD})|({syslog_times.ISO}))(?=[ :]|\Z):?[ ]{{0,8}}+")
_prefix = re.compile(
    r"(?:([0-9]{1,12}):[ ]{0,8}+)?(?:((?![0-9]{1,12}:)[A-Za-z0-9_][A-Za-z0-9_.-]{0,253}+):[ ]{1,8}+)?"
    r"(?:([0-9]{1,12}):[ ]{1,8}+)?"
)
_mnemonic = re.compile(r":?[ ]{0,8}+%((?:[A-Z0-9_]{1,64}+-){1,4}+)([A-Z0-9_]{1,64}+):[ ]?")
_host = re.compile(rf"({_HOST})(?:[ ]{{1,8}}+|\Z)")
_tag = re.compile(r"([^\s\[:]{1,128}+(?::{1,2}[^\s\[:]{1,128}+){0,8}+)(?:\[([^\]\s]{1,128}+)\])?:(?:[ ]|\Z)")
_tag_with_pid = re.compile(r"([^\s\[]{1,128}+)\[([^\]\s]{1,128}+)\](?::[ ]?|[ ]|\Z)")
_tag_alone = re.compile(r"([A-Za-z_][A-Za-z0-9_./@-]{0,127}+)(?:\[([^\]\s]{1,128}+)\])?:(?:[ ]|\Z)")
_origin = re.compile(rf"(?:({_HOST})[ ])?([^\s\[:]{{1,128}}+)(?:\[([^\]\s]{{1,128}}+)\])?")
_zone = re.compile(r"[A-Z]{1,5}")  # or a tag: what stands behind it tells
_CACHED_LIMIT = 512  # characters of an origin: what is kept is for senders to choose

SEVERITIES: dict[object, Severity] = {f"<{pri}": severity for pri, severity in PRIS.items()}


def read(severity: Severity | None, rest: str, received: datetime, zone: tzinfo) -> Message:
    """Read what stands behind a PRI, or a message without one. `received` is aware. Raises DecodeError."""
    timestamp, layout, fields, text = _read_start(rest, received, zone)
    if timestamp is None and severity is None:
        raise DecodeError("invalid_syslog", f"begins with neither PRI nor time: {rest[:80]!r}")
    cisco = _mnemonic.match(text)
    tag = None if cisco else _tag_with_pid.match(text)
    if timestamp is None and tag is None and cisco is None:
        tag = _tag_alone.match(text)
    if timestamp is not None and cisco is None and fields.get("hostname") is None:
        tag = _tag.match(text) or tag
        named = None if tag else _host.match(text)
        if named is not None:
            fields["hostname"] = named[1]
            text = text[named.end() :]
            cisco = _mnemonic.match(text)
            tag = None if cisco else _tag.match(text) or _tag_with_pid.match(text)
    if cisco is not None and (number := _cisco_severity(cisco[1])) is not None:
        severity = severity or severity_of(parse_level(number))
        fields["msgid"] = cisco[1] + cisco[2]
        service = cisco[1].partition("-")[0]
        return Message(severity, timestamp, origin(service, fields), text[cisco.end() :], None)
    service = None
    if tag is not None:
        service, fields["procid"] = tag.groups()
        text = text[tag.end() :]
    if severity is None:
        return Message(UNTOLD, timestamp, origin(service, fields), text, None)
    return Message(severity, timestamp, origin(service, fields), text, layout)


def cut_iso(lines: Sequence[str]) -> Columns:
    """Cut lines with an ISO time into columns; what was not cut has an empty head."""
    pris: list[str] = []
    times: list[str] = []
    rests: list[str] = []
    for line in lines:
        first, _, rest = line.partition(" ")
        pri, _, time = first.partition(">")
        pris.append(pri)
        times.append(time)
        rests.append(rest)
    return Columns(pris, times, *_cut_rests(rests))


def cut_bsd(lines: Sequence[str]) -> Columns:
    """The same of lines with a time as in RFC 3164; its column includes the space behind it."""
    pris: list[str] = []
    times: list[str] = []
    rests: list[str] = []
    for line in lines:
        pri, _, rest = line.partition(">")
        pris.append(pri)
        times.append(rest[:_BSD_WIDTH])
        rests.append(rest[_BSD_WIDTH:])
    return Columns(pris, times, *_cut_rests(rests))


def _cut_rests(rests: Sequence[str]) -> tuple[list[str], list[str]]:
    heads: list[str] = []
    texts: list[str] = []
    for rest in rests:
        head, _, text = rest.partition(_SEPARATOR)
        heads.append(head if text else "")  # else there was nothing to cut at, or nothing behind it
        texts.append(text)
    return heads, texts


def read_head(head: str) -> Origin | None:
    """The origin that a head is; None unless it is one whole."""
    return (_read_again if len(head) <= _CACHED_LIMIT else _read)(head)


def _read(head: str) -> Origin | None:
    match = _origin.fullmatch(head)
    if match is None or head.startswith("%"):
        return None
    host, service, process = match.groups()
    if service.startswith("%") or (host is None and process is None and _zone.fullmatch(service)):
        return None
    return origin(service, {"hostname": host, "procid": process})


_read_again = lru_cache(8192)(_read)


class _Start(NamedTuple):
    """What stands up to the time, and the rest. `fields` are Cisco's counter and sequence number, and its host."""

    timestamp: str | None
    layout: Layout | None
    fields: dict[str, str | None]
    rest: str


def _read_start(rest: str, received: datetime, zone: tzinfo) -> _Start:
    layout = counter = host = sequence = None
    match = _time.match(rest)
    if match is None:
        prefix = _prefix.match(rest)
        assert prefix is not None  # all of it is optional
        match = _time.match(rest, prefix.end())
        if match is None and not _mnemonic.match(rest, prefix.end()):
            return _Start(None, None, {}, rest)
        counter, host, sequence = prefix.groups()
        rest = rest[prefix.end() if match is None else 0 :]
    fields = {"hostname": host, "sequence": sequence or counter}
    if sequence and counter:
        fields["counter"] = counter
    if match is None:
        return _Start(None, None, fields, rest)
    spelled, spelled_iso = match.groups()
    if spelled_iso:
        timestamp = syslog_times.iso(spelled_iso, zone)
        layout = Layout(ISO_KIND, _SEPARATOR)
    else:
        timestamp = syslog_times.bsd(spelled, received, zone)
        layout = Layout(BSD_KIND, _SEPARATOR) if len(spelled) == _BSD_WIDTH - 1 else None
    if timestamp is None:  # what only looks like a time is text
        return _Start(None, None, {}, match.string)
    return _Start(timestamp, layout, fields, rest[match.end() :])


def _cisco_severity(words: str) -> str | None:
    """The severity in `FACILITY-SUB-SEVERITY-`, one digit from 0 to 7."""
    number = words.rstrip("-").rpartition("-")[2]
    return number if len(number) == 1 and number in "01234567" else None
