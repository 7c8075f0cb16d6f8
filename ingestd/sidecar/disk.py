"""The disk of the data folder: how much is free, and how long that lasts."""

from __future__ import annotations

import math
import os
from statistics import median
from typing import Final, NamedTuple

import msgspec

from ingestd.rings import RESOLUTIONS, Rings

#: What happened longer ago says little about what comes.
_LOOK_BACK_S: Final = 600
#: What is written comes in bursts; over a minute they are even.
_LAG_S: Final = 60
#: Beyond ten years a forecast is no news.
_HORIZON_S: Final = 10 * 365 * 86_400.0

_MIDDLE: Final = RESOLUTIONS[1]


class Disk(msgspec.Struct, frozen=True):
    """The file system that holds the data folder; null is what cannot be told."""

    free_bytes: int | None
    total_bytes: int | None
    full_in_seconds: float | None
    """If it goes on to fill as it did; null while it does not."""
    observed_seconds: float
    """How long it was looked at for that, at most ten minutes."""

    @property
    def used(self) -> float | None:
        """From 0 to 1."""
        if self.free_bytes is None or not self.total_bytes:
            return None
        return 1 - self.free_bytes / self.total_bytes


class Space(NamedTuple):
    """Of a file system, in bytes, for an unprivileged user; None when it cannot be told."""

    free: int | None
    total: int | None
    """Free and used together: what is kept for root is in neither."""


def space(folder: str) -> Space:
    """The space of the file system that holds `folder`."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return Space(None, None)
    free = status.f_bavail * status.f_frsize
    return Space(free, free + (status.f_blocks - status.f_bfree) * status.f_frsize)


def look(folder: str, rings: Rings, now_s: int) -> Disk:
    """The disk of `folder` now, judged by what `rings` say of the minutes before the UNIX second `now_s`."""
    free, total = space(folder)
    return Disk(free, total, None, 0.0) if free is None else Disk(free, total, *_forecast(rings, now_s, free))


def _forecast(rings: Rings, now_s: int, free: int) -> tuple[float | None, float]:
    """(seconds until it is full, how many seconds were looked at).

    Goes by the median of how much it filled in a minute, so a large file that comes or goes once is no trend.
    """
    past = {
        end_s: point.free_bytes
        for end_s, point in rings.last(_MIDDLE, now_s, _LOOK_BACK_S)
        if not math.isnan(point.free_bytes)
    }
    observed_s = float(now_s - min(past, default=now_s))
    lag_s = _LAG_S if observed_s >= 2 * _LAG_S else _MIDDLE.step_s
    filled = [then - past[end_s + lag_s] for end_s, then in past.items() if end_s + lag_s in past]
    filled_per_s = median(filled) / lag_s if filled else 0.0
    if filled_per_s <= 0 or free / filled_per_s > _HORIZON_S:
        return None, observed_s
    return free / filled_per_s, observed_s
