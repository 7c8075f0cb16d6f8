"""The file systems of `data_dir` and `state_dir`: room, kind, speed, and whether they may be written."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ingestd.config import Config
from ingestd.doctor.finding import Finding, Machine, fail, human, ok, warn

#: Of the room or the inodes of a file system.
_FULL: Final = 0.95
_NEARLY_FULL: Final = 0.80

#: A group commit waits for it; a disk that takes longer makes acknowledgements slow.
_SLOW_SYNC_S: Final = 0.05
_SYNCS: Final = 5

_VOLATILE: Final = frozenset({"tmpfs", "ramfs"})
_REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.sshfs"})


def examine(config: Config, machine: Machine) -> Iterator[Finding]:
    """All of this module."""
    data_dir = _there(Path(config.server.data_dir))
    yield room("disk space", data_dir, config, os.statvfs(data_dir))
    for key, folder in (("data_dir", data_dir), ("state_dir", _there(Path(config.server.state_dir)))):
        yield kind(f"file system of {key}", folder, machine)
    if os.access(data_dir, os.W_OK):
        yield speed("disk sync", data_dir)


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it: it is made at a start."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def room(check: str, folder: Path, config: Config, status: os.statvfs_result) -> Finding:
    """`status` is that of the file system of `folder`."""
    free = status.f_bavail * status.f_frsize
    taken = (status.f_blocks - status.f_bfree) * status.f_frsize
    used = (
        taken / (taken + free) if taken + free else 1.0
    )  # as df(1): what is kept for root counts for nobody
    says = f"{human(free)} free in {folder} ({used:.0%} used)"
    if status.f_files and status.f_favail < (1 - _FULL) * status.f_files:
        return fail(
            check, f"{status.f_favail} of {status.f_files} inodes free in {folder}", "remove small files"
        )
    retention = config.retention
    kept_free = bool(retention.max_total_bytes or retention.max_age or retention.min_free_bytes)
    advice = 'make room, or have old segments deleted: [retention] min_free_bytes = "10GB"'
    if used >= _FULL:
        return fail(check, f"{says}: records will wait in memory and in their senders", advice)
    if used >= _NEARLY_FULL:
        return warn(check, says, "make room; [retention] keeps some free" if kept_free else advice)
    if not kept_free:
        return ok(check, f"{says}; segments are kept for ever, until [retention] says otherwise")
    return ok(check, says)


def kind(check: str, folder: Path, machine: Machine) -> Finding:
    """What kind of file system it is, and how it is mounted."""
    mount = _mount(folder, machine)
    if mount is None:
        return warn(check, f"cannot tell the one of {folder}", f"look at: findmnt -T {folder}")
    name, options = mount
    if "ro" in options:
        return fail(
            check, f"{name}, mounted read-only at {folder}", f"mount -o remount,rw $(stat -c %m {folder})"
        )
    if name in _VOLATILE:
        return warn(check, f"{name}: what is in {folder} is gone after a reboot", "name a folder on a disk")
    if name in _REMOTE:
        says = f"{name} for {folder}: what is synced may still be lost there, and locks may not hold"
        return warn(check, says, "name a folder on a local disk")
    return ok(check, f"{name} for {folder}")


def _mount(folder: Path, machine: Machine) -> tuple[str, list[str]] | None:
    """Type and options of the mount that `folder` is on: the one of its device, among those the longest path.

    /proc/self/mountinfo (proc(5)): id, parent, major:minor, root, path, options, tags…, `-`, type, source, options.
    """
    number = folder.stat().st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    found: tuple[str, list[str]] | None = None
    longest = -1
    try:
        lines = (machine.proc / "self/mountinfo").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split()
        path = fields[4].encode().decode("unicode_escape")  # a space is \040
        inside = folder == Path(path) or Path(path) in folder.parents
        if fields[2] == device and inside and len(path) >= longest:
            found, longest = (after.split()[0], fields[5].split(",")), len(path)
    return found


def speed(check: str, folder: Path, clock: Callable[[], float] = time.perf_counter) -> Finding:
    """How long fdatasync takes, in a file that has no name there. The middle one of a few."""
    try:
        fd = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
    except OSError:
        return ok(check, f"not measured: {folder} takes no files without a name")
    times = []
    try:
        for _ in range(_SYNCS):
            os.write(fd, bytes(65536))
            began_s = clock()
            os.fdatasync(fd)
            times.append(clock() - began_s)
    except OSError as error:
        return fail(check, f"cannot write in {folder}: {error.strerror}", "make room, or look at the disk")
    finally:
        os.close(fd)
    took_s = sorted(times)[_SYNCS // 2]
    says = f"64 KiB are on disk after {took_s * 1e3:.1f} ms"
    if took_s > _SLOW_SYNC_S:
        return warn(
            check, f"{says}: acknowledgements wait for it", "a faster disk, or one that does less else"
        )
    return ok(check, says)
