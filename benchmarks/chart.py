"""The chart of a run as an SVG, written by hand: a record's CPU by stage, and beside it that of other programs.

Two scales, for the stages of a record that costs a microsecond cannot be read beside a bar of five. Colours follow the
reader's light or dark scheme; every bar carries its number, so nothing is told by colour alone.
"""

from __future__ import annotations

from html import escape
from typing import Final

from benchmarks import perf
from benchmarks.outcome import Outcome

_WIDTH: Final = 860
_MARGIN: Final = 24
_INNER: Final = _WIDTH - 2 * _MARGIN

#: Blues and greens are the event loop's thread, warm colours the writer's.
_COLOURS: Final = {
    perf.RECEIVE: "#8fb8de",
    perf.TLS: "#4a86c5",
    perf.FRAMING: "#7fd1c7",
    perf.DECODE: "#2a9d8f",
    perf.SPLICE: "#5fb35a",
    perf.METADATA: "#b3c552",
    perf.LOOP: "#8d99ae",
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

_BAR: Final = 44
_LEGEND_ROW: Final = 22
_LEGEND_COLUMNS: Final = 3
_PEER_ROW: Final = 30
_PEER_LABEL: Final = 250
_PEER_VALUE: Final = 130


def draw(outcome: Outcome) -> str:
    """The SVG; parts that were not measured are left out."""
    parts, y = _stage_panel(outcome, _MARGIN)
    more, y = _peer_panel(outcome, y)
    ground = f'<rect class="ground" width="{_WIDTH}" height="{y}"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" role="img">'
    title = "<title>CPU per record of ingestd by stage, and of rsyslog</title>"
    return "\n".join([head, title, _STYLE, ground, *parts, *more, "</svg>", ""])


def _stage_panel(outcome: Outcome, y: int) -> tuple[list[str], int]:
    profile, load = outcome.profile, outcome.load("json TLS")
    if profile is None or load is None:
        return [], y
    told = {
        stage.name: stage.daemon_ns if stage.daemon_ns is not None else stage.alone_ns
        for stage in profile.stages
    }
    values = {name: value for name, value in told.items() if value}
    total = sum(values.values())
    parts = [
        _text(
            _MARGIN,
            y + 12,
            f"One JSON record over TLS: {total:,.0f} ns of CPU, by stage",
            "title",
        ),
        _text(_MARGIN, y + 32, f"{load.records_per_s:,.0f} records/s; {profile.method}", "quiet"),
    ]
    y += 46
    x = float(_MARGIN)
    for name, value in values.items():
        width = value / total * _INNER
        parts.append(
            f'<rect class="seam" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" '
            f'fill="{_COLOURS[name]}"><title>{escape(name)}: {value:.0f} ns</title></rect>'
        )
        if width > 34:
            parts.append(_text(x + width / 2, y + _BAR / 2 + 4, f"{value:.0f}", "inside", "middle"))
        x += width
    y += _BAR + 12
    for number, (name, value) in enumerate(values.items()):
        row, column = divmod(number, _LEGEND_COLUMNS)
        left = _MARGIN + column * _INNER / _LEGEND_COLUMNS
        top = y + row * _LEGEND_ROW
        parts.append(
            f'<rect x="{left:.1f}" y="{top}" width="12" height="12" rx="2" fill="{_COLOURS[name]}"/>'
        )
        parts.append(_text(left + 18, top + 11, f"{name} {value:.0f}"))
    rows = -(-len(values) // _LEGEND_COLUMNS)
    return parts, y + rows * _LEGEND_ROW + _MARGIN


def _peer_panel(outcome: Outcome, y: int) -> tuple[list[str], int]:
    ours = [
        (f"ingestd, {load.name}", load.cpu_us, _OURS, "")
        for load in outcome.loads
        if load.name in ("json TLS", "raw TLS", "json UDP")
    ]
    theirs = [
        (peer.name, peer.cpu_us, _THEIRS, f" ({peer.times:.1f} times)" if peer.times else "")
        for peer in outcome.peers
    ]
    bars = ours + theirs
    if not bars:
        return [], y
    scale = (_INNER - _PEER_LABEL - _PEER_VALUE) / max(value for _, value, _, _ in bars)
    parts = [_text(_MARGIN, y + 12, "CPU per record, microseconds, all threads, user and kernel", "title")]
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
