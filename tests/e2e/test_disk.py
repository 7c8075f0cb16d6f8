"""Disks that fill and folders that go away under acknowledged load: reading pauses, `/readyz` says why, all goes on.

What was acknowledged is found exactly once, in the segments that were taken away to make room and in those that stayed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.daemon import Daemon, lines, wait_for
from tests.e2e.test_acknowledged import Peer
from tests.e2e.test_tcp import line

#: Batches that a client sends ahead of what was acknowledged.
WINDOW = 8


def mount(*arguments: str | Path) -> None:
    """mount(8), or skip where that is not permitted."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=2M", "tmpfs", folder)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


class Client:
    """Sends batches of 20 kB that do not compress, `WINDOW` ahead of what is acknowledged, until it is stopped."""

    def __init__(self, daemon: Daemon, name: str) -> None:
        self.name = name
        self.acknowledged = 0
        self.answers: list[str] = []
        self._peer = Peer(daemon, name)
        self._stop = Event()
        self._thread = Thread(target=self._run)

    def _run(self) -> None:
        self._peer.read_until("OK 0")
        sent = 0
        while not self._stop.is_set() or self.acknowledged < sent:
            while not self._stop.is_set() and sent < self.acknowledged + WINDOW:
                sent += 1
                text = os.urandom(10_000).hex()
                self._peer.send(sent, line(seq=f"{self.name}-{sent}", text=text))
            answer = self._peer.read()
            if not answer.startswith("ACK "):
                self.answers.append(answer)
                return
            self.acknowledged = int(answer.removeprefix("ACK "))

    def start(self) -> None:
        self._peer.socket.settimeout(120)
        self._thread.start()

    def stop(self) -> None:
        """Send no more, and wait for all to be acknowledged."""
        self._stop.set()
        self._thread.join()
        self._peer.close()
        assert self.answers == []


@contextmanager
def load(daemon: Daemon) -> Iterator[list[Client]]:
    clients = [Client(daemon, name) for name in ("a", "b", "c")]
    for client in clients:
        client.start()
    yield clients
    for client in clients:
        client.stop()


def readiness(daemon: Daemon) -> set[str]:
    """Why the daemon is not ready; empty if it is."""
    try:
        daemon.get("/readyz")
    except urllib.error.HTTPError as error:
        assert error.code == 503
        with error:
            return set(json.load(error)["reasons"].values())
    return set()


def fill_and_empty(daemon: Daemon, disk: Path, kept: Path, rounds: int) -> None:
    """The load fills the disk; each time that it is told, what is closed is taken away."""
    with load(daemon) as clients:
        for round_ in range(rounds):
            wait_for(
                lambda: readiness(daemon) == {"no room for segments in data_dir"}, "the full disk to be told"
            )
            assert daemon.metric("ingestd_disk_failing", fault="full") >= 1
            before = [client.acknowledged for client in clients]
            for path in disk.glob("data/log_*.jsonl.zst"):
                shutil.copy(path, kept / f"{round_}_{path.name}")  # the name is free again in the same second
                path.unlink()
            wait_for(
                lambda before=before: any(  # type: ignore[misc]
                    client.acknowledged > count for client, count in zip(clients, before, strict=True)
                ),
                "acknowledgements to go on",
            )
        subprocess.run(["mount", "-o", "remount,size=64M", disk], check=True)
    wait_for(lambda: not readiness(daemon), "readiness")
    found = Counter(json.loads(text)["seq"] for path in kept.iterdir() for text in lines(path))
    found.update(record["seq"] for record in daemon.records())
    expected = {f"{client.name}-{n}": 1 for client in clients for n in range(1, client.acknowledged + 1)}
    assert found == expected


@pytest.mark.parametrize(
    "rounds", [2, pytest.param(20, marks=[pytest.mark.chaos, pytest.mark.timeout(1800)])]
)
def test_a_disk_filled_and_emptied_under_load(tmp_path: Path, small_disk: Path, rounds: int) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "daemon").mkdir()
    for name in ("data", "state"):  # both fill
        (small_disk / name).mkdir()
        (tmp_path / "daemon" / name).symlink_to(small_disk / name)
    daemon = Daemon(tmp_path / "daemon", **{"server.workers": 1})
    with daemon:
        fill_and_empty(daemon, small_disk, kept, rounds)
        daemon.wait_settled(1)
        assert daemon.metric("ingestd_write_errors_total") > 0
        assert daemon.metric("ingestd_worker_restarts_total") == 0
    said = [text for text in daemon.log.read_text().splitlines() if "free some space" in text]
    assert rounds <= len(said) <= 4 * rounds, (
        "a line for each time that the disk was full, not one for each try"
    )


def test_a_data_dir_unmounted_and_mounted_again(tmp_path: Path) -> None:
    """What is written meanwhile goes nowhere else: the mount point stays empty."""
    real, data = tmp_path / "real", tmp_path / "daemon" / "data"
    real.mkdir()
    data.mkdir(parents=True)
    mount("--bind", real, data)
    mounted = True
    try:
        with Daemon(tmp_path / "daemon", **{"server.workers": 1}) as daemon, load(daemon) as clients:
            for _ in range(2):
                wait_for(lambda: all(client.acknowledged for client in clients), "acknowledgements")
                subprocess.run(["umount", "-l", data], check=True)
                mounted = False
                wait_for(lambda: readiness(daemon) == {"data_dir is not there"}, "the loss to be told")
                stuck = [client.acknowledged for client in clients]
                assert list(data.iterdir()) == []
                subprocess.run(["mount", "--bind", real, data], check=True)
                mounted = True
                wait_for(lambda: not readiness(daemon), "readiness")
                wait_for(
                    lambda stuck=stuck: [client.acknowledged for client in clients] > stuck,  # type: ignore[misc]
                    "acknowledgements to go on",
                )
        found = Counter(record["seq"] for record in daemon.records())
        assert found == {
            f"{client.name}-{n}": 1 for client in clients for n in range(1, client.acknowledged + 1)
        }
    finally:
        if mounted:
            subprocess.run(["umount", "-l", data], check=True)
