"""What the kernel says of a process: CPU time and memory.

One read of /proc/<pid>/stat (proc(5)) per process, about 20 us. A pid is only believed to be a worker when its
parent is the supervisor, so a number given to a stranger after a worker's death is not taken for it.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")

# Fields of /proc/<pid>/stat, counted from the state, which follows the name in brackets: proc(5) numbers them from 3.
_STATE: Final = 3 - 3
_PARENT: Final = 4 - 3
_UTIME: Final = 14 - 3
_STIME: Final = 15 - 3
_RSS: Final = 24 - 3


class Usage(NamedTuple):
    """What a running process has used."""

    cpu_s: float
    """User and system time of all its threads, in steps of a clock tick (10 ms)."""
    resident_bytes: int


def usage(pid: int, parent_pid: int) -> Usage | None:
    """The usage of child `pid` of `parent_pid`; `None` when there is no such child that runs."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # the name may hold spaces and brackets itself
    if fields[_STATE] in (b"Z", b"X") or int(fields[_PARENT]) != parent_pid:
        return None
    return Usage((int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS_PER_S, int(fields[_RSS]) * _PAGE_BYTES)
