"""The panels of `ingestd top`: each makes lines of a width out of what is known, none where there is nothing to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rich.text import Text

from ingestd.terminal.answers import Node, Snapshot, Worker
from ingestd.terminal.figures import UNKNOWN, count, decimal, duration, latency, plural, size, speed
from ingestd.terminal.selection import LEVELS
from ingestd.terminal.sheet import Glyphs, Panel, bar, fitted, heading, row, sparkline
from ingestd.terminal.watch import Reading

_MOST_ROWS: Final = 8
_BAR_CELLS: Final = 16
_SHARE_CELLS: Final = 12
_STYLES: Final = {
    "FATAL": "bold red",
    "ERROR": "red",
    "WARN": "yellow",
    "INFO": "green",
    "DEBUG": "cyan",
    "TRACE": "dim",
    "critical": "bold red",
    "ready": "green",
    "ok": "green",
    "failed": "bold red",
}

Make = Callable[[Snapshot, Reading, int, Glyphs], Panel]


def traffic(snapshot: Snapshot, reading: Reading, width: int, glyphs: Glyphs) -> Panel:
    stats = snapshot.stats
    limit, used = snapshot.queue_limit_bytes, snapshot.disk_used

    wide = min(18, max(12, (width - 8) // 2 + 1))

    def figures(name: str, first: str, second: str = "") -> Text:
        """A name and two figures in columns of their own."""
        return fitted(
            Text.assemble((f"{name:<8}", "dim"), f"{first:>{wide}}", f" {second:>{wide - 3}}"), width
        )

    full = stats.data_dir_full_in_seconds
    lines = [
        heading("Traffic", plural(stats.connections.open, "connection"), width, glyphs),
        figures(
            "in",
            f"{speed(stats.received_per_second)} rec/s",
            f"{decimal(stats.in_megabytes_per_second)} MB/s",
        ),
        _curve(reading.received_per_second, width, glyphs),
        figures(
            "on disk",
            f"{speed(stats.logs_per_second)} rec/s",
            f"{decimal(stats.out_megabytes_per_second)} MB/s",
        ),
        figures(
            "latency",
            f"p50 {latency(stats.latency_seconds.p50)}",
            f"p99 {latency(stats.latency_seconds.p99)}",
        ),
        figures(
            "ratio",
            UNKNOWN if stats.compression_ratio is None else f"{decimal(stats.compression_ratio)} : 1",
        ),
        _share("queue", stats.queue_bytes / limit if limit else 0.0, size(stats.queue_bytes), width, glyphs),
        _share(
            "disk",
            used or 0.0,
            f"{size(stats.data_dir_free_bytes)} free"
            + ("" if full is None else f", full in {duration(full)}"),
            width,
            glyphs,
        ),
    ]
    if snapshot.recent.pauses:
        lines.append(
            fitted(
                Text(f"reading paused {count(snapshot.recent.pauses)} times in the last minute", "yellow"),
                width,
            )
        )
    return lines


def _curve(rates: Sequence[float], width: int, glyphs: Glyphs) -> Text:
    """The rates of the last seconds, and how high the highest is."""
    shown = rates[-width:]
    note = f"max {speed(max(shown))}" if shown else ""
    return row(sparkline(shown, width - len(note) - 1, glyphs, "green"), Text(note, "dim"), width)


def _share(name: str, share: float, text: str, width: int, glyphs: Glyphs) -> Text:
    style = "red" if share >= 0.95 else "yellow" if share >= 0.8 else "green"
    drawn = bar(share, min(_SHARE_CELLS, width // 6), glyphs, style)
    return fitted(Text.assemble((f"{name:<8}", "dim"), drawn, f" {text}"), width)


def losses(snapshot: Snapshot, _reading: Reading, width: int, glyphs: Glyphs) -> Panel:
    stats, recent = snapshot.stats, snapshot.recent
    kernel = {"kernel buffer full": stats.udp.kernel_drops} if stats.udp.kernel_drops else {}
    lately_kernel = {"kernel buffer full": recent.udp_kernel_drops}
    rows = [
        _loss(what, reason, number, lately.get(reason, 0), width)
        for what, total, lately in (
            ("dropped", kernel, lately_kernel),
            ("dropped", stats.drops, recent.dropped),
            ("rejected", stats.rejects, recent.rejected),
        )
        for reason, number in _most(total)
    ]
    if not rows:
        return [
            heading("Losses", "", width, glyphs),
            fitted(Text("Nothing dropped, nothing rejected."), width),
        ]
    return [heading("Losses", "last minute, in all", width, glyphs), *rows[:_MOST_ROWS]]


def _loss(what: str, reason: str, number: float, lately: float, width: int) -> Text:
    style = ("bold red" if what == "dropped" else "yellow") if lately else ""
    return row(
        Text(f"{what} {reason.replace('_', ' ')}", style),
        Text(f"{count(lately):>9} {count(number):>11}", style),
        width,
    )


def alerts(snapshot: Snapshot, _reading: Reading, width: int, glyphs: Glyphs) -> Panel:
    if snapshot.alerts is None:
        return []
    known = snapshot.alerts.summary
    title = heading("Alerts", f"{known.firing} firing of {plural(known.rules, 'rule')}", width, glyphs)
    shown = [
        fitted(
            Text.assemble(
                (alert.rule, "dim" if alert.silenced_by else _STYLES.get(alert.severity, "yellow")),
                " (silenced) " if alert.silenced_by else " ",
                alert.summary,
            ),
            width,
        )
        for alert in known.alerts[:_MOST_ROWS]
    ]
    return [title, *(shown or [fitted(Text("None."), width)])]


def nodes(snapshot: Snapshot, _reading: Reading, width: int, glyphs: Glyphs) -> Panel:
    if snapshot.alerts is None or not snapshot.alerts.nodes:
        return []
    counts = snapshot.alerts.summary.nodes
    note = f"{count(counts.ok)} ok, {count(counts.late)} late, {count(counts.failed)} failed"
    return [
        heading("Nodes", note, width, glyphs),
        *(_node(node, width) for node in snapshot.alerts.nodes[:_MOST_ROWS]),
    ]


def _node(node: Node, width: int) -> Text:
    style = _STYLES.get(node.state, "yellow")
    heard = f"heard {duration(node.silent_seconds)} ago"
    return row(
        Text(f"{node.node} {node.service}"), Text.assemble((node.state, style), f"  {heard:>16}"), width
    )


def workers(snapshot: Snapshot, reading: Reading, width: int, glyphs: Glyphs) -> Panel:
    stats = snapshot.stats
    lines = [
        heading("Workers", plural(stats.worker_restarts, "restart"), width, glyphs),
        fitted(
            Text(f"{'':>3} {'state':<9}{'load':>5}{'conn':>6}{'queue':>8}{'heard':>7}{'pid':>8}", "dim"),
            width,
        ),
    ]
    shown = sorted(stats.workers, key=lambda worker: worker.state == "ready")[: 2 * _MOST_ROWS]
    lines += [_worker(worker, reading.loads.get(worker.pid), width) for worker in shown]
    if (more := len(stats.workers) - len(shown)) > 0:
        lines.append(fitted(Text(f"and {more} more", "dim"), width))
    return lines


def _worker(worker: Worker, load: float | None, width: int) -> Text:
    heard = UNKNOWN if worker.heartbeat_age_seconds is None else f"{worker.heartbeat_age_seconds:.1f} s"
    return fitted(
        Text.assemble(
            f"{worker.worker:>3} ",
            (f"{worker.state:<9}", _STYLES.get(worker.state, "bold red")),
            f"{UNKNOWN if load is None else f'{load:.0%}':>5}",
            f"{count(worker.connections):>6}{size(worker.queue_bytes):>8}{heard:>7}{worker.pid:>8}",
        ),
        width,
    )


def levels(snapshot: Snapshot, _reading: Reading, width: int, glyphs: Glyphs) -> Panel:
    speeds = snapshot.stats.level_received_per_second
    entries = [(level, speeds[level], _STYLES[level]) for level in reversed(LEVELS) if speeds.get(level)]
    return _bars("Levels", "rec/s", entries, width, glyphs)


def formats(snapshot: Snapshot, _reading: Reading, width: int, glyphs: Glyphs) -> Panel:
    entries = [(name, speed_, "cyan") for name, speed_ in _most(snapshot.stats.format_received_per_second)]
    return _bars("Formats", "rec/s", entries, width, glyphs)


def services(snapshot: Snapshot, _reading: Reading, width: int, glyphs: Glyphs) -> Panel:
    entries = [(one.service or "(all others)", one.per_second, "blue") for one in snapshot.services]
    return _bars("Services", "rec/s, last minute", entries, width, glyphs)


def _bars(
    title: str, note: str, entries: Sequence[tuple[str, float, str]], width: int, glyphs: Glyphs
) -> Panel:
    """A row for each entry, with a bar as long as its share of the greatest."""
    if not entries:
        return []
    most = max(value for _, value, _ in entries)
    lines = [heading(title, note, width, glyphs)]
    for name, value, style in entries[:_MOST_ROWS]:
        drawn = bar(value / most, min(_BAR_CELLS, width // 4), glyphs, style)
        lines.append(row(Text(name), Text.assemble(drawn, f"{speed(value):>10}"), width))
    return lines


def _most(counts: dict[str, int] | dict[str, float]) -> list[tuple[str, float]]:
    return sorted(counts.items(), key=lambda item: -item[1])


#: In the order of what matters.
ALL: Final[tuple[Make, ...]] = (traffic, losses, alerts, workers, levels, services, formats, nodes)
