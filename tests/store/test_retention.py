"""Retention: which closed segments go, in which order, and what is never touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ingestd.store.retention import Limits, sweep

NOW_S = 1_000_000.0
OFF = Limits(max_total_bytes=0, max_age_s=0, min_free_bytes=0)

#: The names do not sort by age: the oldest is the last.
AGES_S = {"log_0_c": 100, "log_1_b": 200, "log_2_a": 300, "log_0_z": 400}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four closed segments of 1,000 bytes, and files that are none of retention's business, older than all."""
    others = ("log_0_d.jsonl.zst.open", "log_0_e.jsonl.zst.bad", "rejects_0.jsonl.zst", "notes.txt")
    for name, age_s in [(f"{stem}.jsonl.zst", age_s) for stem, age_s in AGES_S.items()] + [
        (name, 10_000) for name in others
    ]:
        path = tmp_path / name
        path.write_bytes(bytes(1000))
        os.utime(path, (NOW_S - age_s, NOW_S - age_s))
    return tmp_path


def gone(folder: Path) -> set[str]:
    """The segments that are no more; all else is still there."""
    names = {path.name for path in folder.iterdir()}
    segments = {f"{stem}.jsonl.zst" for stem in AGES_S}
    assert len(names - segments) == 4, "something else than a closed segment was deleted"
    return {name.removesuffix(".jsonl.zst") for name in segments - names}


def free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def test_off_by_default(folder: Path) -> None:
    assert not OFF.on
    assert sweep(folder, OFF, NOW_S) == 0
    assert gone(folder) == set()


@pytest.mark.parametrize(
    ("limits", "deleted"),
    [
        (OFF._replace(max_age_s=1000), set()),
        (OFF._replace(max_age_s=400), set()),
        (OFF._replace(max_age_s=399), {"log_0_z"}),
        (OFF._replace(max_age_s=150), {"log_0_z", "log_2_a", "log_1_b"}),
        (OFF._replace(max_age_s=1), set(AGES_S)),
        (OFF._replace(max_total_bytes=4000), set()),
        (OFF._replace(max_total_bytes=3999), {"log_0_z"}),
        (OFF._replace(max_total_bytes=2000), {"log_0_z", "log_2_a"}),
        (OFF._replace(max_total_bytes=1), set(AGES_S)),
        (OFF._replace(min_free_bytes=1), set()),
        (OFF._replace(min_free_bytes=1 << 62), set(AGES_S)),
        (Limits(max_total_bytes=3000, max_age_s=250, min_free_bytes=1), {"log_0_z", "log_2_a"}),
    ],
)
def test_the_oldest_go_until_the_limits_hold(folder: Path, limits: Limits, deleted: set[str]) -> None:
    assert sweep(folder, limits, NOW_S) == len(deleted)
    assert gone(folder) == deleted
    assert sweep(folder, limits, NOW_S) == 0, "a second sweep finds nothing to do"


def test_free_space_counts_what_a_deletion_gives_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = os.statvfs(folder)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    limits = OFF._replace(min_free_bytes=free_bytes(folder) + 1500)
    assert sweep(folder, limits, NOW_S) == 2
    assert gone(folder) == {"log_0_z", "log_2_a"}


def test_without_a_time_it_is_now(folder: Path) -> None:
    fresh = folder / "log_0_c.jsonl.zst"
    os.utime(fresh)
    assert sweep(folder, OFF._replace(max_age_s=3600)) == 3
    assert fresh.exists()


def test_a_segment_that_went_meanwhile_is_no_error(folder: Path) -> None:
    (folder / "log_0_x.jsonl.zst").symlink_to(folder / "moved away")
    assert sweep(folder, OFF._replace(max_age_s=399), NOW_S) == 1
    assert not (folder / "log_0_z.jsonl.zst").exists()


def test_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sweep(tmp_path / "missing", OFF._replace(max_age_s=1))
