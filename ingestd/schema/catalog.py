"""The JSON schemas of the registry in one worker, by name, taken up while records flow.

    heartbeat: look --PRAGMA data_version moved--> thread: read, try out (trial.py), compile --> loop: swap

The registry's database is only read. One that is missing, damaged or locked changes nothing: what was taken up last
goes on to hold, and so does a schema that was deleted, for the connections that named it while it was there.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from ingestd.ratelog import RateLog
from ingestd.schema import trial
from ingestd.schema.rules import Live
from ingestd.schema.schema import Schema, Source, UnusableSchemaError

LOCK_TIMEOUT_S: Final = 1.0

_VERSIONS: Final = """
SELECT subject, version, kind, text, refs, deleted
FROM versions JOIN schemas ON id = schema_id ORDER BY subject, version
"""

log = RateLog(logging.getLogger("ingestd.schema"))

#: A subject and a version of it; None is the latest.
_Key = tuple[str, int | None]


class UnknownSchemaError(Exception):
    """The registry has no such JSON schema; `str()` says so to a sender."""


class Catalog:
    """The schemas of one registry. Everything on the event loop's thread but `_load`."""

    def __init__(self, path: Path, own_names: Collection[str]) -> None:
        """`path` is the database; `own_names` are the fields that the daemon adds to records."""
        self._path = path
        self._own_names = own_names
        self._watch: sqlite3.Connection | None = None
        self._watched = (0, 0)
        self._seen: int | None = None
        self._loading: asyncio.Task[None] | None = None
        self._compiled: dict[Source, Schema | None] = {}
        self._schemas: dict[_Key, Schema] = {}
        self._lives: dict[_Key, Live] = {}

    def named(self, name: str) -> Live:
        """What a sender calls `<subject>[@version]`. Raises UnknownSchemaError."""
        if _key(name) not in self._schemas:
            raise UnknownSchemaError(
                f"unknown schema {ascii(name[:80])[1:-1]}: no JSON schema of the registry"
            )
        return self.configured(name)

    def configured(self, name: str) -> Live:
        """What the configuration calls so, whether it is there yet or not."""
        key = _key(name)
        if key not in self._lives:
            self._lives[key] = Live(name, self._schemas.get(key))
        return self._lives[key]

    def look(self) -> None:
        """Begin to take up what has changed; to be called twice a second."""
        if self._loading is not None:
            if not self._loading.done():
                return
            self._loading.result()
            self._loading = None
        if self._moved():
            self._loading = asyncio.get_running_loop().create_task(self._take_up())

    async def settle(self) -> None:
        """Until what `look` began is done."""
        if self._loading is not None:
            await self._loading

    def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _moved(self) -> bool:
        """Whether anybody committed to the database since the last look, or put another in its place."""
        try:
            status = self._path.stat()
            if self._watch is None or self._watched != (status.st_dev, status.st_ino):
                self.close()
                self._watch, self._seen = _open(self._path, 0), None
                self._watched = (status.st_dev, status.st_ino)
            ((version,),) = self._watch.execute("PRAGMA data_version").fetchall()
        except FileNotFoundError:
            self.close()
            return False
        except (OSError, sqlite3.Error) as error:
            self.close()
            log.error("watch", "%s: %s; schemas stay as they are", self._path, error)
            return False
        moved = bool(version != self._seen)
        self._seen = version
        return moved

    async def _take_up(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            compiled, latest = await loop.run_in_executor(None, self._load, self._compiled)
        except (OSError, sqlite3.Error, ValueError) as error:
            log.error("load", "%s: %s; schemas stay as they are", self._path, error)
            self._seen = None  # look again
            return
        self._compiled = compiled
        self._schemas = {}
        for source, schema in compiled.items():
            if schema is not None:
                self._schemas[source.subject, source.version] = schema
                if source.subject in latest:
                    self._schemas[source.subject, None] = (
                        schema  # in the order of versions: the last one stays
                    )
        for key, live in self._lives.items():
            live.schema = self._schemas.get(key, live.schema)

    def _load(self, known: dict[Source, Schema | None]) -> tuple[dict[Source, Schema | None], set[str]]:
        """In a thread: all live JSON schemas, and the subjects whose latest version is one."""
        with closing(_open(self._path, LOCK_TIMEOUT_S)) as db:
            rows = db.execute(_VERSIONS).fetchall()
        sources = list(_sources(rows))
        fit = set(trial.passed([source for source in sources if source not in known], self._own_names))
        compiled = {}
        for source in sources:
            if source in known:
                compiled[source] = known[source]
            else:
                compiled[source] = self._compile(source) if source in fit else None
                if compiled[source] is None:
                    log.error("unusable", "schema %s@%d cannot be compiled in time", *source[:2])
        kinds = {subject: kind for subject, _, kind, _, _, deleted in rows if not deleted}
        return compiled, {subject for subject, kind in kinds.items() if kind == "JSON"}

    def _compile(self, source: Source) -> Schema | None:
        try:
            return Schema.of(source, self._own_names)
        except UnusableSchemaError:  # though it passed its trial: for want of memory
            return None


def _key(name: str) -> _Key:
    """`<subject>`, `<subject>@latest` or `<subject>@<number>`; any other @ belongs to the subject."""
    subject, at, version = name.rpartition("@")
    if at and version == "latest":
        return subject, None
    if at and version.isascii() and version.isdecimal() and len(version) <= 10:
        return subject, int(version)
    return name, None


def _open(path: Path, timeout_s: float) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=timeout_s, isolation_level=None)


_Row = tuple[str, int, str, str, str, int]


def _sources(rows: list[_Row]) -> Iterator[Source]:
    """The live JSON schemas with all that they refer to."""
    by_version = {(row[0], row[1]): row for row in rows}
    for subject, version, kind, text, refs, deleted in rows:
        if kind != "JSON" or deleted:
            continue
        references: dict[tuple[str, str], None] = {}
        waiting = json.loads(refs)
        while waiting:
            reference = waiting.pop()
            _, _, _, target, further, _ = by_version[reference["subject"], reference["version"]]
            if (reference["name"], target) not in references:
                references[reference["name"], target] = None
                waiting += json.loads(further)
        yield Source(subject, version, text, tuple(references))
