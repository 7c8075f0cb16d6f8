"""Commands: real programs, run as the daemon runs them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import psutil
import pytest

from ingestd.alerts.notices import Notice
from ingestd.alerts.notifiers.command import Command
from ingestd.alerts.notifiers.sender import DeliveryError
from ingestd.config_alerts import Notifier
from tests.alerts.made import notice, played
from tests.daemon import wait_for

PAGE = "http://logs.example.org:8080/"


def deliver(told: Notice, *command: str, timeout_s: float = 60.0) -> None:
    async def run() -> None:
        async with asyncio.timeout(timeout_s):
            await Command(Notifier(name="pager", kind="command", command=command), PAGE).deliver(told)

    played(run())


def test_it_gets_the_notice_and_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "31337")
    out = tmp_path / "out.json"
    program = (
        "import json, os, sys; json.dump([dict(os.environ), json.load(sys.stdin), sys.argv[2:],"
        " sorted(map(int, os.listdir('/proc/self/fd')))], open(sys.argv[1], 'w'))"
    )
    deliver(notice(), sys.executable, "-c", program, str(out), "$(touch x)", "; rm -rf /")
    environ, told, arguments, files = json.loads(out.read_text())
    assert environ.keys() <= {"PATH", "HOME", "LANG", "LC_CTYPE", "INGESTD_STATUS", "INGESTD_NOTICE"}
    assert (environ["INGESTD_STATUS"], environ["INGESTD_NOTICE"]) == ("firing", told["id"])
    assert told["alerts"][0]["labels"]["rule"] == "errors"
    assert arguments == ["$(touch x)", "; rm -rf /"], "there is no shell"
    assert len(files) <= 5


def test_one_that_fails_says_why() -> None:
    with pytest.raises(DeliveryError, match=r"python.*: exit code 3: out of paper \\x1b\[2J"):
        deliver(
            notice(), sys.executable, "-c", "import sys; sys.stderr.write('out of paper \\x1b[2J'); exit(3)"
        )


def test_one_that_is_not_there() -> None:
    with pytest.raises(DeliveryError, match="cannot run /nowhere/page: No such file or directory"):
        deliver(notice(), "/nowhere/page")


def test_one_that_takes_too_long_is_killed_with_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 1000 & echo $$ $! > {pids}.tmp; mv {pids}.tmp {pids}; wait"

    async def run() -> None:
        told = Command(Notifier(name="pager", kind="command", command=("/bin/sh", "-c", script)), PAGE)
        task = asyncio.create_task(told.deliver(notice()))
        while not pids.exists():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    played(run())
    numbers = [int(word) for word in pids.read_text().split()]
    wait_for(lambda: not any(map(_runs, numbers)), "the program and its child to be gone")


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_one_that_reads_nothing_and_says_much(tmp_path: Path) -> None:
    many = tuple(f"f{n}" for n in range(1000))
    deliver(notice(firing=many), "/bin/sh", "-c", "exec 0<&-; head -c 1000000 /dev/zero >&2; exit 0")


def test_children_that_outlive_it_end_with_it(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    deliver(notice(), "/bin/sh", "-c", f"sleep 1000 2>/dev/null & echo $! > {path}")
    wait_for(lambda: not _runs(int(path.read_text())), "its child to be gone")


def test_one_that_ends_before_it_is_told() -> None:
    for _ in range(20):
        deliver(notice(firing=tuple(f"f{n}" for n in range(100))), "true")
        with pytest.raises(DeliveryError, match="false: exit code 1"):
            deliver(notice(), "false")


def test_it_can_be_found_on_the_path() -> None:
    assert "PATH" in os.environ
    deliver(notice(), "true")
