"""What a check answers, and the machine and the daemon that it looks at."""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

Verdict = Literal["ok", "warn", "fail"]

_CAP_NET_ADMIN: Final = 12  # linux/capability.h


@dataclass(frozen=True, slots=True)
class Finding:
    """One line for people."""

    check: str
    """The matter, in a word or two."""
    verdict: Verdict
    """`fail`: the daemon cannot start or loses records; `warn`: it will, some day or under load."""
    says: str
    """What was found, and what it means."""
    do: str = ""
    """What to run or change; empty where nothing is to be done."""


def ok(check: str, says: str) -> Finding:
    return Finding(check, "ok", says)


def warn(check: str, says: str, do: str) -> Finding:
    return Finding(check, "warn", says, do)


def fail(check: str, says: str, do: str) -> Finding:
    return Finding(check, "fail", says, do)


def human(nbytes: float) -> str:
    """A size with three digits, in powers of 1000: 79 GB, 4.19 MB."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if nbytes < 999.5 or unit == "TB":
            break
        nbytes /= 1000
    return f"{nbytes:.3g} {unit}"


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the kernel tells about itself, and what else of the machine checks ask for."""

    proc: Path = Path("/proc")
    hostname: str = field(default_factory=socket.gethostname)

    def sysctl(self, name: str) -> int | None:
        """The first number of a kernel setting such as `net.core.somaxconn`; None where it cannot be read."""
        try:
            return int((self.proc / "sys" / name.replace(".", "/")).read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None


@dataclass(frozen=True, slots=True)
class Running:
    """The daemon that runs on this configuration's state folder."""

    pid: int
    uid: int
    open_files: int
    """Its limit of them."""
    net_admin: bool
    """Whether it may override net.core.rmem_max."""
    listen: frozenset[str]
    """Where it listens: `127.0.0.1:3001`."""


def find_running(state_dir: Path, machine: Machine) -> Running | None:
    """The daemon that says in `state_dir/ingestd.json` that it runs, if it does and may be looked at."""
    try:
        state = json.loads((state_dir / "ingestd.json").read_bytes())
        folder = machine.proc / str(int(state["pid"]))
        if b"ingestd" not in (folder / "cmdline").read_bytes():
            return None  # the number is another's by now
        status = dict(
            line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line
        )
        limits = (folder / "limits").read_text()
        return Running(
            pid=int(state["pid"]),
            uid=int(status["Uid"].split()[1]),
            open_files=_hard_limit(limits, "Max open files"),
            net_admin=bool(int(status["CapEff"], 16) >> _CAP_NET_ADMIN & 1),
            listen=frozenset(str(state[kind]) for kind in ("tcp", "udp", "http")),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _hard_limit(limits: str, name: str) -> int:
    """Of /proc/<pid>/limits (proc(5)): name, soft limit, hard limit, unit. Raises `ValueError`."""
    line = next((line for line in limits.splitlines() if line.startswith(name)), "")
    fields = line.removeprefix(name).split()
    if len(fields) < 2:
        raise ValueError(f"no {name} in limits")
    return sys.maxsize if fields[1] == "unlimited" else int(fields[1])


@dataclass(frozen=True, slots=True)
class Account:
    """The user that the daemon runs as, and whether files let it."""

    name: str
    uid: int
    groups: frozenset[int]

    def may(self, path: Path, bits: int) -> bool:
        """Whether mode bits and owners grant `bits` (4 read, 2 write, 1 search) of `path`, and the way to it."""
        folders = path.absolute().parents
        return all(self.granted(folder.stat(), 1) for folder in folders) and self.granted(path.stat(), bits)

    def granted(self, status: os.stat_result, bits: int) -> bool:
        """Whether they grant that of what has this status."""
        if self.uid == 0:
            return True
        of_group = 3 if status.st_gid in self.groups else 0
        shift = 6 if status.st_uid == self.uid else of_group
        return status.st_mode >> shift & bits == bits
