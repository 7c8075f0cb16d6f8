"""Freed memory that is kept for what comes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_COUNTING = """
import resource, sys
from ingestd.heap import keep_freed_memory
print(sys.argv[1] == "kept" and keep_freed_memory())
blocks = [b"x" * (1 << 20) for _ in range(4)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for number in range(200):
    blocks[number % 4] = b""
    blocks[number % 4] = b"x" * (1 << 20) + b"y" * (number % 7)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _run(how: str, **environment: str) -> tuple[bool, int]:
    command = [sys.executable, "-c", _COUNTING, how]
    made = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=True
    ).stdout.split()
    return made[0] == "True", int(made[1])


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="not glibc")
def test_blocks_are_not_faulted_in_again() -> None:
    left, faults = _run("left", MALLOC_MMAP_THRESHOLD_="131072")
    kept, fewer = _run("kept")
    assert (left, kept) == (False, True)
    assert fewer * 10 < faults


def test_who_sets_it_in_the_environment_knows_better() -> None:
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"):
        assert _run("kept", **{name: "1000000"})[0] is False
