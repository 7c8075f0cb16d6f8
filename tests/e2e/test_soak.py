"""A soak with everything on: every format streamed, acknowledged batches, datagrams, short connections, scrapes.

What it proves: the accounting law holds in every answer, once a second; and nothing grows, neither the memory of a
process nor its open files, from the second quarter of the time to the last. `make test` has some seconds of it, `make
chaos` a quarter of an hour (SOAK_S seconds); whether memory is flat only the long one can say.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.daemon import PATIENCE_S, Daemon, check_law, wait_for
from tests.e2e.test_acknowledged import Peer
from tests.e2e.test_tcp import line
from tools.loadgen.report import Report
from tools.loadgen.verify import judge, read_folder

LOADGEN = (sys.executable, "-m", "tools.loadgen")

#: Each at a rate (records/s) that is a fraction of what two cores take, so that queues are not what is measured.
LOADS = {
    "mixed": ("--format", "mixed", "--connections", "6", "--rate", "12000"),
    "acknowledged": ("--ack", "--connections", "2", "--rate", "6000", "--batch", "200"),
    "datagrams": ("--udp", "--rate", "4000"),
}

#: What growth is no leak: an allocator's steps, a connection more.
SPARE_BYTES = 12 << 20
SPARE_SHARE = 0.05
SPARE_FILES = 4


class Sample(NamedTuple):
    """One process at one moment."""

    rss_bytes: int
    files: int


@contextmanager
def loads(daemon: Daemon, folder: Path, certs: Path, seconds: float) -> Iterator[dict[str, Path]]:
    """All loads at once; the reports that they write. They must end well by themselves."""
    reports = {name: folder / f"{name}.json" for name in LOADS}
    tcp = ("--tcp-port", str(daemon.tcp[1]), "--ca", str(certs / "ca.crt"))
    udp = ("--udp-port", str(daemon.udp[1]))
    processes = [
        subprocess.Popen(
            [
                *LOADGEN,
                *(udp if name == "datagrams" else tcp),
                *LOADS[name],
                *("--seconds", str(seconds), "--report", str(report)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name, report in reports.items()
    ]
    try:
        yield reports
        assert [process.wait(PATIENCE_S) for process in processes] == [0] * len(processes)
    finally:
        for process in processes:
            process.kill()
            process.wait(PATIENCE_S)


def sample(pid: int) -> Sample:
    """Of a process that runs. FileNotFoundError, ProcessLookupError: it does not."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Sample(pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path(f"/proc/{pid}/fd").iterdir())))


def assert_flat(what: str, values: list[int], spare: float) -> None:
    """The last quarter beside the second: what starts is not yet warm."""
    quarter = len(values) // 4
    before = statistics.median(values[quarter : 2 * quarter])
    after = statistics.median(values[-quarter:])
    assert after <= before + spare, f"{what} grew from {before:,.0f} to {after:,.0f}: {values}"


def soak(tmp_path: Path, certs: Path, seconds: float) -> tuple[dict[str, list[Sample]], int]:
    """Samples by process and how often the law was checked."""
    samples: dict[str, list[Sample]] = defaultdict(list)
    checks = 0
    with Daemon(tmp_path / "daemon", certs, **{"segment.max_bytes": "2MB"}) as daemon:
        with loads(daemon, tmp_path, certs, seconds) as reports:
            ends_s = time.monotonic() + seconds
            sequence = 0
            while time.monotonic() < ends_s:
                stats: dict[str, Any] = daemon.stats()
                for part in (stats["totals"], *(worker["totals"] for worker in stats["workers"])):
                    check_law(part)
                    checks += 1
                daemon.metric("ingestd_records_received_total")
                sequence += 1
                peer = Peer(daemon, "short")  # connects, sends, waits, goes
                peer.read()
                peer.send(sequence, line(seq=sequence)).read_until(f"ACK {sequence}")
                peer.close()
                Peer.opened.remove(peer)
                pids = {"supervisor": daemon.process.pid}
                pids |= {f"worker {worker['worker']}": worker["pid"] for worker in stats["workers"]}
                for name, pid in pids.items():
                    samples[name].append(sample(pid))
                time.sleep(1)
        totals = wait_for(lambda: _settled(daemon), "all to be on disk")
        check_law(totals)
    del reports["datagrams"]  # the kernel may drop some on a machine that is busy, and counts them
    verdicts = judge(read_folder(daemon.data, 1), map(Report.read, reports.values()))
    assert [verdict for verdict in verdicts if not verdict.exact] == []
    assert "Traceback" not in daemon.log.read_text()
    return samples, checks


def _settled(daemon: Daemon) -> dict[str, Any] | None:
    totals: dict[str, Any] = daemon.stats()["totals"]
    return totals if totals["in_flight"] == 0 else None


def test_some_seconds_of_everything(tmp_path: Path, certs: Path) -> None:
    samples, checks = soak(tmp_path, certs, 6)
    assert samples
    assert checks


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_memory_and_open_files_are_flat(
    tmp_path: Path, certs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples, checks = soak(tmp_path, certs, float(os.environ.get("SOAK_S", "900")))
    with capsys.disabled():
        print(f"\nthe law held in {checks:,} answers")
        for name, values in samples.items():
            memory, files = [value.rss_bytes for value in values], [value.files for value in values]
            shown = " ".join(f"{memory[len(memory) * k // 8] / 1e6:.0f}" for k in range(8))
            print(f"{name}: {shown} {memory[-1] / 1e6:.0f} MB; {min(files)} to {max(files)} open files")
    for name, values in samples.items():
        memory, files = [value.rss_bytes for value in values], [value.files for value in values]
        assert_flat(f"{name}: memory", memory, SPARE_BYTES + SPARE_SHARE * memory[0])
        assert_flat(f"{name}: open files", files, SPARE_FILES)
