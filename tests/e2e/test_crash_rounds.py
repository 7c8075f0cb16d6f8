"""Kill -9 of anything, again and again, under acknowledged load at full speed.

What it proves: whoever dies, a worker (which takes its writer with it, mostly in mid-write), the supervisor, the whole
tree, the client, or several at once, every record whose batch was acknowledged is stored exactly once and every other
at most once, as `loadgen verify` counts them. `make test` has a few rounds with a fixed seed, `make chaos` two hundred.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ingestd.child import YOUNG_S
from tests.daemon import PATIENCE_S, Daemon, wait_for
from tests.e2e.test_loadgen_ack import assert_exact, has_acknowledged, start
from tools.loadgen.journal import journal_of

ROUNDS_OF_A_DAEMON = 10  # then its data is verified and a new one begins
RECORDS = 40_000

VICTIMS = ("worker", "workers", "supervisor", "tree", "client", "worker and client", "tree and client")


class House:
    """A daemon that is killed and started again on the same port and folder."""

    def __init__(self, folder: Path, random: Random) -> None:
        self.folder = folder
        self.random = random
        self.daemon = Daemon(
            folder, **{"segment.max_bytes": "500KB"}
        ).start()  # so that segments rotate as well
        self._settings = {"listen.tcp.port": self.daemon.tcp[1], "segment.max_bytes": "500KB"}

    def _workers(self) -> list[int]:
        stats: dict[str, Any] = self.daemon.stats()
        return [worker["pid"] for worker in stats["workers"]]

    def wait_grown(self) -> None:
        """Until all workers serve and are of an age at which a death is none of a crash loop, which ends the daemon."""
        self.daemon.wait_ready()
        wait_for(
            lambda: all(
                (worker["uptime_seconds"] or 0) > YOUNG_S for worker in self.daemon.stats()["workers"]
            ),
            "workers that are no longer young",
        )

    def kill(self, victim: str) -> None:
        """SIGKILL; what the daemon does not mend by itself is started again."""
        match victim:
            case "worker":
                self._kill_workers([self.random.choice(self._workers())])
            case "workers":
                self._kill_workers(self._workers())
            case "supervisor":
                self.daemon.process.kill()
                self.daemon.process.wait(PATIENCE_S)
                self._start_again()
            case "tree":
                self.daemon.kill_tree()
                self._start_again()

    def _kill_workers(self, pids: list[int]) -> None:
        """Until the supervisor has noticed: a stop that came before would find workers that cannot drain."""
        for pid in pids:
            _kill(pid)
        wait_for(lambda: set(pids).isdisjoint(self._workers()), "the successors of those that were killed")

    def _start_again(self) -> None:
        """The children of a dead supervisor drain, and hold the data folder until they are done."""
        state = self.folder / "state" / "ingestd.json"

        def started() -> bool:
            state.unlink(missing_ok=True)
            self.daemon = Daemon(self.folder, **self._settings).start(ready=False)
            wait_for(lambda: state.exists() or self.daemon.process.poll() is not None, "a start or its end")
            return self.daemon.process.poll() is None

        wait_for(started, "the daemon to start again")
        self.daemon.wait_ready()

    def close(self) -> None:
        if self.daemon.process.poll() is None:
            os.killpg(self.daemon.process.pid, signal.SIGKILL)
            self.daemon.process.wait(PATIENCE_S)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it had just died by itself
        os.kill(pid, signal.SIGKILL)


def crash(house: House, number: int) -> list[Path]:
    """One round; the reports of what was sent."""
    folder, random = house.folder, house.random
    house.wait_grown()
    victim = VICTIMS[random.randrange(len(VICTIMS))]
    report = folder / f"report-{number}.json"
    lanes = ("--connections", "4", "--run", f"run-{number}")
    process = start(house.daemon, folder / "spool", report, *lanes, "--count", str(RECORDS))
    reports = [report]
    try:
        wait_for(lambda: has_acknowledged(report) or process.poll() is not None, "acknowledgements")
        journal = journal_of(report)
        enough = _size(journal) + random.randrange(3_000)
        wait_for(lambda: _size(journal) >= enough or process.poll() is not None, "some more")
        if "client" in victim:
            process.kill()
        house.kill(victim.removesuffix(" and client"))
        code = process.wait(PATIENCE_S)
        assert code in ((0, -signal.SIGKILL) if "client" in victim else (0,)), (
            f"round {number}, {victim}: {code}"
        )
    finally:
        process.kill()
        process.wait(PATIENCE_S)
    if code != 0:  # whoever comes next on this spool sends what it left
        reports.append(folder / f"report-{number}-rest.json")
        rest = start(
            house.daemon,
            folder / "spool",
            reports[-1],
            *lanes[:2],
            "--run",
            f"rest-{number}",
            "--count",
            "400",
        )
        assert rest.wait(PATIENCE_S) == 0
    return reports


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # the report was written instead


def rounds(folder: Path, count: int, seed: int, told: Callable[[str], None] = lambda _: None) -> None:
    """So many rounds, verified whenever a daemon has had its share."""
    random = Random(seed)
    for first in range(0, count, ROUNDS_OF_A_DAEMON):
        house = House(folder / f"daemon-{first}", random)
        reports: list[Path] = []
        try:
            for number in range(first, min(first + ROUNDS_OF_A_DAEMON, count)):
                reports += crash(house, number)
            house.daemon.wait_ready()
            assert house.daemon.stop() == 0, house.daemon.log.read_text()
            assert_exact(house.daemon.data, reports)
        finally:
            house.close()
        shutil.rmtree(house.folder)
        told(f"{min(first + ROUNDS_OF_A_DAEMON, count)} rounds, exact")


def test_a_few_rounds(tmp_path: Path) -> None:
    rounds(tmp_path, 3, seed=4)


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_two_hundred_rounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    rounds(tmp_path, int(os.environ.get("ROUNDS", "200")), int(os.environ.get("SEED", "1")), told)
