"""Judges what is stored against what was sent: each (run, sequence) exactly once.

For each report: expected are its confirmed sequences; uncertain ones may be there and need not; anything else of
that run is unexpected. With found = expected ones that are there,

    records of the run = found + uncertain_found + unexpected + duplicated

where duplicated counts the surplus copies of any of them. Files are read in parallel, one process each, and merged
as bits, so that memory stays far below what is read. `rejects_*` files hold what was refused, not what was stored.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tools.loadgen.layouts import FORMATS, LAYOUTS, formats_of
from tools.loadgen.marks import PAGE, Flags, PackedMarks
from tools.loadgen.report import Report, count, merged
from tools.loadgen.scan import FileScan, Key, scan_file
from tools.loadgen.senders import Span

MISSING_SHOWN = 10
"""So many ranges of missing sequences are listed."""

_SUMS = ("expected", "found", "missing", "duplicated", "unexpected")


class VerifyError(Exception):
    """There is nothing to verify, or nothing to verify it by; the message says what to do."""


@dataclass(slots=True)
class Stored:
    """What is in the files of a folder."""

    files: int = 0
    records: int = 0
    others: int = 0
    marks: dict[Key, PackedMarks] = field(default_factory=dict)
    torn: dict[str, int] = field(default_factory=dict)
    """Open files whose last frame is cut, and by how many bytes: a writer at work, or one that was killed."""
    damaged: dict[str, str] = field(default_factory=dict)

    def add(self, scan: FileScan) -> None:
        """Add one file."""
        self.files += 1
        self.records += scan.records
        self.others += scan.others
        for key, marks in scan.marks.items():
            self.marks.setdefault(key, PackedMarks()).merge(marks)
        if scan.damage:
            self.damaged[scan.path.name] = scan.damage
        elif scan.torn_bytes and scan.path.suffix == ".open":
            self.torn[scan.path.name] = scan.torn_bytes
        elif scan.torn_bytes:
            self.damaged[scan.path.name] = f"a closed file ends in {scan.torn_bytes:,} bytes of a cut frame"

    def of_run(self, run: str, format_name: str) -> PackedMarks:
        """What is there of a run of this format; of a mixed one, whatever its records look like."""
        marks = PackedMarks()
        for marker in sorted({LAYOUTS[name].marker for name in formats_of(format_name)}):
            if (run, marker) in self.marks:
                marks.merge(self.marks[run, marker])
        return marks


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one run. `report` None: a run nobody reported, of which nothing is expected."""

    run: str
    format: str
    transport: str
    expected: int
    found: int
    missing: int
    duplicated: int
    unexpected: int
    uncertain: int
    uncertain_found: int
    missing_ranges: list[Span]
    """The first MISSING_SHOWN of them."""

    @property
    def exact(self) -> bool:
        """Everything expected is there once, and nothing else."""
        return not (self.missing or self.duplicated or self.unexpected)


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run found without a report: how many records, how many of them surplus copies."""

    run: str
    format: str
    records: int
    duplicated: int


def read_folder(folder: Path, processes: int | None = None) -> Stored:
    """Read all segments of a folder, open ones included. VerifyError: there are none."""
    paths = sorted(_segments(folder), key=_size, reverse=True)
    if not paths:
        raise VerifyError(
            f"{folder}: no *.jsonl.zst or *.jsonl.zst.open here: is this the daemon's data_dir?"
        )
    stored = Stored()
    workers = min(processes or os.cpu_count() or 1, len(paths))
    for scan in _scans(paths, workers):
        stored.add(scan)
    return stored


def judge(stored: Stored, reports: Iterable[Report]) -> list[Verdict]:
    """A verdict for each report. VerifyError: two reports are of the same run, or one is of a format unknown here."""
    verdicts: list[Verdict] = []
    for report in reports:
        if any(report.run == other.run for other in verdicts):
            raise VerifyError(f"two reports of the run {report.run}: give each run its own --run")
        if report.format not in FORMATS:
            raise VerifyError(
                f"the run {report.run} is of the format {report.format}, which is none of loadgen's"
            )
        verdicts.append(_judge(report, stored.of_run(report.run, report.format)))
    return verdicts


def list_runs(stored: Stored) -> list[FoundRun]:
    """Every run that is in the files."""
    return [
        FoundRun(run, kind, marks.records, marks.records - marks.distinct)
        for (run, kind), marks in sorted(stored.marks.items())
    ]


def totals(verdicts: list[Verdict]) -> dict[str, int]:
    """The sums over all runs of what is counted."""
    return {name: sum(getattr(verdict, name) for verdict in verdicts) for name in _SUMS}


def files_summary(stored: Stored) -> dict[str, Any]:
    """What is to be said about the files themselves."""
    return {
        "files": stored.files,
        "records": stored.records,
        "other_records": stored.others,
        "torn": stored.torn,
        "damaged": stored.damaged,
    }


def _judge(report: Report, marks: PackedMarks) -> Verdict:
    missing_ranges: list[Span] = []
    found = uncertain_found = 0
    for first, last in report.ranges.confirmed:
        for begin, flags in marks.slices(first, last):
            if flags is None:
                missing_ranges.append((begin, min(last, begin | (PAGE - 1))))
            else:
                found += int(np.count_nonzero(flags))
                missing_ranges += _gaps(begin, flags)
    for first, last in report.ranges.uncertain:
        uncertain_found += sum(
            int(np.count_nonzero(flags)) for _, flags in marks.slices(first, last) if flags is not None
        )
    distinct = marks.distinct
    expected = count(report.ranges.confirmed)
    return Verdict(
        run=report.run,
        format=report.format,
        transport=report.transport,
        expected=expected,
        found=found,
        missing=expected - found,
        duplicated=marks.records - distinct,
        unexpected=distinct - found - uncertain_found,
        uncertain=count(report.ranges.uncertain),
        uncertain_found=uncertain_found,
        missing_ranges=merged(missing_ranges)[:MISSING_SHOWN],
    )


def _gaps(begin: int, flags: Flags) -> Iterator[Span]:
    """The ranges where no flag is set; `begin` is the sequence of the first."""
    if flags.all():
        return
    edges = np.flatnonzero(np.diff(np.concatenate(([1], flags, [1])).astype(np.int8)))
    for first, end in edges.reshape(-1, 2)[:MISSING_SHOWN].tolist():
        yield begin + first, begin + end - 1


def _segments(folder: Path) -> Iterator[Path]:
    for pattern in ("*.jsonl.zst", "*.jsonl.zst.open"):
        yield from (path for path in folder.glob(pattern) if not path.name.startswith("rejects_"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # renamed since: scan_file looks for its new name
        return 0


def _scans(paths: list[Path], workers: int) -> Iterator[FileScan]:
    if workers == 1:
        yield from map(scan_file, paths)
        return
    with ProcessPoolExecutor(
        workers, get_context("fork"), signal.signal, (signal.SIGINT, signal.SIG_IGN)
    ) as pool:
        yield from pool.map(scan_file, paths)
