"""The journal of a run with acknowledgements: what was claimed and what was acknowledged, written as it happens.

    {"version": 1, "run": "ab12cd34", "format": "json", "transport": "tls"} LF
    sent <first> <last> LF              before the records are handed over
    acknowledged <first> <last> LF      when the client library has said so
    refused <first> <last> LF           acknowledged, but some of them were rejected

It stands beside the report, as `<report>.journal`, until that is written. A loadgen that is killed leaves it, and
`verify` takes it for the report. Each line is one append, so that all lanes and processes share the file; a last line
without its end was never written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

Span = tuple[int, int]

VERSION = 1


class JournalError(Exception):
    """A journal that cannot be read; the message says which and why."""


class Journal:
    """Appends to the file, from any thread, and from processes forked since. OSError: it cannot be written."""

    def __init__(self, path: Path, run: str, format_name: str, transport: str) -> None:
        """Begin it anew."""
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
        head = {"version": VERSION, "run": run, "format": format_name, "transport": transport}
        os.write(self._fd, json.dumps(head).encode() + b"\n")

    def add(self, what: str, span: Span) -> None:
        """Append a line: `sent`, `acknowledged` or `refused`."""
        os.write(self._fd, b"%b %d %d\n" % (what.encode(), *span))

    def close(self) -> None:
        os.close(self._fd)


class Account(NamedTuple):
    """What a journal says."""

    run: str
    format: str
    transport: str
    spans: dict[str, list[Span]]


def journal_of(report: Path) -> Path:
    """Where the journal of a report is."""
    return report.with_name(report.name + ".journal")


def read(path: Path) -> Account:
    """Read a journal as far as it was written. OSError; JournalError: it is another kind of file."""
    lines = path.read_bytes().split(b"\n")[:-1]
    try:
        head: dict[str, Any] = json.loads(lines[0])
        if head.pop("version") != VERSION:
            raise JournalError(f"{path}: not a journal of version {VERSION}")
        spans: dict[str, list[Span]] = {"sent": [], "acknowledged": [], "refused": []}
        for what, span in map(_parse, lines[1:]):
            spans[what].append(span)
        return Account(**head, spans=spans)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise JournalError(f"{path}: not a journal of loadgen ({type(error).__name__}: {error})") from error


def minus(spans: list[Span], others: list[Span]) -> Iterator[Span]:
    """What is in `spans` and not in `others`; both sorted and disjoint."""
    rest = iter(others)
    other = next(rest, None)
    for first, last in spans:
        while other is not None and other[1] < first:
            other = next(rest, None)
        start = first
        while other is not None and other[0] <= last:
            if other[0] > start:
                yield start, other[0] - 1
            start = other[1] + 1
            if other[1] > last:
                break
            other = next(rest, None)
        if start <= last:
            yield start, last


def _parse(line: bytes) -> tuple[str, Span]:
    what, first, last = line.decode("ascii").split()
    return what, (int(first), int(last))
