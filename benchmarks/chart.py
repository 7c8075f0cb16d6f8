"""The chart of a run as an SVG, written by hand: a record's CPU by format and stage, below it that of other programs.

A scale for each panel, for the stages of a record that costs a microsecond cannot be read beside a bar of ten. Colours
follow the reader's light or dark scheme; every bar carries its number, so nothing is told by colour alone.
"""

from __future__ import annotations

from html import escape
from typing import Final

from benchmarks import anatomy, perf
from benchmarks.outcome import Outcome

_WIDTH: Final = 860
_MARGIN: Final = 24
_INNER: Final = _WIDTH - 2 * _MARGIN

#: Blues and greens are the event loop's thread, warm colours the writer's.
_COLOURS: Final = {
    perf.RECEIVE: "#8fb8de",
    perf.TLS: "#4a86c5",
    anatomy.LOOP: "#8d99ae",
    anatomy.FRAMING: "#7fd1c7",
    anatomy.ENCODE: "#2a9d8f",
    anatomy.METADATA: "#b3c552",
    anatomy.QUEUE: "#5fb35a",
    perf.COMPRESS: "#e0793d",
    perf.WRITE: "#f0b060",
    perf.WRITER: "#b5657a",
}
_OURS: Final = "#2a9d8f"
_THEIRS: Final = "#8d99ae"

_STYLE: Final = """\
<style>
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .quiet { fill: #59636e }
  .ground { fill: #ffffff }
  .seam { stroke: #ffffff; stroke-width: 1 }
  .inside { fill: #10202b; font-size: 12px }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .quiet { fill: #9198a1 }
    .ground { fill: #0d1117 }
    .seam { stroke: #0d1117 }
    .inside { fill: #10202b }
  }
</style>"""

_BAR: Final = 28
_FORMAT_LABEL: Final = 80
_FORMAT_VALUE: Final = 60
_NUMBER_WIDTH: Final = 30
_LEGEND_ROW: Final = 22
_LEGEND_COLUMNS: Final = 3
_PEER_ROW: Final = 30
_PEER_LABEL: Final = 250
_PEER_VALUE: Final = 130
_PEER_PANELS: Final = {
    "json": "JSON in, JSON out: microseconds of CPU per record",
    "syslog": "RFC 5424 in, JSON out: microseconds of CPU per record",
}


def draw(outcome: Outcome) -> str:
    """The SVG; parts that were not measured are left out."""
    parts, y = _stage_panel(outcome, _MARGIN)
    for format_, title in _PEER_PANELS.items():
        more, y = _peer_panel(outcome, format_, title, y)
        parts += more
    ground = f'<rect class="ground" width="{_WIDTH}" height="{y}"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" role="img">'
    title = "<title>CPU per record of ingestd by format and stage, and of other log daemons</title>"
    return "\n".join([head, title, _STYLE, ground, *parts, "</svg>", ""])


def _stage_panel(outcome: Outcome, y: int) -> tuple[list[str], int]:
    """A bar per format, all on one scale."""
    if not outcome.anatomies:
        return [], y
    parts = [
        _text(_MARGIN, y + 12, "One record over TLS: nanoseconds of CPU, by format and stage", "title"),
        _text(_MARGIN, y + 32, "all threads of the workers, user and kernel", "quiet"),
    ]
    y += 46
    left = _MARGIN + _FORMAT_LABEL
    largest = max(sum(made.stages.values()) for made in outcome.anatomies)
    scale = (_INNER - _FORMAT_LABEL - _FORMAT_VALUE) / largest if largest else 0.0
    for made in outcome.anatomies:
        parts.append(_text(left - 10, y + _BAR / 2 + 4, made.format, anchor="end"))
        x = float(left)
        for name, value in made.stages.items():
            width = value * scale
            parts.append(
                f'<rect class="seam" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" '
                f'fill="{_COLOURS[name]}"><title>{escape(name)}: {value:.0f} ns</title></rect>'
            )
            if width > _NUMBER_WIDTH:
                parts.append(_text(x + width / 2, y + _BAR / 2 + 4, f"{value:.0f}", "inside", "middle"))
            x += width
        parts.append(_text(x + 8, y + _BAR / 2 + 4, f"{sum(made.stages.values()):,.0f}"))
        y += _BAR + 8
    y += 6
    for number, name in enumerate(anatomy.STAGES):
        row, column = divmod(number, _LEGEND_COLUMNS)
        x, top = _MARGIN + column * _INNER / _LEGEND_COLUMNS, y + row * _LEGEND_ROW
        parts.append(f'<rect x="{x:.1f}" y="{top}" width="12" height="12" rx="2" fill="{_COLOURS[name]}"/>')
        parts.append(_text(x + 18, top + 11, name))
    rows = -(-len(anatomy.STAGES) // _LEGEND_COLUMNS)
    return parts, y + rows * _LEGEND_ROW + _MARGIN


def _peer_panel(outcome: Outcome, format_: str, title: str, y: int) -> tuple[list[str], int]:
    """ingestd and the peers on the records of one format."""
    ours = [
        (f"ingestd, {load.transport.upper()}, zstd 1", load.cpu_us, _OURS, "")
        for load in outcome.loads
        if load.name in (f"{format_} TLS", f"{format_} UDP")
    ]
    theirs = [
        (peer.name, peer.cpu_us, _THEIRS, f" ({peer.times:.1f} times)" if peer.times else "")
        for peer in outcome.peers
        if peer.format == format_
    ]
    bars = ours + theirs
    if not bars:
        return [], y
    scale = (_INNER - _PEER_LABEL - _PEER_VALUE) / max(value for _, value, _, _ in bars)
    parts = [_text(_MARGIN, y + 12, title, "title")]
    y += 30
    for name, value, colour, note in bars:
        left = _MARGIN + _PEER_LABEL
        width = value * scale
        parts.append(_text(left - 10, y + 16, name, anchor="end"))
        parts.append(
            f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{_PEER_ROW - 8}" rx="2" fill="{colour}"/>'
        )
        parts.append(_text(left + width + 8, y + 16, f"{value:.2f}{note}"))
        y += _PEER_ROW
    return parts, y + _MARGIN // 2


def _text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
