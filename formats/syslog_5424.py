"""RFC 5424: `<PRI>VERSION TIME HOSTNAME APP-NAME PROCID MSGID SD [MSG]`, each but the first NIL (`-`) if unknown.

A block is cut where structured data ends: behind ` - `, or ` - - ` when MSGID is NIL too, and so on, or behind `] `. So
what stands before is all of the origin; there are few distinct ones, and each is read once, whole, by one pattern: a
separator found too early, in a NIL field or in a message, leaves a head that the pattern does not take.

Wider than the RFC: names may be longer, fractions have up to nine digits, a time may lack its offset, an SD-ID or a
parameter may come twice (its values are then an array). Other versions than 1 are read alike, and kept as `version`.
A backslash before any other character than the three stands for itself (section 6.3.3).
"""

import re
from collections.abc import Sequence
from datetime import tzinfo
from functools import lru_cache

from formats import syslog_times
from formats.errors import DecodeError
from formats.syslog_message import BOM, PRIS, Columns, Layout, Message, Origin, Severity, origin

KIND = "5424"

_TOKEN = r"[!-~]{1,255}+"
_NAME = r"""[^ ="\]\x00-\x20\x7f]{1,255}+"""
_VALUE = r'"(?:[^"\\\]]|\\.)*+"'
_ELEMENT = rf"\[{_NAME}(?:\ {_NAME}={_VALUE})*+\]"
_DATA = rf"-|(?:{_ELEMENT})++"
# What begins like this claims to be RFC 5424; `<189>29: text` and `<0>1990 Oct 22` do not.
_claim = re.compile(r"([1-9][0-9]{0,2}) ")
_header = re.compile(
    rf"({_TOKEN})\ ({_TOKEN})\ ({_TOKEN})\ ({_TOKEN})\ ({_TOKEN})\ ({_DATA})(?:\ |\Z)", re.VERBOSE | re.DOTALL
)
_origin = re.compile(rf"({_TOKEN})\ ({_TOKEN})\ ({_TOKEN})\ ({_TOKEN})\ ({_DATA})", re.VERBOSE | re.DOTALL)
_element = re.compile(rf"\[({_NAME})((?:\ {_NAME}={_VALUE})*+)\]", re.DOTALL)
_parameter = re.compile(rf"\ ({_NAME})=({_VALUE})", re.DOTALL)
_escape = re.compile(r'\\(["\\\]])')
_CACHED_LIMIT = 512  # characters of an origin: what is kept is for senders to choose

SEVERITIES: dict[object, Severity] = {f"<{pri}>1": severity for pri, severity in PRIS.items()}


def claims(rest: str) -> bool:
    """Whether what stands behind a PRI begins with a version."""
    return _claim.match(rest) is not None


def read(severity: Severity, rest: str, zone: tzinfo) -> Message:
    """Read what stands behind the PRI of a message that `claims` to be one. Raises DecodeError."""
    version, _, header = rest.partition(" ")
    match = _header.match(header)
    if match is None:
        raise DecodeError("invalid_syslog", f"not the header of RFC 5424: {header[:80]!r}")
    time, host, application, process, message_id, data = match.groups()
    timestamp = None if time == "-" else syslog_times.iso(time, zone)
    if timestamp is None and time != "-":
        raise DecodeError("invalid_syslog", f"not a TIMESTAMP of RFC 5424: {time[:80]!r}")
    fields = _fields(host, process, message_id, data)
    if version != "1":
        fields["version"] = int(version)
    return Message(
        severity,
        timestamp,
        origin(_nil(application), fields),
        header[match.end() :].removeprefix(BOM),
        Layout(KIND, _separator(application, process, message_id, data)) if version == "1" else None,
    )


def cut(lines: Sequence[str], separator: str) -> Columns:
    """Cut lines into columns, the version beside the PRI; what was not cut has an empty head.

    A plain loop: its lists are freed at once, which halves the time of two comprehensions and a `zip`.
    """
    pris: list[str] = []
    times: list[str] = []
    heads: list[str] = []
    texts: list[str] = []
    for line in lines:
        try:
            pri, time, rest = line.split(" ", 2)
        except ValueError:
            pri = time = rest = ""
        head, mark, text = rest.partition(separator)
        pris.append(pri)
        times.append(time)
        heads.append(head if mark else "")
        texts.append(text)
    if not "".join(texts).isascii():
        texts = [text.removeprefix(BOM) for text in texts]
    return Columns(pris, times, heads, texts)


def read_head(head: str, separator: str) -> Origin | None:
    """The origin that a head is; None unless it is one whole."""
    return (_read_again if len(head) <= _CACHED_LIMIT else _read)(head, separator)


def _read(head: str, separator: str) -> Origin | None:
    match = _origin.fullmatch(head + separator[:-1])
    if match is None:
        return None
    host, application, process, message_id, data = match.groups()
    return origin(_nil(application), _fields(host, process, message_id, data))


_read_again = lru_cache(8192)(_read)


def _separator(application: str, process: str, message_id: str, data: str) -> str:
    if data != "-":
        return "] "
    separator = " - "
    for token in (message_id, process, application):
        if token != "-":
            break
        separator += "- "
    return separator


def _fields(host: str, process: str, message_id: str, data: str) -> dict[str, object]:
    fields: dict[str, object] = {"hostname": _nil(host), "procid": _nil(process), "msgid": _nil(message_id)}
    if data != "-":
        for name, parameters in _element.findall(data):
            found = _parameter.findall(parameters)
            if not found:
                fields.setdefault(f"sd.{name}", True)
            for parameter, quoted in found:
                _add(fields, f"sd.{name}.{parameter}", _escape.sub(r"\1", quoted[1:-1]))
    return fields


def _add(fields: dict[str, object], name: str, value: str) -> None:
    known = fields.setdefault(name, value)
    if known is value:
        return
    if isinstance(known, list):
        known.append(value)
    else:
        fields[name] = [known, value]


def _nil(token: str) -> str | None:
    return None if token == "-" else token
