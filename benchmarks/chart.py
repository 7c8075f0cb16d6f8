"""The chart of a run as an SVG, written by hand: a record's CPU by format, by stage, and beside other programs.

A scale for each panel, for the stages of a record that costs a microsecond cannot be read beside a bar of ten. Colours
follow the reader's light or dark scheme; every bar carries its number, so nothing is told by colour alone.
"""

from __future__ import annotations

from html import escape
from typing import Final, NamedTuple

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
    anatomy.VALIDATION: "#d9c27a",
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

_STACK: Final = 28
_FORMAT_LABEL: Final = 80
_FORMAT_VALUE: Final = 60
_NUMBER_WIDTH: Final = 30
_LEGEND_ROW: Final = 22
_LEGEND_COLUMNS: Final = 3
_BAR_ROW: Final = 30
_BAR_LABEL: Final = 200
_BAR_VALUE: Final = 170
_PEER_PANELS: Final = {
    "json": "JSON in, JSON out: microseconds of CPU per record",
    "syslog": "RFC 5424 in, JSON out: microseconds of CPU per record",
}


class _Bar(NamedTuple):
    name: str
    value: float
    colour: str
    note: str


def draw(outcome: Outcome) -> str:
    """The SVG; parts that were not measured are left out."""
    parts, y = _format_panel(outcome, _MARGIN)
    more, y = _stage_panel(outcome, y)
    parts += more
    for format_, title in _PEER_PANELS.items():
        more, y = _peer_panel(outcome, format_, title, y)
        parts += more
    ground = f'<rect class="ground" width="{_WIDTH}" height="{y}"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" role="img">'
    title = "<title>CPU per record of ingestd by format and stage, and of other log daemons</title>"
    return "\n".join([head, title, _STYLE, ground, *parts, "</svg>", ""])


def _stage_panel(outcome: Outcome, y: int) -> tuple[list[str], int]:
    """A bar per format, each to its own scale: a journal entry would leave nothing to see of a JSON record."""
    if not outcome.anatomies:
        return [], y
    parts = [
        _text(_MARGIN, y + 12, "Where the CPU of one record goes, nanoseconds", "title"),
        _text(
            _MARGIN, y + 32, "over TLS; each bar to its own scale, at its end the sum of all stages", "quiet"
        ),
    ]
    y += 46
    left = _MARGIN + _FORMAT_LABEL
    for made in outcome.anatomies:
        total = sum(made.stages.values())
        scale = (_INNER - _FORMAT_LABEL - _FORMAT_VALUE) / total if total else 0.0
        parts.append(_text(left - 10, y + _STACK / 2 + 4, made.format, anchor="end"))
        x = float(left)
        for name, value in made.stages.items():
            width = value * scale
            parts.append(
                f'<rect class="seam" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_STACK}" '
                f'fill="{_COLOURS[name]}"><title>{escape(name)}: {value:.0f} ns</title></rect>'
            )
            if width > _NUMBER_WIDTH:
                parts.append(_text(x + width / 2, y + _STACK / 2 + 4, f"{value:.0f}", "inside", "middle"))
            x += width
        parts.append(_text(x + 8, y + _STACK / 2 + 4, f"{total:,.0f}"))
        y += _STACK + 8
    y += 6
    for number, name in enumerate(anatomy.STAGES):
        row, column = divmod(number, _LEGEND_COLUMNS)
        x, top = _MARGIN + column * _INNER / _LEGEND_COLUMNS, y + row * _LEGEND_ROW
        parts.append(f'<rect x="{x:.1f}" y="{top}" width="12" height="12" rx="2" fill="{_COLOURS[name]}"/>')
        parts.append(_text(x + 18, top + 11, name))
    rows = -(-len(anatomy.STAGES) // _LEGEND_COLUMNS)
    return parts, y + rows * _LEGEND_ROW + _MARGIN


def _format_panel(outcome: Outcome, y: int) -> tuple[list[str], int]:
    """Every format on one scale."""
    loads = [load for load in outcome.loads if load.name == f"{load.format} TLS"]
    bars = [_Bar(load.format, load.cpu_us, _OURS, f", {load.records_per_s:,.0f} records/s") for load in loads]
    return _bars("ingestd over TLS, every format: microseconds of CPU per record", bars, y)


def _peer_panel(outcome: Outcome, format_: str, title: str, y: int) -> tuple[list[str], int]:
    """ingestd and the peers on the records of one format."""
    ours = [
        _Bar(f"ingestd, {load.transport.upper()}, zstd 1", load.cpu_us, _OURS, "")
        for load in outcome.loads
        if load.name in (f"{format_} TLS", f"{format_} UDP")
    ]
    theirs = [
        _Bar(peer.name, peer.cpu_us, _THEIRS, f" ({peer.times:.1f} times)" if peer.times else "")
        for peer in outcome.peers
        if peer.format == format_
    ]
    return _bars(title, ours + theirs, y)


def _bars(title: str, bars: list[_Bar], y: int) -> tuple[list[str], int]:
    if not bars:
        return [], y
    scale = (_INNER - _BAR_LABEL - _BAR_VALUE) / max(bar.value for bar in bars)
    parts = [_text(_MARGIN, y + 12, title, "title")]
    y += 30
    left = _MARGIN + _BAR_LABEL
    for bar in bars:
        width = bar.value * scale
        parts.append(_text(left - 10, y + 16, bar.name, anchor="end"))
        parts.append(
            f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{_BAR_ROW - 8}" rx="2" fill="{bar.colour}"/>'
        )
        parts.append(_text(left + width + 8, y + 16, f"{bar.value:.2f}{bar.note}"))
        y += _BAR_ROW
    return parts, y + _MARGIN // 2


def _text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
