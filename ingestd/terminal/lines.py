"""A record as one line for people: time, level, service, message, and what else its sender said.

    2026-11-21T13:30:00.123456Z ERROR api: cannot connect  attempt=3 peer="10.0.0.7 (db)"

What the daemon added is left out; `--json` has it. Nothing of a record reaches the terminal that it would obey
(`ingestd.visible`); in colour what is shown in its place is reversed, to differ from a backslash that a sender wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from ingestd.terminal.selection import CORE_FIELDS, Line
from ingestd.visible import HIDDEN_RUN, json_line, visible

#: Fields by which the daemon enriches; beside `[enrich.fields]`, which it cannot be told from here.
ENRICHMENT: Final = frozenset(
    (
        "hostname",
        "environment",
        "app_version",
        "container_id",
        "pod_name",
        "source_ip",
        "format",
        "received_at",
    )
)

#: SGR parameters (ECMA-48, 8.3.117), chosen to be told apart on light and dark backgrounds.
LEVEL_STYLES: Final = {
    "TRACE": "2",
    "DEBUG": "36",
    "INFO": "32",
    "WARN": "33",
    "ERROR": "31",
    "FATAL": "1;97;41",
}
_DIM: Final = "2"
_BOLD: Final = "1"
_REVERSED: Final = "7"

Render = Callable[[Line], str]
Paint = Callable[[str, str], str]
"""Untrusted text and its SGR parameters to what is written."""

_decode: Final = msgspec.json.Decoder(dict[str, object]).decode
_encode: Final = msgspec.json.Encoder().encode


def plain(text: str, _style: str) -> str:
    return visible(text)


def coloured(text: str, style: str) -> str:
    shown = HIDDEN_RUN.sub(lambda match: f"\x1b[{_REVERSED}m{visible(match[0])}\x1b[27m", text)
    return f"\x1b[{style}m{shown}\x1b[0m" if style else shown


def render_json(line: Line) -> str:
    """The record as it is stored, on one line that every JSON parser reads as the same."""
    return json_line(line.data.decode("utf-8", "backslashreplace"))


def render_text(paint: Paint) -> Render:
    """The renderer for people."""

    def render(line: Line) -> str:
        try:
            record = _decode(line.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return paint(line.data.decode("utf-8", "backslashreplace"), "")
        timestamp, level, service, message = (_text(record.get(name, "")) for name in CORE_FIELDS)
        head = (
            f"{paint(timestamp, _DIM)} {paint(f'{level:<5}', LEVEL_STYLES.get(level, ''))} "
            f"{paint(service, _BOLD)}: {paint(message, '')}"
        )
        others = [
            f"{name}={_value(value)}"
            for name, value in record.items()
            if name not in CORE_FIELDS and name not in ENRICHMENT
        ]
        return f"{head}  {paint(' '.join(others), _DIM)}" if others else head

    return render


def _text(value: object) -> str:
    return value if isinstance(value, str) else _encode(value).decode()


def _value(value: object) -> str:
    """A value beside its name: a text that would be misread there in quotation marks."""
    if isinstance(value, str) and value and not any(character in value for character in ' ="'):
        return value
    return _encode(value).decode()
