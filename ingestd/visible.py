"""Text of strangers on a terminal: what would act there, or hide or turn the text around, is shown instead.

A terminal obeys control characters (ECMA-48: C0, DEL, C1), so a record could clear the screen, set a title or forge the
next line. Bidirectional controls reorder what is read (Unicode TR36, "Trojan Source"), and characters without width
hide. All of these become escapes as Python and JSON write them: `\\n`, `\\x1b`, `\\u202e`. Joiners of scripts and emoji
(U+200C, U+200D) stay, as do backslashes: what is shown is for people, and `json_line` for programs.
"""

from __future__ import annotations

import re
from typing import Final

_HIDDEN: Final = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u00ad\u180e\u200b\u2060-\u2064\ufeff"  # soft hyphen and characters without width
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional marks, embeddings, overrides, isolates
    "\u2028\u2029"  # line and paragraph separators
    "\u206a-\u206f\ufff9-\ufffb"  # deprecated format controls, interlinear annotation
    "\ud800-\udfff"  # surrogates, which are no text
    "\U000e0000-\U000e007f"  # tags, which spell out text that nobody sees
)
HIDDEN: Final = re.compile(f"[{_HIDDEN}]")
#: As `HIDDEN`, several in a row.
HIDDEN_RUN: Final = re.compile(f"[{_HIDDEN}]+")

_SHORT: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def visible(text: str) -> str:
    """`text` on one line, with nothing in it that a terminal obeys."""
    return text if text.isascii() and text.isprintable() else HIDDEN.sub(_escape, text)


def json_line(line: str) -> str:
    """A line of JSON that means the same and has nothing in it that a terminal obeys.

    Beyond ASCII a character can only stand in a string, where its escape is the same character.
    """
    return line if line.isascii() and line.isprintable() else HIDDEN.sub(_json_escape, line)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if short := _SHORT.get(character):
        return short
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _json_escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number < 0x10000:
        return f"\\u{number:04x}"
    number -= 0x10000
    return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"
