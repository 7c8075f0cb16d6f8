"""The daemon that runs, who may use which file, and sizes as people read them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ingestd.doctor.finding import Account, Machine, find_running, human
from tests.doctor.machines import NET_ADMIN, daemon, machine


def test_the_daemon_that_runs_is_found(tmp_path: Path) -> None:
    running = find_running(tmp_path / "state", daemon(tmp_path, capabilities=NET_ADMIN, open_files=4096))
    assert running is not None
    assert (running.pid, running.uid, running.open_files, running.net_admin) == (77, 996, 4096, True)
    assert running.listen == {"127.0.0.1:3001", "127.0.0.1:3002", "127.0.0.1:8080"}


@pytest.mark.parametrize("broken", ["77/cmdline", "77/status", "77/limits", "state"])
def test_a_daemon_that_cannot_be_looked_at_counts_as_none(tmp_path: Path, broken: str) -> None:
    looked_at = daemon(tmp_path)
    if broken == "state":
        (tmp_path / "state/ingestd.json").write_text("{")
    else:
        (tmp_path / "proc" / broken).write_text("")
    assert find_running(tmp_path / "state", looked_at) is None


def test_a_pid_that_is_anothers_by_now_is_no_daemon(tmp_path: Path) -> None:
    looked_at = daemon(tmp_path)
    (tmp_path / "proc/77/cmdline").write_text("/usr/bin/vi\0")
    assert find_running(tmp_path / "state", looked_at) is None
    assert find_running(tmp_path / "nowhere", looked_at) is None


def test_kernel_settings_are_read_where_they_are_there(tmp_path: Path) -> None:
    settings = {"sys/net/core/somaxconn": "4096\n", "sys/net/ipv4/tcp_rmem": "4096\t131072\t6291456\n"}
    looked_at = machine(tmp_path, settings)
    assert looked_at.sysctl("net.core.somaxconn") == 4096
    assert looked_at.sysctl("net.ipv4.tcp_rmem") == 4096
    assert looked_at.sysctl("net.core.rmem_max") is None


def test_this_machine_can_be_read() -> None:
    assert (Machine().sysctl("net.core.somaxconn") or 0) > 0


def test_mode_bits_say_who_may() -> None:
    status = os.stat_result((0o100640, 0, 0, 1, 1000, 2000, 0, 0, 0, 0))
    assert Account("owner", 1000, frozenset()).granted(status, 6)
    assert Account("group", 1001, frozenset({2000})).granted(status, 4)
    assert not Account("group", 1001, frozenset({2000})).granted(status, 2)
    assert not Account("other", 1001, frozenset({2001})).granted(status, 4)
    assert Account("root", 0, frozenset()).granted(status, 6)


def test_an_owner_without_bits_may_not_though_others_may() -> None:
    status = os.stat_result((0o100044, 0, 0, 1, 1000, 2000, 0, 0, 0, 0))
    assert not Account("owner", 1000, frozenset({2000})).granted(status, 4)
    assert Account("other", 1001, frozenset()).granted(status, 4)


def test_no_limit_is_a_large_one(tmp_path: Path) -> None:
    looked_at = daemon(tmp_path)
    limits = tmp_path / "proc/77/limits"
    limits.write_text(limits.read_text().replace("65536", "unlimited"))
    running = find_running(tmp_path / "state", looked_at)
    assert running is not None
    assert running.open_files > 1 << 30


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 KB"), (4_194_304, "4.19 MB"), (79e9, "79 GB"), (5e15, "5e+03 TB")],
)
def test_sizes_have_three_digits(nbytes: float, text: str) -> None:
    assert human(nbytes) == text
