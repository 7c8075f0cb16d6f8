"""loadgen as a program of its own: what it sent, and its verdict on what was stored."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks.errors import BenchmarkError

#: Far beyond any load here: a loadgen that hangs ends the run and not the night.
PATIENCE_S: Final = 600.0

#: A mixed load has one connection for each format.
CONNECTIONS: Final = 4
MIXED: Final = "mixed"
MIXED_CONNECTIONS: Final = 6

#: One process per core of the standard machine, and 1,000 records a batch, a multiple of the 8 to a datagram.
PROCESSES: Final = 2
BATCH: Final = 1000

#: loadgen puts so many JSON records into each datagram: 1,360 bytes (tools/loadgen/payloads.py).
RECORDS_PER_DATAGRAM: Final = 8


class Sent(msgspec.Struct, frozen=True):
    """What loadgen says of a run; see tools/loadgen/report.py. `behind`: records it could not offer in time."""

    run: str
    sent: int
    bytes: int
    seconds: float
    rate: float
    failed: int
    uncertain: int
    behind: int
    cpu_us_per_record: float


class Verdict(msgspec.Struct, frozen=True):
    """What `loadgen verify` found on disk of one run."""

    expected: int
    found: int
    missing: int
    duplicated: int
    unexpected: int

    @classmethod
    def of_all(cls, verdicts: Iterable[Verdict]) -> Verdict:
        """The sums of several."""
        return cls(*map(sum, zip(*map(msgspec.structs.astuple, verdicts), strict=True)))

    @property
    def exact(self) -> bool:
        return self.expected == self.found and not (self.missing or self.duplicated or self.unexpected)


class Target(NamedTuple):
    """Where and how to send: `transport` is `tls`, `tcp` or `udp`."""

    transport: str
    port: int
    ca: Path | None = None

    def options(self) -> list[str]:
        if self.transport == "udp":
            return ["--udp", "--udp-port", str(self.port)]
        secure = ["--ca", str(self.ca)] if self.transport == "tls" else ["--plain"]
        return ["--tcp-port", str(self.port), *secure]


class Offer(NamedTuple):
    """How much: `rate` in records/s, 0 is as fast as it goes; `records` 0 is until `seconds` are over."""

    seconds: float
    rate: int = 0
    records: int = 0

    def options(self) -> list[str]:
        given = {"--seconds": self.seconds, "--rate": self.rate, "--count": self.records}
        return [word for name, value in given.items() if value for word in (name, str(value))]


class Sending:
    """A load under way. `sent()` waits for its end."""

    def __init__(self, target: Target, format_: str, offer: Offer, report: Path) -> None:
        self.report = report
        connections = MIXED_CONNECTIONS if format_ == MIXED else CONNECTIONS
        sizes = {"--connections": connections, "--processes": PROCESSES, "--batch": BATCH}
        command = [
            "--format",
            format_,
            "--json",
            "--report",
            str(report),
            *target.options(),
            *offer.options(),
        ]
        self._process = _loadgen(*command, *(str(word) for pair in sizes.items() for word in pair))

    def sent(self) -> Sent:
        """BenchmarkError: loadgen failed. What arrived of what it sent is for `verify` to say."""
        return msgspec.convert(_answer(self._process, (0,)), Sent)


def send(target: Target, format_: str, offer: Offer, report: Path) -> Sent:
    """Send, and wait for the end of it."""
    return Sending(target, format_, offer, report).sent()


def verify(data: Path, reports: Sequence[Path], processes: int) -> Verdict:
    """Read all segments of a stopped daemon and check each sequence of the reports' runs."""
    named = [word for report in reports for word in ("--report", str(report))]
    command = ["verify", str(data), *named, "--json", "--processes", str(processes)]
    return msgspec.convert(_answer(_loadgen(*command), (0, 1)), Verdict)


def _loadgen(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from tools.loadgen.cli import main; main()", *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _answer(process: subprocess.Popen[str], codes: tuple[int, ...]) -> dict[str, Any]:
    try:
        out, said = process.communicate(timeout=PATIENCE_S)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode not in codes or not out.strip():
        raise BenchmarkError(f"loadgen exited {process.returncode}: {said.strip()[-2000:]}")
    answer: dict[str, Any] = json.loads(out)
    return answer
