"""The clock: `received_at`, the order of segments and the lag of senders are told by it."""

from __future__ import annotations

import ctypes
from typing import Final, NamedTuple

from ingestd.doctor.finding import Finding, ok, warn

_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronized
_STA_UNSYNC: Final = 0x0040

#: A synchronized clock that may be off by more orders records of two machines wrongly.
_MUCH_S: Final = 1.0


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), as far as it is read; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("_rest", ctypes.c_byte * 256),
    )


class Discipline(NamedTuple):
    """What the kernel knows of the clock."""

    synchronized: bool
    most_off_s: float


def read() -> Discipline | None:
    """Ask the kernel; None where it does not answer."""
    timex = _Timex()
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    if state < 0:
        return None
    return Discipline(state != _TIME_ERROR and not timex.status & _STA_UNSYNC, timex.maxerror / 1e6)


def examine(discipline: Discipline | None) -> Finding:
    """Whether the clock is kept right by somebody."""
    check = "clock"
    if discipline is None:
        return warn(check, "the kernel does not say here whether it is synchronized", "timedatectl")
    if not discipline.synchronized:
        says = "nobody keeps it right: times of receipt drift, and records of the future are rejected"
        return warn(check, says, "timedatectl set-ntp true, or install chrony")
    says = f"synchronized, off by {discipline.most_off_s * 1e3:.0f} ms at most"
    if discipline.most_off_s > _MUCH_S:
        return warn(check, says, "look at: timedatectl timesync-status, or chronyc tracking")
    return ok(check, says)
