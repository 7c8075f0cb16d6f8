"""Where no box can be booted, it says why: the tests of the service are then skipped with that, and no others."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from tests.systemd import box
from tests.systemd.box import Box, NoBoxError


def test_it_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoBoxError, match="by root only"), Box(tmp_path, {}):
        pass


def test_it_needs_the_debian_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(box, "DEBIAN", tmp_path)
    with pytest.raises(NoBoxError, match=r"systemd-nspawn is not in .*make test-commands"), Box(tmp_path, {}):
        pass


def test_one_that_is_shut_leaves_nothing(tmp_path: Path) -> None:
    try:
        booted = Box(tmp_path, {}).boot()
    except NoBoxError as error:
        pytest.skip(str(error))
    group = booted._cgroup
    assert booted.run("cat", "/proc/1/comm") == "systemd\n"
    processes = booted.processes()
    assert len(processes) > 1
    booted.shut()
    assert not group.exists()
    _, left = psutil.wait_procs(processes, timeout=30)  # whose end is told to a busy machine a little later
    assert left == []
