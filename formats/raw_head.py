"""The head of a raw line: what of time, level, service and process id stands before its text.

Only structure is taken off: separators and brackets. A level that no separator but a space follows must be in
capitals and have a time before it, since `Error` and `Notice` also begin sentences; a single letter counts in
brackets only. A service is told only behind a level, or by its process id. What is recognised ends at the
latest with the first `: `, which `Heads` relies upon. All patterns are anchored, their repeats possessive or
bounded, so that they take linear time on any input.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from formats import levels, timestamps
from formats.errors import DecodeError

_END = r"(?:[ \t]++|\Z)"
_COLON = r":(?:[ \t]|\Z)"
_STOP = r"(?=[ \t]|\Z)"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_./@$-]{0,127}+"
_PID = r"\[[0-9]{1,10}\]"
_ISO = (
    r"[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]++)?"
    r"(?: ?(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?))?"
)
_EPOCH = r"[0-9]{10}(?:\.[0-9]++|(?:[0-9]{3}){0,3})(?=[ \t])"
_COMMON_WORDS = {"CONFIG", "DEFAULT", "FINE", "FINER", "FINEST"}  # levels in a JSON field, rarely in a text
_CAPITALS = "|".join(name for name in levels.NAMES if len(name) > 1 and name not in _COMMON_WORDS)
_WORD = f"(?i:{_CAPITALS})"
_BOXED = rf"\[[ ]{{0,16}}+({_WORD}|(?i:[TDIWEF]))[ ]{{0,16}}+\]"

_time = re.compile(rf"(\[)?({_ISO}|{_EPOCH})(?(1)\]){_STOP}")
_iso = re.compile(_ISO)
_after_time = re.compile(
    rf"""
    (?:[ \t]++-)?[ \t]++
    (?:
        ({_NAME})[ \t]++-[ \t]++({_WORD})[ \t]++-{_END}
    |
        (?: {_BOXED}(?=:|{_STOP}) | ({_WORD})(?=:) | ({_WORD})[ \t]++-{_STOP} | ({_CAPITALS}){_STOP} )
        (?: {_COLON} | [ \t]++({_NAME})({_PID})?(?:{_COLON}|[ \t]++-{_END}) | {_END} )
    |
        ({_NAME})({_PID}){_COLON}
    )
    """,
    re.VERBOSE,
)
_level_first = re.compile(rf"{_BOXED}(?:{_COLON}|{_END})|({_WORD}):[ \t]?")


class Head(NamedTuple):
    """What a line says of itself; `pid` is None where it says nothing."""

    timestamp: str
    level: str
    service: str
    pid: int | None


def read(line: str, received_at: str, service: str) -> tuple[Head, str]:
    """The head of a line and the text that remains. What the line does not say is the receive time, INFO, `service`."""
    nothing = Head(received_at, "INFO", service, None)
    time = _time.match(line)
    if time is None:
        level = _level_first.match(line)
        if level is None:
            return nothing, line
        return nothing._replace(level=levels.parse(level[1] or level[2])), line[level.end() :]
    try:
        timestamp = timestamps.parse(time[2])
    except DecodeError:
        return nothing, line  # digits that are no time are text
    rest = _after_time.match(line, time.end())
    if rest is None:
        return nothing._replace(timestamp=timestamp), line[time.end() + 1 :].removeprefix("- ")
    dashed_name, dashed, boxed, marked, hyphened, capitals, name, pid, lone_name, lone_pid = rest.groups()
    word = dashed or boxed or marked or hyphened or capitals
    pid = pid or lone_pid
    head = Head(
        timestamp,
        levels.parse(word) if word else "INFO",
        dashed_name or name or lone_name or service,
        int(pid[1:-1]) if pid else None,
    )
    return head, line[rest.end() :]


class Heads:
    """Reads heads cut off before `: `, for one block, quickly where all times have the width of the first."""

    def __init__(self, received_at: str, service: str) -> None:
        self._received_at = received_at
        self._service = service
        self._width = 0
        self._tails: dict[str, Head] = {}  # what stands behind a time of that width

    def read(self, head: str) -> Head | None:
        """The head, if it is recognised to its end; else None."""
        width = self._width
        known = self._tails.get(head[width:])
        if known is not None and (timestamp := _timestamp(head[:width])) is not None:
            return known._replace(timestamp=timestamp)
        found, text = read(head + ": ", self._received_at, self._service)
        if text:
            return None
        time = _time.match(head)
        if time is not None and _iso.match(head) and self._width in (0, time.end()):
            self._width = time.end()
            self._tails[head[time.end() :]] = found
        return found


@lru_cache(4096)
def _timestamp(text: str) -> str | None:
    """The time that the whole of `text` is, None if it is none."""
    if not _iso.fullmatch(text):
        return None
    try:
        return timestamps.parse(text)
    except DecodeError:
        return None
