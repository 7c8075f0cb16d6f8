"""Where the CPU of each format goes: stages that mean the same for all of them, and the functions that weigh most.

Two samplers, for neither sees everything. perf sees what each CPU does, and so gives the kernel, TLS, the event loop
and the writer their size, but Python code is one block to it. py-spy sees the Python functions of the thread that holds
the GIL, and so divides that block; it stops a worker for about a millisecond a sample, hence one after the other. Both
need the right to look into another process (root, or kernel.perf_event_paranoid <= 1 and ptrace_scope 0).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import perf
from benchmarks.daemon import wait_for
from benchmarks.errors import UnavailableError
from benchmarks.load import Offer, Sending, Target
from benchmarks.outcome import Anatomy, Load
from benchmarks.perf import COMPRESS, RECEIVE, TLS, WRITE, WRITER, Stack
from benchmarks.scenarios import Plan, fresh

LOOP: Final = "event loop"
FRAMING: Final = "framing"
ENCODE: Final = "decode, check, render"
METADATA: Final = "times and counts"
VALIDATION: Final = "rules"
QUEUE: Final = "queue, accounting"

#: In the order of a record's way; the last three are the writer's thread.
STAGES: Final = (RECEIVE, TLS, LOOP, FRAMING, ENCODE, METADATA, VALIDATION, QUEUE, COMPRESS, WRITE, WRITER)

#: What only py-spy can tell apart.
_PYTHON: Final = (FRAMING, ENCODE, METADATA, VALIDATION, QUEUE)

#: Caches are warm so long after the first records came.
_WARM_S: Final = 0.5

#: The samplers take a moment to begin.
_SPARE_S: Final = 1.0

#: Odd, as perf's; a sample costs a worker about a millisecond.
_RATE_HZ: Final = 199

_FUNCTIONS_SHOWN: Final = 4

_TLS_RULE: Final = re.compile(r"libssl|libcrypto|_ssl\.cpython")
_KERNEL_READ: Final = re.compile(r"tcp_recvmsg|sock_recvmsg|__sys_recvfrom|sock_read_iter|ksys_read")
_METADATA_FILES: Final = ("formats/record.py", "formats/timestamps.py", "formats/lines.py")


class Frame(NamedTuple):
    """One Python function on a stack, and its file as py-spy shortens it: `formats/json.py`."""

    function: str
    file: str


class Looked(NamedTuple):
    """What both samplers saw of one load: samples by stage, of the Python ones by stage and by function."""

    native: Counter[str]
    python: Counter[str]
    functions: Counter[str]


def dissect(plan: Plan, load: Load, seconds: float) -> tuple[Anatomy, list[Stack], set[int]]:
    """Sample the workers under the load `load` again, each way for `seconds`.

    Also what perf sampled, and the ids of the loops' threads, for a closer look. UnavailableError: there is a sampler
    missing.
    """
    with fresh(plan) as daemon:
        target = Target("tls", daemon.port("tcp"), plan.certs / "ca.crt")
        offer = Offer(_WARM_S + 2 * seconds + _SPARE_S)
        sending = Sending(target, load.format, offer, plan.folder / "anatomy.json")
        try:
            wait_for(lambda: daemon.stats()["totals"]["received"] or None, "the first records")
            time.sleep(_WARM_S)
            pids = daemon.worker_pids()
            spied = _spy(pids, seconds, plan.folder)  # first: perf takes its time when it is done
            stacks = perf.sample(pids, seconds, plan.folder)
        finally:
            sending.sent()
    return anatomy(load, looked(stacks, set(pids), spied)), stacks, set(pids)


def _spy(pids: list[int], seconds: float, folder: Path) -> list[str]:
    """Lines of `py-spy record --format raw`: a stack, root first, and how often it was seen."""
    here = Path(sys.executable).parent / "py-spy"
    spy = str(here) if here.exists() else shutil.which("py-spy")
    if spy is None:
        raise UnavailableError("no py-spy; install the extra `bench`")
    how = ["--duration", str(max(1, round(seconds))), "--rate", str(_RATE_HZ), "--format", "raw", "--gil"]
    files = [folder / f"spy-{pid}" for pid in pids]
    spies = [
        subprocess.Popen(
            [spy, "record", "--pid", str(pid), "--output", str(file), *how],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for pid, file in zip(pids, files, strict=True)
    ]
    said = [process.communicate()[1] for process in spies]
    if any(process.returncode for process in spies):
        raise UnavailableError(f"py-spy failed: {' '.join(' '.join(said).split())[:300]}")
    return [line for file in files for line in file.read_text().splitlines()]


def looked(stacks: Iterable[Stack], loop_tids: set[int], spied: Iterable[str]) -> Looked:
    """Give each sample its stage."""
    native = Counter(
        _loop_stage(stack.frames) if stack.tid in loop_tids else perf.writer_stage(stack.frames)
        for stack in stacks
    )
    python, functions = Counter[str](), Counter[str]()
    for frames, count in _spied(spied):
        if (stage := _python_stage(frames)) is None:
            continue
        python[stage] += count
        if stage in (FRAMING, ENCODE, METADATA, VALIDATION):
            own = next(frame for frame in reversed(frames) if frame.file.startswith(("formats/", "ingestd/")))
            # What is written within a function, such as a comprehension, counts for that function.
            name = own.function.partition(".<locals>")[0]
            functions[f"{name} ({own.file.removeprefix('formats/')})"] += count
    return Looked(native, python, functions)


def _loop_stage(frames: list[str]) -> str:
    """Of a sample of the loop's thread; ENCODE stands for all of the daemon's Python."""
    stack = "\n".join(frames)
    if _TLS_RULE.search(stack):
        return TLS
    if _KERNEL_READ.search(stack):
        return RECEIVE
    # Below uvloop there is an interpreter, too, the one that called it: what counts is who is nearer to the leaf.
    nearest = next((frame for frame in frames if "_PyEval_" in frame or "uvloop/" in frame), "")
    return ENCODE if "_PyEval_" in nearest else LOOP


def _spied(lines: Iterable[str]) -> Iterator[tuple[list[Frame], int]]:
    """`outer (a.py:1);inner (b.py:2) 17`: a stack, root first, and its count."""
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = []
        for frame in stack.split(";"):
            function, _, place = frame.rpartition(" (")
            frames.append(Frame(function, place.partition(":")[0].rstrip(")")))
        yield frames, int(count)


def _python_stage(frames: list[Frame]) -> str | None:
    """None: not on a block's way."""
    door = next((at for at, frame in enumerate(frames) if frame.function.endswith("Door.feed")), None)
    if door is None:
        return None
    files = {frame.file for frame in frames[door:]}
    if any(file.startswith("ingestd/schema/") for file in files):
        return VALIDATION
    if not any(file.startswith("formats/") for file in files):
        return QUEUE
    if not any(frame.function.endswith("Pipeline.take") for frame in frames[door:]):
        return FRAMING
    return METADATA if files.intersection(_METADATA_FILES) else ENCODE


def anatomy(load: Load, seen: Looked) -> Anatomy:
    """Samples to nanoseconds: of each thread by what it used in the load itself, of Python by what py-spy saw.

    UnavailableError: one of the samplers saw nothing.
    """
    if not seen.native or not seen.python:
        raise UnavailableError("perf or py-spy took no samples of the workers")
    stages = dict.fromkeys(STAGES, 0.0)
    writer = sum(seen.native[stage] for stage in perf.WRITER_STAGES)
    loop = seen.native.total() - writer
    for stage, count in seen.native.items():
        is_writer = stage in perf.WRITER_STAGES
        thread_us = load.writer_us if is_writer else load.loop_us
        stages[stage] = 1000 * thread_us * count / (writer if is_writer else loop)
    python_ns = stages[ENCODE]
    for stage in _PYTHON:
        stages[stage] = python_ns * seen.python[stage] / seen.python.total()
    heaviest = seen.functions.most_common(_FUNCTIONS_SHOWN)
    functions = {name: python_ns * count / seen.python.total() for name, count in heaviest}
    return Anatomy(format=load.format, samples=seen.native.total(), stages=stages, functions=functions)
