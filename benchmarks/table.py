"""A run as tables of text: the same rows for the terminal and for RESULTS.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks import anatomy
from benchmarks.outcome import ClientCost, Fairness, Load, Outcome, Peer, Stage
from benchmarks.scenarios import median

T = TypeVar("T")


#: Others that use more than this of the cores take speed from what is measured; kernel threads alone stay below it.
BUSY_CORES: Final = 0.2


class Table(NamedTuple):
    """One table; the first column is text, the others are numbers unless `prose`."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    prose: bool = False


_LOAD_ROWS: Final[tuple[tuple[str, Callable[[Load], str]], ...]] = (
    ("records/s", lambda load: f"{load.records_per_s:,.0f}"),
    ("offered/s", lambda load: f"{load.offered_per_s:,.0f}" if load.offered_per_s else "unpaced"),
    ("MB/s in", lambda load: f"{load.in_mb_per_s:.0f}"),
    ("CPU us/record", lambda load: f"{load.cpu_us:.2f}"),
    ("of it kernel", lambda load: f"{load.cpu_system_us:.2f}"),
    ("of it loop thread", lambda load: f"{load.loop_us:.2f}"),
    ("of it writer thread", lambda load: f"{load.writer_us:.2f}"),
    ("default rules ns, alone", lambda load: f"{load.validation_ns:.2f}" if load.validation_ns else "-"),
    ("peak MB/worker", lambda load: f"{load.peak_rss_bytes / 1e6:.0f}"),
    ("compression ratio", lambda load: f"{load.compression_ratio:.1f}"),
    ("latency p50 s", lambda load: f"{load.p50_s:.2f}"),
    ("latency p99 s", lambda load: f"{load.p99_s:.2f}"),
    ("longest sync <= s", lambda load: f"{load.longest_sync_s:.4g}"),
    ("seconds", lambda load: f"{load.seconds:.1f}"),
    ("records sent", lambda load: f"{load.sent:,}"),
    ("lost", lambda load: f"{load.sent - load.written:,}"),
    ("loadgen CPU us/record", lambda load: f"{load.sender_us:.2f}"),
    ("cores others used", lambda load: f"{load.others_cores:.2f}"),
)

_PEER_COLUMNS: Final[tuple[tuple[str, Callable[[Peer], str]], ...]] = (
    ("peer", lambda peer: f"{peer.name} ({peer.version})"),
    ("of", lambda peer: peer.format),
    ("records/s", lambda peer: f"{peer.records_per_s:,.0f}"),
    ("us/record", lambda peer: f"{peer.cpu_us:.2f}"),
    ("x ingestd", lambda peer: f"{peer.times:.1f}" if peer.times else "-"),
    ("peak MB", lambda peer: f"{peer.peak_rss_bytes / 1e6:.0f}"),
    ("ratio", lambda peer: f"{peer.compression_ratio:.1f}"),
    ("sent", lambda peer: f"{peer.sent:,}"),
    ("lost", lambda peer: f"{peer.sent - peer.records:,}"),
    ("others", lambda peer: f"{peer.others_cores:.2f}"),
)


_CLIENT_COLUMNS: Final[tuple[tuple[str, Callable[[ClientCost], str]], ...]] = (
    ("way", lambda cost: cost.way),
    ("us/record to hand over", lambda cost: f"{cost.caller_us:.3f}"),
    ("us/record in all", lambda cost: f"{cost.total_us:.2f}"),
    ("records/s", lambda cost: f"{cost.records_per_s:,.0f}"),
    ("records", lambda cost: f"{cost.records:,}"),
)


_FAIRNESS_COLUMNS: Final[tuple[tuple[str, Callable[[Fairness], str]], ...]] = (
    ("beside, at full speed", lambda found: found.beside),
    ("p50 ms", lambda found: f"{found.p50_s * 1e3:.1f}"),
    ("p99 ms", lambda found: f"{found.p99_s * 1e3:.1f}"),
    ("longest sync <= ms", lambda found: f"{found.longest_sync_s * 1e3:.4g}"),
    ("batches", lambda found: f"{found.batches:,}"),
)


def tables(outcome: Outcome) -> list[Table]:
    """What was measured, the goals last."""
    over_tls = [load for load in outcome.loads if load.name == f"{load.format} TLS"]
    made = [
        _loads("Every format over TLS", over_tls),
        _loads(
            "UDP, a slow writer, acknowledgements, onlookers",
            [load for load in outcome.loads if load not in over_tls],
        ),
        _of("Peers", _PEER_COLUMNS, sorted(outcome.peers, key=lambda peer: peer.format)),
        _of("Client library, JSON over TLS, spooled and acknowledged", _CLIENT_COLUMNS, outcome.clients),
        _of("A quiet client's wait for its ACK, one worker", _FAIRNESS_COLUMNS, outcome.fairness),
        _anatomies(outcome),
        _functions(outcome),
        _stages(outcome),
    ]
    made.append(Table("Start, idle, onlookers and alerts", ("what", "measured"), _small(outcome)))
    goals = [
        (goal.name, goal.limit, goal.measured, "met" if goal.met else "MISSED") for goal in outcome.goals
    ]
    made.append(Table("Goals", ("goal", "limit", "measured", ""), goals))
    skipped = [(part.part, part.why) for part in outcome.skipped]
    made.append(Table("Not measured", ("part", "why"), skipped, prose=True))
    return [table for table in made if table.rows]


def _loads(title: str, loads: list[Load]) -> Table:
    """A column per load: there are more figures than loads, and a terminal is narrow."""
    rows = [(name, *map(cell, loads)) for name, cell in _LOAD_ROWS] if loads else []
    return Table(title, ("", *(load.name.removesuffix(" TLS") for load in loads)), rows)


def _of(title: str, columns: tuple[tuple[str, Callable[[T], str]], ...], items: list[T]) -> Table:
    return Table(
        title,
        tuple(name for name, _ in columns),
        [tuple(cell(item) for _, cell in columns) for item in items],
    )


def _anatomies(outcome: Outcome) -> Table:
    """A column per format, of which the parts are also given in percent: the share is what one looks for first."""
    found = outcome.anatomies
    sums = [sum(made.stages.values()) for made in found]
    rows = [
        (stage, *(_part_ns(made.stages[stage], of_ns) for made, of_ns in zip(found, sums, strict=True)))
        for stage in anatomy.STAGES
    ]
    rows.append(("sum", *(f"{of_ns:.0f}" for of_ns in sums)))
    head = ("stage", *(made.format for made in found))
    return Table("Where the CPU goes, ns per record and share", head, rows if found else [])


def _part_ns(value: float, of_ns: float) -> str:
    return f"{value:.0f} {value / of_ns:4.0%}" if of_ns else "-"


def _functions(outcome: Outcome) -> Table:
    rows = [
        (made.format, ", ".join(f"{name} {value:.0f}" for name, value in made.functions.items()))
        for made in outcome.anatomies
    ]
    return Table("The heaviest functions, ns per record", ("format", "functions"), rows, prose=True)


def _stages(outcome: Outcome) -> Table:
    profile = outcome.profile
    stages = profile.stages if profile else []
    rows = [(stage.name, _ns(stage.alone_ns), _ns(stage.daemon_ns)) for stage in stages]
    if stages:
        rows.append(("sum", _ns(_sum(stages, "alone_ns")), _ns(_sum(stages, "daemon_ns"))))
    return Table("json more closely, ns per record", ("stage", "timed alone", "in the daemon"), rows)


def _sum(stages: list[Stage], column: str) -> float | None:
    values: list[float | None] = [getattr(stage, column) for stage in stages]
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _ns(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _small(outcome: Outcome) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    if outcome.startups_s:
        each = ", ".join(f"{taken_s:.2f}" for taken_s in outcome.startups_s)
        rows.append((f"exec to ready, median of {each} s", f"{median(outcome.startups_s):.2f} s"))
    if outcome.observed:
        found = outcome.observed
        rows.append(("CPU per record with rules and onlookers, of that without", f"{found.cpu:.1%}"))
        rows.append(("CPU of the sidecar then, share of one core", f"{found.sidecar_share:.1%}"))
        rows.append(("snapshots and scrapes answered then", f"{found.snapshots}, {found.scrapes}"))
    if outcome.alarm:
        alarm = outcome.alarm
        times = (alarm.p50_s, alarm.p99_s, alarm.most_s)
        what = (
            f"record to webhook beside {alarm.beside_per_s:,.0f} records/s: p50, p99, most of {alarm.alerts}"
        )
        rows.append((what, ", ".join(f"{taken_s * 1e3:.0f} ms" for taken_s in times)))
    if outcome.idle_shares:
        each = ", ".join(f"{share:.2%}" for share in outcome.idle_shares)
        rows.append(("CPU of an idle worker, share of one core, each", each))
    return rows


def machine_lines(outcome: Outcome) -> list[str]:
    """The machine, in two lines; a third where it was busy with something else."""
    machine = outcome.machine
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return [
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gb:.0f} GB, {machine.system}, "
        f"Linux {machine.kernel}, {machine.filesystem}; {machine.date}, load average before "
        f"{machine.load_before:.2f}{', quick run' if outcome.quick else ''}",
        f"Python {machine.python}, {packages}",
        *_warning(outcome),
    ]


def _warning(outcome: Outcome) -> list[str]:
    used = [load.others_cores for load in outcome.loads] + [peer.others_cores for peer in outcome.peers]
    busiest = max(used, default=0.0)
    if busiest < BUSY_CORES:
        return []
    return [
        f"TRIAL: other programs used up to {busiest:.1f} cores meanwhile. What was lost or stored is as it says; "
        "figures of speed, and ratios to peers above all, need a quiet machine."
    ]


def show(outcome: Outcome, console: Console) -> None:
    """Print everything."""
    for line in machine_lines(outcome):
        console.print(line, highlight=False)
    for table in tables(outcome):
        shown = RichTable(title=table.title, title_justify="left")
        for number, name in enumerate(table.head):
            shown.add_column(name, justify="right" if number and not table.prose else "left")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)


def markdown(table: Table) -> str:
    """A GitHub table."""
    rule = ["---"] + ["---" if table.prose else "---:"] * (len(table.head) - 1)
    rows = [table.head, tuple(rule), *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
