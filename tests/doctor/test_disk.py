"""File systems: nearly full, volatile, remote, read-only, slow."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import msgspec
import pytest

from ingestd.config import Config, Retention
from ingestd.doctor import disk
from tests.doctor.machines import machine


def status(used: float, inodes_free: int = 500) -> os.statvfs_result:
    """A file system of a gigabyte, of which this part is used."""
    blocks = 1_000_000
    free = round(blocks * (1 - used))
    return os.statvfs_result((1000, 1000, blocks, free, free, 1000, inodes_free, inodes_free, 0, 255))


KEEPING = Config()
DELETING = msgspec.structs.replace(KEEPING, retention=Retention(min_free_bytes=10_000_000_000))


@pytest.mark.parametrize(
    ("config", "used", "verdict", "words"),
    [
        (KEEPING, 0.5, "ok", "500 MB free in /data (50% used); segments are kept for ever"),
        (DELETING, 0.5, "ok", "500 MB free in /data (50% used)"),
        (KEEPING, 0.8, "warn", "(80% used)"),
        (DELETING, 0.94, "warn", "(94% used)"),
        (DELETING, 0.95, "fail", "records will wait in memory and in their senders"),
        (KEEPING, 1.0, "fail", "0 B free"),
    ],
)
def test_room(config: Config, used: float, verdict: str, words: str) -> None:
    finding = disk.room("disk space", Path("/data"), config, status(used))
    assert (finding.verdict, words in finding.says) == (verdict, True), finding
    assert bool(finding.do) == (verdict != "ok")


def test_inodes_run_out_too() -> None:
    finding = disk.room("disk space", Path("/data"), KEEPING, status(0.1, inodes_free=10))
    assert (finding.verdict, "10 of 1000 inodes free" in finding.says) == ("fail", True)


@pytest.mark.parametrize(
    ("kind", "options", "verdict"),
    [
        ("ext4", "rw,relatime", "ok"),
        ("xfs", "rw", "ok"),
        ("tmpfs", "rw", "warn"),
        ("nfs4", "rw", "warn"),
        ("ext4", "ro,relatime", "fail"),
    ],
)
def test_the_kind_of_file_system(tmp_path: Path, kind: str, options: str, verdict: str) -> None:
    folder = tmp_path / "with a space" / "data"
    folder.mkdir(parents=True)
    number = folder.stat().st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    mount = str(folder.parent).replace(" ", "\\040")
    mounts = (
        f"22 1 {device} / / rw - btrfs /dev/vda rw\n"
        f"23 22 {device} / {mount} {options} shared:1 - {kind} /dev/vdb rw\n"
        f"24 22 0:99 / {mount}/data rw - proc proc rw\n"
        f"25 22 {device} / /elsewhere/{'long' * 50} rw - vfat /dev/vdc rw\n"
    )
    finding = disk.kind("file system", folder, machine(tmp_path, {"self/mountinfo": mounts}))
    assert finding.verdict == verdict, finding
    assert finding.says.startswith(kind)


def test_a_file_system_that_cannot_be_told(tmp_path: Path) -> None:
    finding = disk.kind("file system", tmp_path, machine(tmp_path))
    assert (finding.verdict, finding.do) == ("warn", f"look at: findmnt -T {tmp_path}")


@pytest.mark.parametrize(("step_s", "verdict"), [(0.001, "ok"), (0.2, "warn")])
def test_how_long_a_sync_takes(tmp_path: Path, step_s: float, verdict: str) -> None:
    clock = itertools.count(0.0, step_s)
    finding = disk.speed("disk sync", tmp_path, lambda: next(clock))
    assert finding.verdict == verdict
    assert f"{step_s * 1e3:.1f} ms" in finding.says
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_yet_is_looked_at_where_it_will_be(tmp_path: Path) -> None:
    config = msgspec.structs.replace(
        KEEPING,
        server=msgspec.structs.replace(
            KEEPING.server, data_dir=str(tmp_path / "a/b"), state_dir=str(tmp_path / "c")
        ),
    )
    findings = list(disk.examine(config, machine(tmp_path)))
    assert [finding.check for finding in findings] == [
        "disk space",
        "file system of data_dir",
        "file system of state_dir",
        "disk sync",
    ]
    assert str(tmp_path) in findings[0].says
