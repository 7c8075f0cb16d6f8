"""Retention: delete the oldest closed segments until the limits hold. Off by default; never an `.open` file."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import NamedTuple

from ingestd.store.segment import SUFFIX

log = logging.getLogger("ingestd.store")


class Limits(NamedTuple):
    """What may be kept; 0 switches a limit off."""

    max_total_bytes: int
    max_age_s: float
    min_free_bytes: int

    @property
    def on(self) -> bool:
        return bool(self.max_total_bytes or self.max_age_s or self.min_free_bytes)


class _Closed(NamedTuple):
    modified_s: float
    size_bytes: int
    path: Path


def sweep(folder: Path, limits: Limits, now_s: float | None = None) -> int:
    """Delete what is over the limits, oldest first; returns how many segments went. Raises `OSError`."""
    if not limits.on:
        return 0
    now_s = time.time() if now_s is None else now_s
    segments = sorted(_closed(folder))
    total = sum(segment.size_bytes for segment in segments)
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    deleted = 0
    for segment in segments:
        too_old = limits.max_age_s and now_s - segment.modified_s > limits.max_age_s
        too_much = limits.max_total_bytes and total > limits.max_total_bytes
        too_full = limits.min_free_bytes and free < limits.min_free_bytes
        if not (too_old or too_much or too_full):
            break
        segment.path.unlink(missing_ok=True)
        total -= segment.size_bytes
        free += segment.size_bytes
        deleted += 1
        log.info("retention deleted %s", segment.path)
    return deleted


def _closed(folder: Path) -> list[_Closed]:
    closed = []
    for path in folder.glob(f"log_*{SUFFIX}"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # somebody moved it away meanwhile
        closed.append(_Closed(status.st_mtime, status.st_size, path))
    return closed
