"""Fixtures that every test may use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA, a server and a client certificate, made by `ingestd certs`."""
    folder = tmp_path_factory.mktemp("certs")
    subprocess.run([sys.executable, "-m", "ingestd", "certs", str(folder)], check=True, capture_output=True)
    return folder
