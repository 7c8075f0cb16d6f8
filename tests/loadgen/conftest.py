"""Fixtures of the load generator's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loadgen.sink import certificate


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of the sink, which is its own CA."""
    return certificate(tmp_path_factory.mktemp("pem"))
