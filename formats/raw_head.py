"""The head of a raw line: what of time, level, service and process id stands before its text.

Only structure is taken off: separators and brackets. A level that no separator but a space follows must be in
capitals and have a time before it, since `Error` and `Notice` also begin sentences; a single letter counts in
brackets only. Letters are those of ASCII: `re` takes a dotted capital I for an i, and no level is spelt so. A service
is told only behind a level, or by its process id. What is recognised ends at the latest with the first `: `, which
`CutReader` relies upon. All patterns are anchored, their repeats possessive or bounded, so that they take linear time
on any input.
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
    r"[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,18}+)?"
    r"(?: ?(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?))?"
)
_EPOCH = r"[0-9]{10}(?:\.[0-9]{1,18}+|(?:[0-9]{3}){0,3})(?=[ \t])"
COMMON_WORDS = {"CONFIG", "DEFAULT", "FINE", "FINER", "FINEST"}
"""Levels in a JSON field, rarely in a text."""

_CAPITALS = "|".join(name for name in levels.NAMES if len(name) > 1 and name not in COMMON_WORDS)
_WORD = f"(?ai:{_CAPITALS})"
_BOXED = rf"\[[ ]{{0,16}}+({_WORD}|(?ai:[TDIWEF]))[ ]{{0,16}}+\]"

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


_TAIL_LIMIT = 200  # characters


class Said(NamedTuple):
    """What a head says beside the time; None where it does not."""

    level: str | None
    service: str | None
    pid: int | None


_NOTHING = Said(None, None, None)


def read(line: str) -> tuple[str | None, Said, str]:
    """The time of a line, what else its head says, and the text that remains."""
    time = _time.match(line)
    if time is None:
        level = _level_first.match(line)
        if level is None:
            return None, _NOTHING, line
        return None, Said(levels.parse(level[1] or level[2]), None, None), line[level.end() :]
    timestamp = _timestamp(time[2])
    if timestamp is None:  # digits that are no time are text
        return None, _NOTHING, line
    rest = _after_time.match(line, time.end())
    if rest is None:
        return timestamp, _NOTHING, line[time.end() + 1 :].removeprefix("- ")
    return timestamp, _said(rest), line[rest.end() :]


class CutReader:
    """Reads what stands before the first `: ` of a line; quickly, where the times of a block have one width."""

    def __init__(self) -> None:
        self._width = 0  # of the time last found

    def read(self, head: str) -> tuple[str | None, Said] | None:
        """The time and what else is said; None unless all of `head` is recognised."""
        timestamp = _iso_timestamp(head[: self._width])
        if timestamp is None:
            time = _time.match(head)
            if time is not None and _iso.fullmatch(time[0]):
                self._width = time.end()
                timestamp = _iso_timestamp(time[0])
        if timestamp is not None and len(head) <= _TAIL_LIMIT:
            said = _said_by_tail(head[self._width :])
            if said is not None:
                return timestamp, said
        timestamp, said, text = read(head + ": ")
        return None if text else (timestamp, said)


def _said(match: re.Match[str]) -> Said:
    dashed_name, dashed, boxed, marked, hyphened, capitals, name, pid, lone_name, lone_pid = match.groups()
    word = dashed or boxed or marked or hyphened or capitals
    pid = pid or lone_pid
    return Said(
        levels.parse(word) if word else None,
        dashed_name or name or lone_name,
        int(pid[1:-1]) if pid else None,
    )


# What senders write is a key of these caches only where its length is bounded.


@lru_cache(4096)
def _said_by_tail(tail: str) -> Said | None:
    """What stands between a time and the first `: ` of a line, if it is recognised to its end."""
    match = _after_time.match(tail + ": ")
    return _said(match) if match is not None and match.end() == len(tail) + 2 else None


@lru_cache(4096)
def _timestamp(text: str) -> str | None:
    """The time that the whole of `text` is, None if it is none."""
    try:
        return timestamps.parse(text)
    except DecodeError:
        return None


@lru_cache(4096)
def _iso_timestamp(text: str) -> str | None:
    """The same of date and time only."""
    try:
        return timestamps.parse_iso(text)
    except DecodeError:
        return None
