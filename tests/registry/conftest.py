"""Fixtures: a registry, and Confluent's own client of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from tests.registry.asked import Asked, serving


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Asked]:
    with serving(tmp_path) as asked:
        yield asked


@pytest.fixture
def client(registry: Asked) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": registry.url}) as made:
        yield made
