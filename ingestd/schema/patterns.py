"""Regular expressions that Python's `re` and the Rust crate of jsonschema-rs read alike, and that take linear time.

What passes is `^`, then atoms (a character, an escaped sign, a class of ASCII) with quantifiers, then maybe `$`. An
atom of variable length must be followed by one that matches none of its characters, or by the end: so that giving back
what it took never helps, and a backtracking matcher is as fast as an automaton. Everything else is left to Rust.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import Final, NamedTuple

_ATOM: Final = re.compile(
    r"""
    (?P<atom> [A-Za-z0-9\ _/:@,=%&~'"<>;!\#-] | \\[.\-+*?()\[\]{}|^$/] | \[\^?(?:[A-Za-z0-9_.:/@,%=\ -]|\\[.\-/])+\] )
    (?: (?P<sign>[*+?]) | \{(?P<least>[0-9]{1,3})(?P<comma>,(?P<most>[0-9]{1,3})?)?\} )?
    """,
    re.VERBOSE,
)
_ASCII: Final = [chr(code) for code in range(128)]


class _Part(NamedTuple):
    """An atom and how often it occurs."""

    characters: frozenset[str]
    negated: bool  # matches what is not ASCII, too
    least: int
    is_variable: bool


def portable(pattern: str) -> str | None:
    """The pattern for Python's `re.search`, None where the two might differ or time might not be linear."""
    if not pattern.startswith("^") or not pattern.isascii():
        return None
    is_ended = pattern.endswith("$") and not pattern.endswith("\\$")
    body = pattern[1 : len(pattern) - is_ended]
    parts = _parts(body)
    if parts is None or any(
        not _is_safe(part, following) for part, following in zip_longest(parts, parts[1:])
    ):
        return None
    return rf"\A{body}\Z" if is_ended else rf"\A{body}"


def _parts(body: str) -> list[_Part] | None:
    parts = []
    position = 0
    while position < len(body):
        match = _ATOM.match(body, position)
        if match is None:
            return None
        part = _part(match)
        if part is None:
            return None
        parts.append(part)
        position = match.end()
    return parts


def _part(match: re.Match[str]) -> _Part | None:
    if "--" in match["atom"]:
        return None  # a difference of classes to Rust
    try:
        atom = re.compile(match["atom"])
    except re.error:
        return None  # such as [z-a]
    characters = frozenset(character for character in _ASCII if atom.fullmatch(character))
    is_variable = match["sign"] is not None or (
        match["comma"] is not None and match["most"] != match["least"]
    )
    least = int(match["least"]) if match["least"] else int(match["sign"] in (None, "+"))
    if match["most"] and int(match["most"]) < least:
        return None
    return _Part(characters, match["atom"].startswith("[^"), least, is_variable)


def _is_safe(part: _Part, following: _Part | None) -> bool:
    """Whether what a part of variable length took is never worth giving back."""
    if not part.is_variable or following is None:
        return True
    apart = part.characters.isdisjoint(following.characters) and not (part.negated and following.negated)
    return apart and following.least > 0
