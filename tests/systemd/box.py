"""A real systemd for tests: PID 1 of private namespaces, over a root of its own in memory (boot.sh says how).

The machine's own systemd, root, /tmp and /run are never touched; the network is private, with a loopback alone, so the
daemon has its own ports there. It needs root, a cgroup tree to write to and overlay mounts, which not every container
grants: `Box.boot` says what is missing, and the test that asks for a box is skipped with that.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self, TypeVar

import psutil

from tests.daemon import PATIENCE_S

DEBIAN: Final = Path(sys.prefix) / "debian"

_CGROUP: Final = "ingestd-box-"  # and the pid of the test run

_BOOT: Final = Path(__file__).with_name("boot.sh")
_BOOT_S: Final = 30.0
_CLONE_NEWNET: Final = 0x40000000  # setns(2)
_ENVIRONMENT: Final = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
}

T = TypeVar("T")


class NoBoxError(Exception):
    """This machine, or this user, cannot boot one; says why."""


class Box:
    """One booted systemd. As a context manager it is gone at the end, with every process in it."""

    def __init__(self, folder: Path, shown: dict[Path, str]) -> None:
        """`folder` is for the log of the boot; the folders `shown` are there read-only, at these paths."""
        self._log = folder / "boot.log"
        self._shown = [f"{there}:{here}" for there, here in shown.items()]
        self._cgroup = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._leader: psutil.Process | None = None

    def boot(self) -> Self:
        """Boot, and wait until all that it starts by itself is started. Raises `NoBoxError`."""
        if os.geteuid():
            raise NoBoxError("a systemd of its own can be booted by root only")
        if not (DEBIAN / "usr/bin/systemd-nspawn").exists():
            raise NoBoxError(
                f"systemd-nspawn is not in {DEBIAN}: `make test-commands` puts it there if there is apt-get"
            )
        self._cgroup = _make_cgroup(f"{_CGROUP}{os.getpid()}-{id(self):x}")
        try:
            self._start()
            self._await_boot()
        except BaseException:
            self.shut()
            raise
        return self

    def __enter__(self) -> Self:
        return self if self._leader else self.boot()

    def __exit__(self, *_: object) -> None:
        self.shut()

    def _start(self) -> None:
        namespaces = ["--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"]
        namespaces += ["--cgroup", "--ipc", "--uts"]
        own = str(Path("/proc/self/ns/mnt").readlink())
        # The shell joins the cgroup before it becomes `unshare`; the box ends with this process, however that ends.
        join = 'echo $$ > "$0/cgroup.procs" && exec setpriv --pdeathsig KILL unshare "$@"'
        boot = ["bash", _BOOT, own, DEBIAN, *self._shown]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", join, self._cgroup, *namespaces, "--", *boot],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _await_boot(self) -> None:
        assert self._process is not None
        deadline_s = time.monotonic() + _BOOT_S
        while not self._booted():
            if self._process.poll() is not None:
                raise NoBoxError(f"the box did not boot: {self._log.read_text(errors='replace').strip()}")
            if time.monotonic() > deadline_s:
                raise NoBoxError(
                    f"the box did not boot in {_BOOT_S:g} s: {self._log.read_text(errors='replace')}"
                )
            time.sleep(0.02)
        said = self.run("systemctl", "is-system-running", "--wait", check=False)
        if said.strip() not in ("running", "degraded"):
            raise NoBoxError(f"the box is {said.strip()}")

    def _booted(self) -> bool:
        """Whether the manager is there and answers."""
        if self._leader is None:
            assert self._process is not None
            below = psutil.Process(self._process.pid).children(recursive=True)
            self._leader = next((each for each in below if _is_leader(each.pid)), None)
        return self._leader is not None and self.path("/run/systemd/private").exists()

    @property
    def leader(self) -> int:
        """The pid, on this machine, of the manager in the box."""
        assert self._leader is not None, "the box is not booted"
        return self._leader.pid

    def processes(self) -> list[psutil.Process]:
        """All processes of it."""
        leader = psutil.Process(self.leader)
        return [leader, *leader.children(recursive=True)]

    def shut(self) -> None:
        """End every process of it at once."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()  # the pid namespace dies with its PID 1, which dies with this
            self._process.wait(PATIENCE_S)
        deadline_s = time.monotonic() + PATIENCE_S
        while not _remove_cgroup(self._cgroup):
            assert time.monotonic() < deadline_s, f"processes are left in {self._cgroup}"
            time.sleep(0.02)

    def run(self, *command: str | Path, check: bool = True, stdin: bytes = b"", **environ: str) -> str:
        """Run a command in the box as its root; what it said, both ways. With `check` it must succeed."""
        done = subprocess.run(
            self._entered(*command),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_ENVIRONMENT | environ,
            timeout=PATIENCE_S,
            start_new_session=True,
            check=False,
        )
        said = done.stdout.decode(errors="replace")
        assert not check or done.returncode == 0, f"{' '.join(map(str, command))} failed:\n{said}"
        return said

    def _entered(self, *command: str | Path) -> list[str | Path]:
        return [
            *("nsenter", f"--target={self.leader}", "--all", "--root", "--wd", "--"),
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *command,
        ]

    def put(self, path: str, content: str | bytes, mode: str = "0644") -> None:
        """Write a file of the box, from inside: a path through /proc would follow its symbolic links out here."""
        data = content.encode() if isinstance(content, str) else content
        self.run("install", "-D", "-m", mode, "/dev/stdin", path, stdin=data)

    def path(self, path: str) -> Path:
        """A path of the box as one to read on this machine."""
        return Path(f"/proc/{self.leader}/root{path}")

    def connect(self, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """A connection to a port of the box's loopback."""

        def connected() -> socket.socket:
            sock = socket.socket(socket.AF_INET, kind)
            sock.settimeout(PATIENCE_S)
            sock.connect(("127.0.0.1", port))
            return sock

        return self.inside(connected)

    def inside(self, call: Callable[[], T]) -> T:
        """What `call` returns, in a thread that is in the box's network: a socket made there stays there."""
        returned: list[T] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                with Path(f"/proc/{self.leader}/ns/net").open() as namespace:
                    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                returned.append(call())
            except BaseException as failure:  # noqa: BLE001 - raised again in the thread that asked
                failed.append(failure)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return returned[0]


def _is_leader(pid: int) -> bool:
    """Whether that is a systemd that is PID 1 where it lives."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return fields["Name"] == "systemd" and fields["NSpid"].split()[-1] == "1"


def _make_cgroup(name: str) -> Path:
    """A group of the unified tree for the box. Raises `NoBoxError`."""
    trees = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
    tree = next((tree for tree in trees if (tree / "cgroup.procs").exists()), None)
    if tree is None:
        raise NoBoxError("there is no unified cgroup tree here")
    for left in tree.glob(f"{_CGROUP}*"):
        if not psutil.pid_exists(int(left.name.removeprefix(_CGROUP).split("-")[0])):
            _remove_cgroup(left)  # of a run that was killed; its processes were with it
    try:
        (tree / name).mkdir()
    except OSError as error:
        raise NoBoxError(f"cannot make a cgroup in {tree}: {error.strerror}") from error
    return tree / name


def _remove_cgroup(group: Path) -> bool:
    """Remove it with all below; False while a process is left in it."""
    try:
        for folder in sorted((each for each in group.rglob("*") if each.is_dir()), reverse=True):
            folder.rmdir()
        group.rmdir()
    except FileNotFoundError:
        return not group.exists()
    except OSError:
        return False
    return True
