"""The report: what a run claims to have sent, for people, for scripts, and for `loadgen verify`.

    {"version": 1, "run": "ab12cd34", "format": "json", "transport": "tls",
     "sent": …, "bytes": …, "seconds": …, "rate": …, "failed": …, "uncertain": …, "behind": …, "late_s": …,
     "cpu_seconds": …, "cpu_us_per_record": …, "notes": {"what went wrong": times},
     "formats": {"json": sent, …}, "acked": false,
     "ranges": {"confirmed": [[first, last], …], "uncertain": [[first, last], …]}}

`confirmed` sequences were sent and their connection was closed in order (UDP: handed to the kernel); `uncertain`
ones were sent on a connection that broke. With `acked`, confirmed are those that were acknowledged, all others are
uncertain. sent = confirmed + uncertain. The file is written beside its name and
moved there, so that it is whole or absent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tools.loadgen import journal
from tools.loadgen.senders import Outcome, Span

VERSION = 1


class ReportError(Exception):
    """A report that cannot be read or written, or does not make sense; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """Sorted, disjoint, merged spans."""

    confirmed: list[Span]
    uncertain: list[Span]


@dataclass(frozen=True, slots=True)
class Report:
    """One run. Its fields are the keys of the file."""

    run: str
    format: str
    transport: str
    sent: int
    bytes: int
    seconds: float
    rate: float
    failed: int
    uncertain: int
    behind: int
    late_s: float
    cpu_seconds: float
    cpu_us_per_record: float
    notes: dict[str, int]
    ranges: Ranges
    formats: dict[str, int] = field(default_factory=dict)
    """Of `sent`, how many were of each format; reports of before lack it, and verify needs it not."""
    acked: bool = False

    @classmethod
    def of(
        cls,
        outcome: Outcome,
        run: str,
        format_name: str,
        transport: str,
        seconds: float,
        cpu_s: float,
        acked: bool = False,
    ) -> Report:
        """The report of a run that is over. `cpu_s` is user and system time of all senders, from start to close."""
        return cls(
            run=run,
            format=format_name,
            transport=transport,
            sent=outcome.sent,
            bytes=outcome.bytes,
            seconds=round(seconds, 6),
            rate=round(outcome.sent / seconds, 1) if seconds > 0 else 0.0,
            failed=outcome.failed,
            uncertain=count(outcome.uncertain),
            behind=outcome.behind,
            late_s=round(outcome.latest_s, 6),
            cpu_seconds=round(cpu_s, 6),
            cpu_us_per_record=round(cpu_s / outcome.sent * 1e6, 4) if outcome.sent else 0.0,
            notes=outcome.notes,
            ranges=Ranges(merged(outcome.confirmed), merged(outcome.uncertain)),
            formats=dict(sorted(outcome.formats.items())),
            acked=acked,
        )

    @classmethod
    def of_journal(cls, path: Path) -> Report:
        """The report that a run left that was killed. Raises OSError, JournalError."""
        account = journal.read(path)
        sent = merged(account.spans["sent"])
        confirmed = merged(account.spans["acknowledged"])
        uncertain = list(journal.minus(sent, confirmed))
        outcome = Outcome(sent=count(sent), confirmed=confirmed, uncertain=uncertain)
        outcome.note("it was killed: this is of its journal")
        return cls.of(outcome, account.run, account.format, account.transport, 0.0, 0.0, True)

    def summary(self) -> dict[str, Any]:
        """The report without its ranges: what `--json` prints."""
        values = asdict(self)
        del values["ranges"]
        return values

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all. ReportError: it cannot be written."""
        beside = path.with_name(path.name + ".tmp")
        try:
            with beside.open("w", encoding="utf-8") as file:
                json.dump({"version": VERSION, **asdict(self)}, file)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError as error:
            raise ReportError(f"cannot write the report {path}: {error.strerror}") from error

    @classmethod
    def read(cls, path: Path) -> Report:
        """Read a file that `write` made, or the journal in its place.

        ReportError: it is another kind of file, or contradicts itself.
        """
        try:
            if not path.exists() and (left := journal.journal_of(path)).exists():
                return cls.of_journal(left)
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("version") != VERSION:
                raise ReportError(f"{path}: not a report of version {VERSION}")
            ranges = values.pop("ranges")
            report = cls(**values, ranges=Ranges(_spans(ranges["confirmed"]), _spans(ranges["uncertain"])))
        except OSError as error:
            raise ReportError(f"cannot read the report {path}: {error.strerror}") from error
        except journal.JournalError as error:
            raise ReportError(str(error)) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ReportError(f"{path}: not a report of loadgen ({type(error).__name__}: {error})") from error
        if count(merged(report.ranges.confirmed + report.ranges.uncertain)) != count(
            report.ranges.confirmed
        ) + count(report.ranges.uncertain):
            raise ReportError(f"{path}: its ranges overlap")
        return report


def count(spans: Iterable[Span]) -> int:
    """Sequences in disjoint spans."""
    return sum(last - first + 1 for first, last in spans)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Sorted, with what touches or overlaps joined."""
    result: list[Span] = []
    for first, last in sorted(spans):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def _spans(values: list[list[int]]) -> list[Span]:
    spans = [(int(first), int(last)) for first, last in values]
    if any(first > last for first, last in spans):
        raise ValueError("a range ends before it begins")
    return spans
