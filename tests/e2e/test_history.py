"""The past of the dashboard outlives the process that shows it, and the program too."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil

from tests.daemon import Daemon, wait_for
from tests.e2e.reloading import reload
from tests.e2e.test_supervisor import worker_pids


def past(daemon: Daemon) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(daemon.get("/api/history?resolution=1s"))
    return told


def goes_on(daemon: Daemon, since_s: int, first_s: int) -> bool:
    """Whether there are points from before and after `since_s`."""
    times = past(daemon)["time"]
    return bool(times) and times[0] == first_s and times[-1] > since_s


def test_it_outlives_a_sidecar_and_an_exec(tmp_path: Path) -> None:
    with Daemon(tmp_path / "d", **{"server.workers": 1}) as daemon:
        wait_for(lambda: past(daemon)["time"], "a first point")
        daemon.send(b'{"message":"x"}\n' * 50)
        wait_for(lambda: sum(past(daemon)["written_per_second"]) > 40, "what was written to be in the past")
        before = past(daemon)
        first_s, last_s = before["time"][0], before["time"][-1]

        children = psutil.Process(daemon.process.pid).children()
        (sidecar,) = [child.pid for child in children if child.pid not in worker_pids(daemon)]
        os.kill(sidecar, signal.SIGKILL)
        wait_for(lambda: daemon.stats()["sidecar_restarts"] == 1, "another sidecar")
        wait_for(lambda: goes_on(daemon, last_s, first_s), "the past to go on")
        assert past(daemon)["written_per_second"][: len(before["time"])] == before["written_per_second"]

        last_s = past(daemon)["time"][-1]
        (tmp_path / "d/ingestd.toml").write_text("[segment]\nlevel = 2\n")
        reload(daemon, "applied")
        wait_for(lambda: goes_on(daemon, last_s, first_s), "the past to go on")
        settings = {one["key"]: one["value"] for one in json.loads(daemon.get("/api/config"))["settings"]}
        assert settings["segment.level"] == "2"
