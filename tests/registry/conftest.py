"""Fixtures: a registry, and Confluent's own client of it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from ingestd.registry import DATABASE
from tests.registry.asked import Asked, serving


class Shared(NamedTuple):
    """A registry in use by one test after the other."""

    asked: Asked
    database: Path

    def clear(self) -> None:
        """As if it had just been made, ids included."""
        with closing(sqlite3.connect(self.database)) as db:
            db.executescript(
                "BEGIN IMMEDIATE; DELETE FROM versions; DELETE FROM schemas; DELETE FROM levels;"
                "DELETE FROM sqlite_sequence; COMMIT"
            )


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One registry for all tests that need nothing special of it: a process begins more slowly than it answers."""
    folder = tmp_path_factory.mktemp("registry")
    with serving(folder) as asked:
        yield Shared(asked, folder / DATABASE)


@pytest.fixture
def registry(shared: Shared) -> Iterator[Asked]:
    """A registry in which there is nothing yet."""
    yield shared.asked
    shared.clear()


@pytest.fixture
def client(registry: Asked) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": registry.url}) as made:
        yield made
