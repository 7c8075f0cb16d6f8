"""Prometheus text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/

What a sample line says before its value never changes, so it is rendered once, at start; an answer is then one
pass over the sums. Every family always has its HELP and TYPE. Of a large family that is split by reason, only the
series that have moved are shown: most of format x transport x reason cannot happen. The two sides of the accounting
law are computable all the same, for a series that is absent is 0.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from ingestd.sidecar.disk import space
from ingestd.sidecar.families import (
    BUILD_INFO,
    DATA_DIR_FREE,
    DATA_DIR_SIZE,
    HTTP_AUTH_FAILURES,
    START_TIME,
    UP_WORKERS,
    WORKER_CPU,
    WORKER_HEARTBEAT_AGE,
    WORKER_RESIDENT,
    WORKER_UP,
)
from ingestd.sidecar.health import Verdict
from ingestd.sidecar.moment import Moment
from ingestd.sidecar.view import View
from ingestd.stats import METRICS, Metric, index

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

#: A family by reason with more series than this shows only those that moved; dashboards like the small ones whole.
_SPARSE_ABOVE: Final = 8

_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


class _Line(NamedTuple):
    """A sample line of the board: its text up to the value, and where the value is."""

    head: str
    place: int


class _Family(NamedTuple):
    metric: Metric
    head: str
    lines: tuple[_Line, ...]
    sparse: bool


def labels(names: Iterable[str], values: Iterable[str]) -> str:
    """`{name="value",…}` with the values escaped; empty without labels."""
    pairs = [f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(names, values, strict=True)]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def head(metric: Metric) -> str:
    """The lines of HELP and TYPE."""
    return (
        f"# HELP {metric.name} {metric.help.translate(_HELP_ESCAPES)}\n# TYPE {metric.name} {metric.kind}\n"
    )


def _family(metric: Metric) -> _Family:
    lines = tuple(
        _Line(f"{metric.name}{labels(metric.labels, values)} ", index(metric.name, *values))
        for values in metric.series
    )
    sparse = "reason" in metric.labels and len(metric.series) > _SPARSE_ABOVE
    return _Family(metric, head(metric), lines, sparse)


_FAMILIES: Final = tuple(_family(metric) for metric in METRICS)


def _number(value: int, scale: float) -> str:
    return str(value) if scale == 1 else repr(value * scale)


def _histogram(family: _Family, values: Iterable[int]) -> Iterator[str]:
    """The board counts per bucket; the format wants them cumulative."""
    metric = family.metric
    first = family.lines[0].place
    slot = list(values)[first : first + metric.width]
    seen = 0
    for bound, count in zip((*map(repr, metric.buckets), "+Inf"), slot, strict=False):
        seen += count
        yield f'{metric.name}_bucket{{le="{bound}"}} {seen}\n'
    yield f"{metric.name}_sum {_number(slot[-1], metric.scale)}\n{metric.name}_count {seen}\n"


def _board(moment: Moment) -> Iterator[str]:
    values = moment.sums.values
    for family in _FAMILIES:
        yield family.head
        if family.metric.kind == "histogram":
            yield from _histogram(family, values)
            continue
        scale = family.metric.scale
        for head, place in family.lines:
            if values[place] or not family.sparse:
                yield f"{head}{_number(values[place], scale)}\n"


def _made_here(workers: list[Verdict], view: View, failures: Mapping[str, int]) -> Iterator[str]:
    disk = space(view.data_dir)
    ups = [int(verdict.state == "ready") for verdict in workers]
    rows: dict[Metric, list[tuple[tuple[str, ...], float | None]]] = {
        BUILD_INFO: [((view.version,), 1)],
        START_TIME: [((), view.started_ns / 1e9)],
        UP_WORKERS: [((), sum(ups))],
        WORKER_UP: [((str(one.worker),), up) for one, up in zip(workers, ups, strict=True)],
        WORKER_HEARTBEAT_AGE: [((str(one.worker),), one.heartbeat_age_s) for one in workers],
        WORKER_CPU: [((str(one.worker), str(one.pid)), one.usage and one.usage.cpu_s) for one in workers],
        WORKER_RESIDENT: [((str(one.worker),), one.usage and one.usage.resident_bytes) for one in workers],
        DATA_DIR_FREE: [((), disk.free)],
        DATA_DIR_SIZE: [((), disk.total)],
        HTTP_AUTH_FAILURES: [((reason,), count) for reason, count in failures.items()],
    }
    for metric, samples in rows.items():
        yield head(metric)
        for values, value in samples:
            if value is not None:
                yield f"{metric.name}{labels(metric.labels, values)} {value}\n"


def render(moment: Moment, workers: list[Verdict], view: View, failures: Mapping[str, int]) -> str:
    """The whole answer to a scrape; `failures` are refused requests by reason.

    What cannot be known now (a dead worker's memory) has no sample.
    """
    return "".join([*_board(moment), *_made_here(workers, view, failures)])
