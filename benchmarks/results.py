"""RESULTS.md and its chart: the last run on the standard machine, and what was measured how."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks import chart
from benchmarks.outcome import Outcome
from benchmarks.table import machine_lines, markdown, tables

FOLDER: Final = Path(__file__).parent
RESULTS: Final = FOLDER / "RESULTS.md"
CHART: Final = FOLDER / "results.svg"

_HEAD: Final = """\
# Results

Written by `make bench ARGS=--write`; nothing here was typed in by hand.

"""

_METHOD: Final = """\
## What was measured, and how

Everything runs on one machine over loopback: the daemon with two workers and its defaults (zstd level 1,
commits every second, enrichment with host, environment, version and source address), loadgen on the same cores
with 4 connections and 2 processes (a mixed load: 6 connections, one of each format), files in a temporary folder.
What loadgen takes of the cores, the daemon does not have.

- **records/s, MB/s** are what was received, over the time from the first byte to the last clean close.
- **CPU us/record** is user and kernel time of all threads of all workers (`/proc/<pid>/stat`), from before the
  load until its last record was on disk, over the records received. *loop thread* is the event loop's thread
  (socket, TLS, framing, decoding, splicing, counting), *writer thread* everything else (compression, files).
  What loadgen used for itself, and what anything else on the machine used, stands last: where others used much,
  the figures are not to be trusted.
- **default rules ns** is what validation by the default schema costs a record, timed alone over the blocks that each
  format makes of loadgen's records: a good block is cleared by what is counted of it anyway. The goal is its share of
  the CPU per record.
- **peak MB/worker** is the largest resident set of a worker (`VmHWM`), pages shared with the supervisor
  included.
- **ratio** is bytes of enriched lines over bytes on disk. **p50, p99** are seconds from a record's receipt to
  the return of the `fdatasync` that covers it, from the daemon's own histogram (its default commit interval is
  a second). **longest sync** is the bound of the histogram's bucket that the longest `fdatasync` fell into: what the
  disk by itself did to p99, and to the waits for an ACK.
- **lost** is sent less written. After every load the daemon is stopped and `loadgen verify` looks for each
  sequence on disk; that is the goal *stored exactly once*.
- **mixed** is measured against the mean of what its formats cost alone, weighted by how many records of each arrived.
- **json TLS, observed** has twenty alert rules (benchmarks/rules.py), five dashboards open and /metrics scraped each
  second; it takes many short turns with a daemon beside it that has none of that, and the goal is of the ratio, the
  median of all turns.
- **json UDP** offers 500,000 records/s in datagrams of 1,360 bytes (8 records). **json UDP overload** does not
  pace: what the kernel drops is lost and must be counted.
- **json TLS, slow writer** runs at zstd level 12, finds out what the writer can then take, and offers twice as
  much.
- **Where the CPU goes** puts every format's path into the same stages, from two samplers under a second, shorter run of
  each load. `perf` samples what the CPUs do and sizes the kernel, TLS, the event loop, the daemon's Python as one, and
  the writer's stages, as parts of the CPU per record of the loop's and the writer's threads; py-spy samples which
  function holds the GIL, and divides that Python part. *The heaviest functions* are those of formats/, with all that
  they call in libraries.
- **json more closely**: *timed alone* is each stage by itself in one process over the same blocks, the least
  it can cost; *in the daemon* is its share of what `perf` sampled, told by the C functions on each stack. What the
  two differ by is cold caches, the GIL and neighbours on the core; of the event loop only the queue and the counters
  can be timed alone.
- **Peers** get the same records from the same loadgen; their CPU is over the records sent, *x ingestd* is over that of
  ingestd for the same format over TLS, with zstd. What they do and do not do, and what other settings cost, is said at
  the heads of `benchmarks/rsyslog.py` and `benchmarks/syslog_ng.py`: doubts went in their favour, and of JSON in
  rsyslog a common configuration costs about twice as much.
"""


def render(outcome: Outcome) -> str:
    """The text of RESULTS.md."""
    parts = [
        _HEAD + "\n\n".join(machine_lines(outcome)),
        f"![CPU per record by stage, peers beside]({CHART.name})",
    ]
    for table in tables(outcome):
        parts.append(f"## {table.title}\n\n{markdown(table)}")
        if table.title.startswith("json more") and outcome.profile is not None:
            parts.append(_profile_note(outcome))
    return "\n\n".join([*parts, _METHOD])


def _profile_note(outcome: Outcome) -> str:
    profile = outcome.profile
    assert profile is not None
    if not profile.samples:
        return f"Profile: {profile.method}."
    return (
        f"Profile: {profile.method}, {profile.samples:,} samples; {profile.page_fault_share:.0%} of them were page "
        "faults, in whichever stage touched new memory."
    )


def write(outcome: Outcome) -> None:
    """Write both files."""
    RESULTS.write_text(render(outcome))
    CHART.write_text(chart.draw(outcome))
