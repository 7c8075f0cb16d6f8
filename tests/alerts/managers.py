"""Debian's Alertmanager for tests, as it comes: tests/packages.txt has it unpacked."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.receivers import Hook
from tests.daemon import PATIENCE_S, wait_for
from tests.e2e.senders import program


def _with_share(path: Path) -> list[str | Path]:
    """The program, run so that it finds what its package puts into /usr/share, which no option of it names.

    It sees an overlay of that folder, in a mount namespace of its own; nobody else does.
    """
    share = path.parents[1] / "share"
    mount = f"mount -t overlay overlay -o lowerdir={share}:/usr/share /usr/share"
    unshared: list[str | Path] = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*unshared, mount], capture_output=True).returncode:
        pytest.skip("no overlay can be mounted in a namespace here, and alertmanager needs its /usr/share")
    return [*unshared, f'{mount} && exec "$0" "$@"', path]


@contextmanager
def alertmanager(folder: Path, hook: Hook) -> Iterator[str]:
    """The URL of one that tells `hook`; skips the test where there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "alertmanager.yml"
    config.write_text(
        "route: {receiver: hook, group_by: [alertname], group_wait: 10ms, group_interval: 100ms}\n"
        f"receivers: [{{name: hook, webhook_configs: [{{url: '{hook.url}'}}]}}]\n",
        encoding="utf-8",
    )
    with socket.create_server(("127.0.0.1", 0)) as free:  # it cannot say which port it took
        port = free.getsockname()[1]
    command = [
        *_with_share(program("prometheus-alertmanager")),
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(f"{url}/-/ready"), "Alertmanager to be ready")
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def known(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/api/v2/alerts", timeout=PATIENCE_S) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found
