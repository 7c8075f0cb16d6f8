"""What the kernel says a process used: CPU by thread, peak memory. Linux, proc(5).

`utime` and `stime` of a whole process count its ended threads too; they are exact but for rounding to a clock tick
(10 ms), so a load must last seconds. For what uses next to nothing there is `run_s`, in nanoseconds.
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import Final, NamedTuple

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class Cpu(NamedTuple):
    """CPU seconds in user and in kernel mode."""

    user_s: float
    system_s: float

    @property
    def total_s(self) -> float:
        return self.user_s + self.system_s

    def since(self, before: Cpu) -> Cpu:
        return Cpu(self.user_s - before.user_s, self.system_s - before.system_s)

    def plus(self, other: Cpu) -> Cpu:
        return Cpu(self.user_s + other.user_s, self.system_s + other.system_s)


NOTHING: Final = Cpu(0.0, 0.0)


def cpu(pid: int) -> Cpu:
    """All threads of a process since it began, ended ones included. `FileNotFoundError`: no such process."""
    return _cpu(Path(f"/proc/{pid}/stat"))


def main_thread_cpu(pid: int) -> Cpu:
    """The thread a worker's event loop runs on."""
    return _cpu(Path(f"/proc/{pid}/task/{pid}/stat"))


def _cpu(stat: Path) -> Cpu:
    # The second field is the name in brackets and may hold anything: count from behind its end.
    fields = stat.read_text().rpartition(")")[2].split()
    return Cpu(int(fields[11]) / _TICKS_PER_S, int(fields[12]) / _TICKS_PER_S)


def run_s(pid: int) -> float:
    """Seconds that the live threads of a process were on a CPU, to the nanosecond (schedstat, proc(5))."""
    stats = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(stat.read_text().split()[0]) for stat in stats) / 1e9


def busy_s() -> float:
    """CPU seconds that the whole machine was not idle since it started, time stolen by a hypervisor included."""
    user, nice, system, _, _, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_S


class Others:
    """What the rest of the machine uses from now on: neither this process, nor the children it waited for, nor `mine`.

    A child counts with its start-up and its own children, which is more than loadgen says of its senders.
    """

    def __init__(self) -> None:
        self._begun_s, self._busy_s, self._own_s = time.monotonic(), busy_s(), _own_s()

    def cores(self, mine: Cpu) -> float:
        """As a number of cores; `mine` is what the processes that are measured used in the meantime."""
        passed_s = time.monotonic() - self._begun_s
        own_s = _own_s() - self._own_s
        return max(0.0, busy_s() - self._busy_s - own_s - mine.total_s) / passed_s


def _own_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def peak_rss_bytes(pid: int) -> int:
    """The largest resident set the process ever had (VmHWM); pages shared since a fork count too."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024
    raise ValueError(f"/proc/{pid}/status has no VmHWM: is it a kernel thread?")
