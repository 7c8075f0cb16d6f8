"""Limits and settings of the kernel, against what a configuration asks for."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ingestd.config import Config
from ingestd.doctor import kernel
from ingestd.doctor.finding import Running, find_running
from tests.doctor.machines import NET_ADMIN, daemon, machine

CONFIG = Config()


@pytest.mark.parametrize(
    ("limit", "verdict", "words"),
    [
        (65536, "ok", "65536 for this shell allow limits.max_connections = 10000"),
        (1024, "warn", "1024 for this shell allow 952 of limits.max_connections = 10000"),
        (100, "fail", "100 for this shell allow 28 of"),
        (10, "fail", "10 for this shell allow 1 of"),
    ],
)
def test_open_files(limit: int, verdict: str, words: str) -> None:
    finding = kernel.open_files(CONFIG, 2, limit, "this shell")
    assert finding.verdict == verdict
    assert words in finding.says
    assert ("LimitNOFILE=10072" in finding.do) == (verdict != "ok")


@pytest.mark.parametrize(
    ("allowed", "capabilities", "verdict", "words"),
    [
        ("212992", 0, "warn", "213 KB are less than listen.udp.receive_buffer = 32 MB"),
        ("212992", NET_ADMIN, "ok", "which the daemon may exceed"),
        ("64000000", 0, "ok", "64 MB allow"),
    ],
)
def test_the_receive_buffer(
    tmp_path: Path, allowed: str, capabilities: int, verdict: str, words: str
) -> None:
    looked_at = daemon(tmp_path, capabilities=capabilities)
    machine(tmp_path, {"sys/net/core/rmem_max": allowed})
    running = find_running(tmp_path / "state", looked_at)
    finding = kernel.receive_buffer(CONFIG, looked_at, running)
    assert (finding.verdict, words in finding.says) == (verdict, True)
    if verdict == "warn":
        assert finding.do.startswith("sysctl -w net.core.rmem_max=32000000")


@pytest.mark.parametrize(
    ("setting", "value", "verdict", "do"),
    [
        ("net/core/somaxconn", "128", "warn", "sysctl -w net.core.somaxconn=4096"),
        ("net/core/somaxconn", "4096", "ok", ""),
        ("net/ipv4/tcp_migrate_req", "0", "warn", "sysctl -w net.ipv4.tcp_migrate_req=1"),
        ("net/ipv4/tcp_migrate_req", "1", "ok", ""),
    ],
)
def test_queues(tmp_path: Path, setting: str, value: str, verdict: str, do: str) -> None:
    looked_at = machine(tmp_path, {f"sys/{setting}": value})
    finding = kernel.backlog(CONFIG, looked_at) if "somaxconn" in setting else kernel.migration(looked_at)
    assert finding.verdict == verdict
    assert finding.do.startswith(do)


@pytest.mark.parametrize(("gigabytes", "verdict"), [(1, "warn"), (8, "ok")])
def test_memory(tmp_path: Path, gigabytes: int, verdict: str) -> None:
    meminfo = f"MemTotal:       {gigabytes << 20} kB\nMemFree:        1 kB\n"
    finding = kernel.memory(CONFIG, machine(tmp_path, {"meminfo": meminfo}), workers=4)
    assert finding.verdict == verdict
    assert "4 workers take 1.15 GB at most" in finding.says


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    findings = list(kernel.examine(CONFIG, machine(tmp_path), None, 2, 65536))
    assert [finding.verdict for finding in findings] == ["ok", "warn", "warn", "warn", "warn"]
    assert all("cannot be read" in finding.says for finding in findings[1:])


def test_the_limit_of_the_daemon_counts_where_one_runs(tmp_path: Path) -> None:
    running = Running(77, 996, 512, False, frozenset())
    config = msgspec.structs.replace(CONFIG)
    first = next(kernel.examine(config, machine(tmp_path), running, 2, 65536))
    assert first.says.startswith("512 for the daemon (pid 77)")
