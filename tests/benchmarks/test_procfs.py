from __future__ import annotations

import os

from benchmarks import procfs


def test_what_this_process_used_grows() -> None:
    before, run_s = procfs.cpu(os.getpid()), procfs.run_s(os.getpid())
    while procfs.cpu(os.getpid()).since(before).total_s == 0.0:
        sum(range(10_000))
    assert procfs.run_s(os.getpid()) > run_s
    assert procfs.main_thread_cpu(os.getpid()).total_s > 0


def test_peak_memory_is_at_least_what_is_held() -> None:
    held = bytearray(32 << 20)
    held[:: os.sysconf("SC_PAGE_SIZE")] = b"1" * len(held[:: os.sysconf("SC_PAGE_SIZE")])
    assert procfs.peak_rss_bytes(os.getpid()) > len(held)
