from __future__ import annotations

import os
import subprocess
import sys
import time

from benchmarks import procfs


def test_what_this_process_and_the_machine_used_grows() -> None:
    before, run_s, busy_s = procfs.cpu(os.getpid()), procfs.run_s(os.getpid()), procfs.busy_s()
    while procfs.cpu(os.getpid()).since(before).total_s == 0.0 or procfs.busy_s() == busy_s:
        sum(range(10_000))
    assert procfs.run_s(os.getpid()) > run_s
    assert procfs.main_thread_cpu(os.getpid()).total_s > 0


def test_peak_memory_is_at_least_what_is_held() -> None:
    held = bytearray(32 << 20)
    held[:: os.sysconf("SC_PAGE_SIZE")] = b"1" * len(held[:: os.sysconf("SC_PAGE_SIZE")])
    assert procfs.peak_rss_bytes(os.getpid()) > len(held)


def test_a_child_that_was_waited_for_is_none_of_the_others() -> None:
    others, busy_s, begun_s = procfs.Others(), procfs.busy_s(), time.monotonic()
    work = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", work], check=True)
    passed_s = time.monotonic() - begun_s
    # Two ticks of rounding for each of the counters that are compared.
    assert others.cores(procfs.NOTHING) * passed_s <= procfs.busy_s() - busy_s - 0.3 + 0.04
