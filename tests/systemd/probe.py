"""Run as a service in the daemon's place: tries what a program that was taken over would, and says what worked.

The standard library only, one line of JSON on stdout.
"""

import ctypes
import json
import mmap
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNS = 0x00020000
_ADDR_NO_RANDOMIZE = 0x0040000


def _call(name: str, *arguments: object) -> None:
    if getattr(LIBC, name)(*arguments) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _touch(folder: str) -> Callable[[], object]:
    def attempt() -> None:
        path = Path(folder) / "probe"
        path.touch()
        path.unlink()

    return attempt


def _executable_memory() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _setuid_file() -> None:
    path = Path("/var/lib/ingestd/suid")
    path.touch()
    try:
        path.chmod(0o4755)
        if not path.stat().st_mode & 0o4000:
            raise OSError("the bit is not set")
    finally:
        path.unlink()


def _listen() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        pass


def _packets() -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()


def _netlink() -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()


def _other_processes() -> None:
    os.kill(1, 0)


def _see_processes() -> None:
    Path("/proc/1/status").read_text()


def _realtime() -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


ATTEMPTS: dict[str, Callable[[], object]] = {
    "write its logs": _touch("/var/log/ingestd"),
    "write its state": _touch("/var/lib/ingestd"),
    "make shared memory": lambda: os.close(os.memfd_create("probe")),
    "listen on TCP": _listen,
    "run a program": lambda: subprocess.run(["/bin/true"], check=True),
    "write its configuration": _touch("/etc/ingestd"),
    "write its program": _touch("/usr/local/lib"),
    "write below /etc": _touch("/etc"),
    "write below /var": _touch("/var/cache"),
    "see /root": lambda: list(Path("/root").iterdir()),
    "see others' temporary files": lambda: Path("/tmp/of-another").stat(),
    "see other processes": _see_processes,
    "signal other processes": _other_processes,
    "see the kernel's settings": lambda: Path("/proc/sys/kernel/ostype").read_text(),
    "change the kernel's settings": lambda: Path("/proc/sys/kernel/domainname").write_text("probe"),
    "change cgroups": lambda: Path("/sys/fs/cgroup/probe").mkdir(),
    "map memory to write and execute": _executable_memory,
    "make a set-user-ID file": _setuid_file,
    "make a user namespace": lambda: _call("unshare", _CLONE_NEWUSER),
    "make a mount namespace": lambda: _call("unshare", _CLONE_NEWNS),
    "mount": lambda: _call("mount", b"none", b"/mnt", b"tmpfs", 0, None),
    "change the root": lambda: os.chroot("/"),
    "change the host name": lambda: _call("sethostname", b"probe", 5),
    "change the personality": lambda: _call("personality", _ADDR_NO_RANDOMIZE),
    "use packet sockets": _packets,
    "use netlink sockets": _netlink,
    "schedule in real time": _realtime,
    "be another user": lambda: os.setuid(1),
    "give files away": lambda: os.chown("/var/lib/ingestd", 1, 1),
    "raise its priority": lambda: os.nice(-1),
    "trace a process": lambda: _call("ptrace", 0, 0, 0, 0),
    "see devices": lambda: Path("/dev/console").stat(),
}


def _may(attempt: Callable[[], object]) -> bool:
    """Whether it works, in a child: some of it cannot be taken back, and some kills."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(5)
        try:
            attempt()
        except (OSError, subprocess.SubprocessError):
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return status == 0


if __name__ == "__main__":
    print(json.dumps({name: _may(attempt) for name, attempt in ATTEMPTS.items()}), flush=True)
