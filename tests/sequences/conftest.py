"""A table of few clients, whose memory is given back."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ingestd.sequences.table import Sequences


@pytest.fixture
def sequences() -> Iterator[Sequences]:
    made = Sequences(64)
    yield made
    os.close(made.memory.fd)
