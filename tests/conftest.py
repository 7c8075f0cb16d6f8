"""Fixtures that every test may use, and what is the same for all of them wherever they are started."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])


def pytest_configure() -> None:
    """No test depends on how fast the machine is, nor on a shell that has its background jobs ignore SIGINT."""
    settings.load_profile("any machine")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA, a server and a client certificate, made by `ingestd certs`."""
    folder = tmp_path_factory.mktemp("certs")
    subprocess.run([sys.executable, "-m", "ingestd", "certs", str(folder)], check=True, capture_output=True)
    return folder
