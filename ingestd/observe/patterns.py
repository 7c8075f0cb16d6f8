r"""The language of patterns: what of the usual regular expressions is matched in linear time, whatever the text.

The engine is Vectorscan (Hyperscan's fork), which takes the syntax of PCRE without back-references, look-around, atomic
groups and possessive quantifiers. `\w`, `\d`, `\s`, `\b` mean ASCII. `^` and `$` are the beginning and the end of a
line of the value, which mostly has one; the anchors that mean something else are refused, and so is what matches an
empty text: it would match every record.

Some patterns take half a minute only to be refused as too large. All such have counted repeats, so these are tried in a
process of their own, with a limit of CPU time.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

import hyperscan

MAX_PATTERN_CHARS: Final = 1000

#: To compile one pattern; ordinary ones take a millisecond or two. The limits of the kernel are whole seconds.
_COMPILE_S: Final = 1

FLAGS: Final = hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_MULTILINE

_REPEAT: Final = re.compile(r"\{\d")
_REFUSED: Final = (
    (re.compile(r"(?<!\\)(?:\\\\)*\\[AzZ]"), r"\A, \z and \Z are not supported: use ^ and $"),
    (re.compile(r"\(\?[a-z]*-[a-z]*m"), "the flag -m is not supported: ^ and $ are those of a line"),
    (re.compile(r"\(\*"), "verbs such as (*UTF8) are not supported: leave them out"),
    (re.compile("[\0\ud800-\udfff]"), "a zero byte or half a surrogate pair cannot be looked for"),
)


def check_pattern(text: str) -> str | None:
    """What is wrong with a pattern and what to do about it, None if nothing is. It may take a second."""
    if not text:
        return "an empty pattern matches everything: leave it out"
    if len(text) > MAX_PATTERN_CHARS:
        return f"longer than {MAX_PATTERN_CHARS} characters: divide it into several rules"
    for refused, why in _REFUSED:
        if refused.search(text):
            return why
    return _compile_fault_in_time(text) if _REPEAT.search(text) else _compile_fault(text)


def compile_patterns(patterns: Sequence[bytes], flags: int = FLAGS) -> hyperscan.Database:
    """A database that reports the places of the patterns in the sequence. Raises `hyperscan.error`."""
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    count = len(patterns)
    database.compile(expressions=patterns, ids=list(range(count)), elements=count, flags=[flags] * count)
    return database


def _compile_fault(text: str) -> str | None:
    try:
        database = compile_patterns([text.encode()])
    except hyperscan.error as error:
        reason = str(error).rstrip(".")
        if "empty buffer" in reason:
            return "it matches everything: leave it out"
        return f"{reason}: patterns are regular expressions without back-references and look-around"
    found: list[int] = []
    database.scan(b"", match_event_handler=lambda pattern, *_: found.append(pattern))
    return "it matches a text without a character: let it ask for one at least" if found else None


def _compile_fault_in_time(text: str) -> str | None:
    command = [sys.executable, "-m", __name__]
    tried = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    if tried.returncode:
        return "it takes too long to compile: make its counted repeats, such as {1,500}, smaller"
    return tried.stdout.decode() or None


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (_COMPILE_S, _COMPILE_S))
    sys.stdout.write(_compile_fault(sys.stdin.buffer.read().decode()) or "")
