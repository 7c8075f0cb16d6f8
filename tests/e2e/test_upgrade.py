"""An upgrade of the package under a running daemon: SIGHUP runs the new code, or none of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.daemon import Daemon, check_law, wait_for
from tests.e2e.reloading import Restless, reload, send_one
from tests.e2e.test_supervisor import worker_pids

ROOT = Path(__file__).parents[2]

Edit = Callable[[str, str, str], None]


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Run daemons from a copy of the packages; edits one file of it, as an installation would."""
    installed = tmp_path / "site"
    for package in ("ingestd", "formats"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, installed / package, ignore=ignore)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # it goes by whole seconds of a source's time
    monkeypatch.chdir(tmp_path)

    def edit_one(name: str, old: str, new: str) -> None:
        path = installed / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return edit_one


def test_the_new_version_answers_and_counts_on(tmp_path: Path, edit: Edit) -> None:
    edit("ingestd/__init__.py", "__version__ =", '__version__ = "1.0.0"  #')
    with Daemon(tmp_path / "d") as daemon, daemon.connect() as lasting:
        assert daemon.stats()["version"] == "1.0.0"
        lasting.sendall(b'{"message":"x"}\n' * 10)
        before = daemon.wait_settled(10)
        started_s = daemon.metric("ingestd_start_time_seconds")
        edit("ingestd/__init__.py", "1.0.0", "2.0.0")
        # Another metric in front: everything else lies elsewhere in a slot.
        edit(
            "ingestd/stats.py",
            "METRICS: Final[tuple[Metric, ...]] = (",
            'METRICS: Final[tuple[Metric, ...]] = (Metric("ingestd_new_total", "counter", "New."),',
        )
        with Restless(partial(send_one, daemon)) as senders:
            reload(daemon, "applied")
        lasting.sendall(b'{"message":"y"}\n' * 10)
        totals = daemon.wait_settled(20 + senders.calls)
        assert totals["written"] == 20 + senders.calls > before["written"]
        assert daemon.stats()["version"] == "2.0.0"
        assert b"# TYPE ingestd_new_total counter" in daemon.get("/metrics")
        assert daemon.metric("ingestd_start_time_seconds") == started_s

        def retiring() -> set[int]:
            return {worker["pid"] for worker in daemon.stats()["workers"] if worker["state"] == "draining"}

        (old,) = wait_for(
            lambda: len(left := retiring()) == 1 and left, "the one without connections to leave"
        )
        lasting.close()
        wait_for(lambda: old not in worker_pids(daemon), "the old worker to leave")
        check_law(daemon.stats()["totals"])
        assert daemon.stats()["totals"] == totals
    assert not list(daemon.data.glob("*.open"))


@pytest.mark.parametrize("module", ["ingestd/supervisor.py", "ingestd/worker.py", "ingestd/sidecar/app.py"])
def test_a_package_that_does_not_import_is_refused(tmp_path: Path, edit: Edit, module: str) -> None:
    with Daemon(tmp_path / "d") as daemon:
        workers = worker_pids(daemon)
        edit(module, "\nimport ", "\nimport half_installed, ")
        reload(daemon, "refused")
        assert "half_installed" in daemon.log.read_text()
        assert worker_pids(daemon) == workers
        daemon.send(b'{"message":"x"}\n')
        daemon.wait_settled(1)


def test_workers_that_cannot_start_leave_the_old_ones_serving(tmp_path: Path, edit: Edit) -> None:
    with Daemon(tmp_path / "d") as daemon:
        workers = worker_pids(daemon)
        edit("ingestd/worker.py", "        self._tcp.start()\n", "        raise RuntimeError('broken')\n")
        with Restless(partial(send_one, daemon)) as senders:
            reload(daemon, "refused")
        assert "broken" in daemon.log.read_text()
        wait_for(lambda: worker_pids(daemon) == workers, "the slots of the others to be settled")
        assert daemon.wait_settled(senders.calls)["written"] == senders.calls
        edit("ingestd/worker.py", "        raise RuntimeError('broken')\n", "        self._tcp.start()\n")
        reload(daemon, "applied")
        assert not set(workers) & {w["pid"] for w in daemon.stats()["workers"] if w["state"] == "ready"}
