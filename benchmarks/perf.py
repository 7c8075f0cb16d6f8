"""Where a running worker's CPU goes, by `perf record` with call graphs: every sample belongs to one stage.

The stages are told by the C functions and libraries on a sample's stack, the most telling first, so that `memmove` or
a page fault counts for the stage that asked for it. The interpreter's own work on the loop's thread is the
loop's: with the kernels of formats/kernel it runs per block. Needs perf (Debian: linux-perf) and the right to use it
(root, or kernel.perf_event_paranoid <= 1).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.errors import UnavailableError

#: Odd, so that it does not beat in time with timers. 16 KiB of stack a sample hold the deepest of our stacks.
_RATE_HZ: Final = 499
_STACK_BYTES: Final = 16384

RECEIVE = "receive (kernel)"
TLS = "TLS"
FRAMING = "framing"
ENCODE = "check, count, enrich"
LOOP = "event loop, queue, accounting"
COMPRESS = "compress"
WRITE = "write and sync"
WRITER = "writer, other"

#: In the order of a record's way; the last three are the writer's thread.
STAGES: Final = (RECEIVE, TLS, FRAMING, ENCODE, LOOP, COMPRESS, WRITE, WRITER)
WRITER_STAGES: Final = (COMPRESS, WRITE, WRITER)

_Rules = tuple[tuple[re.Pattern[str], str], ...]

# A rule fits a stack if its pattern occurs in a frame, written `symbol (library)`; the first that fits names the stage.
_LOOP_RULES: Final[_Rules] = (
    (re.compile(r"formats/kernel/|pattern_subx|_sre_|msgspec/_core|_multiarray_umath|isascii"), ENCODE),
    (re.compile(r"libssl|libcrypto|_ssl\.cpython"), TLS),
    (re.compile(r"tcp_recvmsg|udp_recvmsg|sock_recvmsg|__sys_recvfrom|sock_read_iter|ksys_read"), RECEIVE),
    (re.compile(r"stringlib_bytes_join|bytes_rfind|memrchr|bytes_subscript"), FRAMING),
)
_WRITER_RULES: Final[_Rules] = (
    (re.compile(r"zstandard/|libzstd"), COMPRESS),
    (re.compile(r"_write \(|ksys_write|f(data)?sync"), WRITE),
)


class Stack(NamedTuple):
    """One sample: the thread it was taken of, and what that executed, leaf first, each frame `symbol (library)`."""

    tid: int
    frames: list[str]


class Sampled(NamedTuple):
    """Samples by stage, of all workers, and how many of all were page faults."""

    stages: Counter[str]
    page_faults: int

    @property
    def samples(self) -> int:
        return self.stages.total()


def sample(pids: list[int], seconds: float, folder: Path) -> list[Stack]:
    """Sample the workers `pids` for so long. UnavailableError: there is no perf here, or it may not be used."""
    perf = shutil.which("perf")
    if perf is None:
        raise UnavailableError("no perf; install the Debian package linux-perf")
    data = folder / "perf.data"
    record = [perf, "record", "--quiet", "--freq", str(_RATE_HZ), "--call-graph", f"dwarf,{_STACK_BYTES}"]
    record += ["--pid", ",".join(map(str, pids)), "--output", str(data), "--", "sleep", str(seconds)]
    recorded = subprocess.run(record, capture_output=True, text=True, check=False)
    if recorded.returncode != 0:
        raise UnavailableError(f"perf record failed: {' '.join(recorded.stderr.split())[:300]}")
    script = [perf, "script", "--input", str(data), "--no-inline", "--fields", "tid,ip,sym,dso"]
    text = subprocess.run(script, capture_output=True, text=True, check=True, errors="replace").stdout
    data.unlink()
    found = list(stacks(text.splitlines()))
    if not found:
        raise UnavailableError("perf took no samples of the workers")
    return found


def stacks(lines: Iterable[str]) -> Iterator[Stack]:
    """The samples of `perf script`."""
    tid, frames = 0, list[str]()
    for line in lines:
        if not line.strip():
            continue
        if line[0].isspace() and "(" in line:
            frames.append(line.strip().partition(" ")[2])
            continue
        if frames:
            yield Stack(tid, frames)
        tid, frames = int(line.split()[-1]), []
    if frames:
        yield Stack(tid, frames)


def classify(samples: Iterable[Stack], loop_tids: set[int]) -> Sampled:
    """Give each sample its stage; threads other than `loop_tids` (a worker's main thread) are writers."""
    found: Counter[str] = Counter()
    page_faults = 0
    for tid, frames in samples:
        found[_stage(frames, _LOOP_RULES, LOOP) if tid in loop_tids else writer_stage(frames)] += 1
        page_faults += any("exc_page_fault" in frame for frame in frames)
    return Sampled(found, page_faults)


def writer_stage(frames: list[str]) -> str:
    """One of `WRITER_STAGES` for a sample of a writer's thread."""
    return _stage(frames, _WRITER_RULES, WRITER)


def _stage(frames: list[str], rules: _Rules, rest: str) -> str:
    stack = "\n".join(frames)
    return next((stage for pattern, stage in rules if pattern.search(stack)), rest)
