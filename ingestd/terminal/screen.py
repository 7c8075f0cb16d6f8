"""One frame of `ingestd top`: the verdict on top, then panels in as many columns as the terminal is wide.

Panels come in the order of what matters; what does not fit is left out from the end, and the last line says so.
Every text has been through `visible` (see answers.py) and is drawn as `Text`, which knows no markup.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from io import StringIO
from typing import Final

from rich.console import Console
from rich.text import Text

from ingestd.terminal import panels
from ingestd.terminal.answers import Snapshot
from ingestd.terminal.figures import duration
from ingestd.terminal.sheet import GUTTER, Glyphs, columns, fitted, row
from ingestd.terminal.watch import Reading

#: So many columns from so many cells on.
_COLUMNS: Final = ((3, 150), (2, 84), (1, 0))

#: Findings above the panels; all of them are on the dashboard and in `ingestd status`.
_MOST_FINDINGS: Final = 4

#: Words are wrapped by the rules of a console, which need nothing of it.
_WRAPPER: Final = Console(file=StringIO())

#: What is well is calm; what is wrong is seen from across the room.
_STYLES: Final = {"well": "bold green", "attention": "bold black on yellow", "critical": "bold white on red"}


def draw(
    reading: Reading, width: int, height: int, glyphs: Glyphs, now_s: float, hint: str = ""
) -> list[Text]:
    """At most `height` lines of `width` cells. `hint` stands at the end."""
    head = list(_head(reading, width, now_s))
    if reading.snapshot is None:
        return [*head, fitted(Text(hint, "dim"), width)][:height]
    count = next(count for count, least in _COLUMNS if width >= least)
    panel_width = (width - GUTTER * (count - 1)) // count
    shown = [
        lines for panel in panels.ALL if (lines := panel(reading.snapshot, reading, panel_width, glyphs))
    ]
    body, left_out = columns(shown, count, panel_width, max(0, height - len(head) - 1))
    if reading.trouble:
        for line in body:
            line.stylize("dim")
    note = f"{left_out} more in a larger window" if left_out else ""
    foot = row(Text(hint, "dim"), Text(note, "dim"), width)
    return [*head, *body, foot][:height]


def _head(reading: Reading, width: int, now_s: float) -> Iterator[Text]:
    snapshot = reading.snapshot
    if reading.trouble:
        since = time.strftime("%H:%M:%S", time.localtime(reading.since_s))
        silent = duration(max(0.0, now_s - reading.since_s))
        name = f" Not reachable since {since}, for {silent} "
        yield from _banner(Text(name, _STYLES["critical"]), _who(snapshot), width)
        yield from _wrapped(Text(str(reading.trouble)), width)
        if snapshot:
            yield fitted(Text("What is below was so before that.", "dim"), width)
    elif snapshot is None:
        yield fitted(Text("Asking …", "dim"), width)
    else:
        assessment = snapshot.assessment
        style = _STYLES.get(assessment.state, _STYLES["attention"])
        yield from _banner(Text(f" {assessment.headline} ", style), _who(snapshot), width)
        if not assessment.findings:
            yield from _wrapped(Text(f" {assessment.detail}", "dim"), width)
        for finding in assessment.findings[:_MOST_FINDINGS]:
            mark = ("!! ", "bold red") if finding.severity == "critical" else ("! ", "bold yellow")
            yield from _wrapped(Text.assemble(mark, finding.what, (f" {finding.do}", "dim")), width)
        if (more := len(assessment.findings) - _MOST_FINDINGS) > 0:
            yield fitted(Text(f"and {more} more: ingestd status", "dim"), width)
    yield fitted(Text(""), width)


def _banner(verdict: Text, who: Text, width: int) -> Iterator[Text]:
    """On one line where there is room, else the verdict first."""
    if verdict.cell_len + 1 + who.cell_len <= width:
        yield row(verdict, who, width)
    else:
        yield fitted(verdict, width)
        yield fitted(who, width)


def _who(snapshot: Snapshot | None) -> Text:
    if snapshot is None:
        return Text("")
    stats = snapshot.stats
    return Text(
        f"ingestd {stats.version} on {stats.hostname}, {stats.state}, up {duration(stats.uptime_seconds)}",
        "dim",
    )


def _wrapped(text: Text, width: int) -> Iterator[Text]:
    """On as many lines as it takes, three at most."""
    if width > 0:
        yield from (fitted(line, width) for line in text.wrap(_WRAPPER, width)[:3])
