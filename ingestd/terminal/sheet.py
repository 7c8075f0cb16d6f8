"""Lines of a given width: rows of two sides, bars, sparklines, and panels side by side, whatever is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.text import Text

#: Between two columns.
GUTTER: Final = 3


class Glyphs(NamedTuple):
    """What bars and curves are drawn with."""

    levels: str
    """From nothing to all."""
    filled: str
    empty: str
    line: str


UNICODE: Final = Glyphs(" ▁▂▃▄▅▆▇█", "█", "░", "─")
ASCII: Final = Glyphs(" .:-=+*#@", "#", ".", "-")

Panel = Sequence[Text]


def fitted(text: Text, width: int) -> Text:
    """Exactly `width` cells: cut with an ellipsis, or filled up."""
    text = text.copy()
    text.truncate(max(0, width), overflow="ellipsis", pad=True)
    return text


def row(left: Text, right: Text, width: int) -> Text:
    """Both at their ends; where there is no room for both, the left gives way."""
    if not right:
        return fitted(left, width)
    room = width - right.cell_len - 1
    if room < min(left.cell_len, 4):
        return fitted(right, width)
    return Text.assemble(fitted(left, room), " ", right)


def bar(share: float, width: int, glyphs: Glyphs, style: str) -> Text:
    """A part of a whole."""
    filled = round(min(1.0, max(0.0, share)) * width)
    return Text.assemble((glyphs.filled * filled, style), (glyphs.empty * (width - filled), "dim"))


def sparkline(values: Sequence[float], width: int, glyphs: Glyphs, style: str) -> Text:
    """The newest values, one a cell, the newest at the right; the highest is as high as it goes."""
    shown = list(values[-width:]) if width > 0 else []
    top = max(shown, default=0.0)
    steps = len(glyphs.levels) - 1
    # Rounded up: whatever is more than nothing is seen.
    drawn = "".join(glyphs.levels[math.ceil(value / top * steps) if top > 0 else 0] for value in shown)
    return Text(drawn.rjust(width), style)


def heading(title: str, note: str, width: int, glyphs: Glyphs) -> Text:
    """A title, a line, and a note at its end."""
    note = f" {note}" if note else ""
    line = glyphs.line * max(1, width - cell_len(title) - cell_len(note) - 1)
    return fitted(Text.assemble((title, "bold"), " ", (line, "dim"), (note, "dim")), width)


def columns(panels: Sequence[Panel], count: int, width: int, height: int) -> tuple[list[Text], int]:
    """Panels of one width under and beside each other, in their order; returns also how many were left out.

    Each goes into the shortest column so far; one that does not fit as a whole is left out, and so are those behind it.
    """
    stacks: list[list[Text]] = [[] for _ in range(count)]
    placed = 0
    for panel in panels:
        stack = min(stacks, key=len)
        gap = 1 if stack else 0
        if len(stack) + gap + len(panel) > height:
            break
        stack += [Text(" " * width)] * gap + list(panel)
        placed += 1
    rows = max(map(len, stacks))
    for stack in stacks:
        stack += [Text(" " * width)] * (rows - len(stack))
    gutter = Text(" " * GUTTER)
    return [gutter.join(cells) for cells in zip(*stacks, strict=True)], len(panels) - placed
