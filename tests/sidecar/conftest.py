"""Fixtures: two idle workers and their board; a sidecar that serves them."""

import socket
from collections.abc import Iterator

import pytest

from tests.sidecar.served import Served, Workers, make_view


@pytest.fixture
def workers() -> Iterator[Workers]:
    started = Workers(2)
    yield started
    started.end_all()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def served(workers: Workers, listener: socket.socket) -> Iterator[Served]:
    with Served(workers.board, make_view(), listener) as sidecar:
        yield sidecar
