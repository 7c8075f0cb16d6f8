"""The schema registry: named, versioned schemas over the REST API of the Confluent Schema Registry.

    rest.py, questions.py   what is asked where, who may write; JSON and status codes
    operations.py           what the questions mean: versions, compatibility, deletion in two steps
    judge.py, kinds.py      Avro, JSON Schema and Protobuf: parsing and compatibility, each by a library
    store.py                one SQLite database (WAL) that other processes may read at any time

Served by the sidecar; docs/registry.md says what of the API there is. What it needs is imported by `mount`, so
that no other process of the daemon pays for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["DATABASE", "Settings", "mount"]

#: The database's name in state_dir.
DATABASE: Final = "registry.db"


class Settings(NamedTuple):
    """What one registry is told."""

    path: Path
    """The database; made where it is missing."""
    token: str
    """The secret that writing needs; empty asks for none."""
    max_body_bytes: int


def mount(app: web.Application, settings: Settings) -> None:
    """Add the registry's paths to `app`."""
    from ingestd.registry.rest import mount as mount_rest

    mount_rest(app, settings)
