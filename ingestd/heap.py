"""The heap of the C library, in a process that makes and frees blocks of some hundred kilobytes all the time.

By itself glibc gives the top of its heap back to the kernel whenever 128 KiB are free there (a little more as it
learns), and the next block faults its pages in again, cleared: nine faults for a thousand records, 4 % of the CPU.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

#: mallopt(3); of malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

#: As much as a busy worker frees and takes again. What is free below the top of the heap is kept anyway.
_KEPT_BYTES: Final = 64 << 20

#: The most that glibc takes. Smaller blocks are of the heap, and not mapped one by one.
_MAPPED_BYTES: Final = 32 << 20

#: Who sets these knows better.
_SETTINGS: Final = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


def keep_freed_memory() -> bool:
    """Keep memory that is freed for what comes. False: the environment says otherwise, or the C library has no such
    settings."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or any(name in os.environ for name in _SETTINGS):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES) and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES))
