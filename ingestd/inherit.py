"""What goes on when the supervisor replaces its own program: told to the new one, which has the same pid.

The kernel keeps the process's children, its descriptors and its blocked signals over execve(2), and nothing else. So
what the new program must know is written as JSON into a memfd whose number is in the environment: which descriptor is
which, which child is which, and how the counters lie in their memory. Both programs may be of different versions: a
field that only one of them knows is left out, and has its default.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, MutableMapping
from typing import Any, Final

import msgspec

VARIABLE: Final = "INGESTD_INHERITANCE"


class Life(msgspec.Struct):
    """A child that goes on. A sidecar has no slot."""

    name: str
    pid: int
    started_s: float
    short_lives: int = 0
    slot: int = -1
    position: int = -1


class Will(msgspec.Struct):
    """All that one program leaves to the next; descriptors by number."""

    pid: int
    instance: str
    started_ns: int
    data_dir: tuple[str, int, int]
    """Path, device, inode."""
    strays: dict[str, int]
    config: dict[str, Any]
    """That of the generation in force, as `msgspec.to_builtins` made it."""
    slots: list[int]
    """Those of the generation in force, by position; its sockets likewise."""
    board_slots: int
    slot_width: int
    layout: dict[str, int]
    sequences_layout: int
    memory: dict[str, int]
    lock: int
    http: int
    tcp: list[list[int]]
    udp: list[list[int]]
    inboxes: list[int]
    outboxes: list[int]
    kernel_drops: dict[int, int]
    """What each UDP socket's counter said when it was last looked at."""
    serving: list[Life]
    leaving: list[Life]
    sidecars: list[Life]
    observations: list[int] = []
    """The ends of `observe.channel.Pair`."""
    passed: list[str] = []
    """Which sockets the service manager holds: see activation.KINDS."""

    def descriptors(self) -> Iterable[int]:
        """All that must stay open."""
        return (
            *(self.lock, self.http, *self.memory.values()),
            *(fd for sockets in (*self.tcp, *self.udp) for fd in sockets),
            *(*self.inboxes, *self.outboxes, *self.observations),
        )


def write(will: Will) -> int:
    """Put it into memory; the descriptor of that, which goes on over execve(2) like those that it names."""
    fd = os.memfd_create("ingestd-inheritance")
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(msgspec.json.encode(will))
    os.set_inheritable(fd, True)
    return fd


def read(fd: int) -> Will:
    """What was written there. Raises `msgspec.MsgspecError` where it is not understood."""
    return msgspec.json.decode(os.pread(fd, os.fstat(fd).st_size, 0), type=Will)


def keep(descriptors: Iterable[int], *, kept: bool) -> None:
    """Whether these are to go on over execve(2)."""
    for fd in descriptors:
        os.set_inheritable(fd, kept)


def offered(environ: MutableMapping[str, str] = os.environ) -> Will | None:
    """What a daemon would leave to who asks for it, in a rehearsal. Raises `msgspec.MsgspecError`."""
    text = environ.pop(VARIABLE, "")
    if not text:
        return None
    fd = int(text)
    will = read(fd)
    os.close(fd)
    return will


def take(environ: MutableMapping[str, str] = os.environ) -> Will | None:
    """What the program before this one left to this process; None where it is the first."""
    will = offered(environ)
    if will is None or will.pid != os.getpid():
        return None  # a stranger's, come down in the environment
    keep(will.descriptors(), kept=False)
    return will
