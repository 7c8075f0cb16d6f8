"""The JSON schemas of the registry in one worker, by name, taken up while records flow.

    thread  every LOOK_INTERVAL_S: has PRAGMA data_version moved? -> read, compile, swap the table
    rules   with each block: what does this name stand for in the table?

A thread and no timer of the event loop: behind costly blocks a timer comes seconds late. It starts no process for what
the registry has tried out (trial.py), so that a new version is live after the interval and some milliseconds, however
busy the cores are; only what comes without that word is tried here. The registry's database is only read. One that is
missing, damaged or locked changes nothing: what was taken up last goes on to hold, and so does a schema that was
deleted, for the connections that named it while it was there.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from formats.batches import array_schema
from ingestd.ratelog import RateLog
from ingestd.schema import trial
from ingestd.schema.schema import Schema, Source, UnusableSchemaError

LOOK_INTERVAL_S: Final = 0.5
LOCK_TIMEOUT_S: Final = 1.0

_VERSIONS: Final = """
SELECT subject, version, kind, text, refs, light, deleted
FROM versions JOIN schemas ON id = schema_id ORDER BY subject, version
"""

log = RateLog(logging.getLogger("ingestd.schema"))

#: A subject and a version of it; None is the latest.
_Key = tuple[str, int | None]


class UnknownSchemaError(Exception):
    """The registry has no such JSON schema; `str()` says so to a sender."""


class Named:
    """Called, it answers with the schema that a name stands for now, or did last; None if it never did."""

    def __init__(self, catalog: Catalog, name: str) -> None:
        self.name = name
        self._catalog = catalog
        self._key = _key(name)
        self._last: Schema | None = None

    def __call__(self) -> Schema | None:
        self._last = self._catalog.schemas.get(self._key, self._last)
        return self._last


class Catalog:
    """The schemas of one registry. `look` belongs to one thread at a time, the others to any."""

    def __init__(self, path: Path, own_names: Collection[str]) -> None:
        """`path` is the database; `own_names` are the fields that the daemon adds to records."""
        self.schemas: dict[_Key, Schema] = {}
        self._avro: dict[_Key, bytes] = {}
        self._path = path
        self._own_names = own_names
        self._watch: sqlite3.Connection | None = None
        self._watched = (0, 0)
        self._seen: int | None = None
        self._compiled: dict[Source, Schema | None] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="schemas", daemon=True)

    def named(self, name: str) -> Named:
        """What a sender calls `<subject>[@version]`. Raises UnknownSchemaError."""
        named = self.configured(name)
        if _key(name) not in self.schemas or named() is None:
            raise UnknownSchemaError(
                f"unknown schema {ascii(name[:80])[1:-1]}: no JSON schema of the registry"
            )
        return named

    def configured(self, name: str) -> Named:
        """What the configuration calls so, whether it is there yet or not."""
        return Named(self, name)

    def avro(self, name: str) -> bytes:
        """The Avro schema of a batch's records that a sender calls so; empty if the name is of no Avro schema."""
        return self._avro.get(_key(name), b"")

    def start(self) -> None:
        """Look again and again, until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more. What is under way is not waited for."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_INTERVAL_S):
            self.look()
        self._close()

    def look(self) -> None:
        """Take up what has changed since the last look."""
        try:
            if self._moved():
                self._take_up()
        except (OSError, sqlite3.Error, ValueError) as error:
            self._close()  # and look again
            log.error("look", "%s: %s; schemas stay as they are", self._path, error)

    def _close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _moved(self) -> bool:
        """Whether anybody committed to the database since the last look, or put another in its place."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._close()
            return False
        if self._watch is None or self._watched != (status.st_dev, status.st_ino):
            self._close()
            self._watch, self._seen = _open(self._path), None
            self._watched = (status.st_dev, status.st_ino)
        ((version,),) = self._watch.execute("PRAGMA data_version").fetchall()
        moved = bool(version != self._seen)
        self._seen = version
        return moved

    def _take_up(self) -> None:
        with closing(_open(self._path)) as db:
            rows: list[_Row] = db.execute(_VERSIONS).fetchall()
        sources = dict(_sources(rows))
        self._compile({source: light for source, light in sources.items() if source not in self._compiled})
        self._compiled = {source: self._compiled[source] for source in sources}
        kinds = {subject: kind for subject, _, kind, *_, deleted in rows if not deleted}
        schemas: dict[_Key, Schema] = {}
        for source, schema in self._compiled.items():
            if schema is not None:
                schemas[source.subject, source.version] = schema
                if kinds[source.subject] == "JSON":  # the latest version is
                    schemas[source.subject, None] = schema
        self.schemas = schemas
        self._avro = _avro_schemas(rows)

    def _compile(self, sources: dict[Source, bool]) -> None:
        """Compile what is new, and remember what cannot be. True: it is known to be light."""
        unsure = [source for source, light in sources.items() if not (light or trial.is_plain(source))]
        fit = sources.keys() - unsure | {*trial.passed(unsure, self._own_names)}
        for source in sources:
            try:
                schema = Schema.of(source, self._own_names) if source in fit else None
            except UnusableSchemaError:  # the registry would not have it today
                schema = None
            if schema is None:
                log.error("unusable", "schema %s@%d cannot be compiled in time", *source[:2])
            self._compiled[source] = schema


def _key(name: str) -> _Key:
    """`<subject>`, `<subject>@latest` or `<subject>@<number>`; any other @ belongs to the subject."""
    subject, at, version = name.rpartition("@")
    if at and version == "latest":
        return subject, None
    if at and version.isascii() and version.isdecimal() and len(version) <= 10:
        return subject, int(version)
    return name, None


def _open(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    # Opened by whoever starts the thread, used and closed by the thread.
    return sqlite3.connect(
        uri, uri=True, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )


_Row = tuple[str, int, str, str, str, int, int]


def _avro_schemas(rows: list[_Row]) -> dict[_Key, bytes]:
    """The live Avro schemas of records, or of arrays of them, that refer to no other."""
    schemas: dict[_Key, bytes] = {}
    for subject, version, kind, text, refs, _, deleted in rows:
        if kind != "AVRO" or deleted or json.loads(refs):
            continue
        try:
            schema = array_schema(text)
        except ValueError:
            continue  # of something else: a key, for example
        schemas[subject, version] = schemas[subject, None] = schema
    return schemas


def _sources(rows: list[_Row]) -> Iterator[tuple[Source, bool]]:
    """The live JSON schemas with all that they refer to, and whether each is known to be light."""
    by_version = {(row[0], row[1]): row for row in rows}
    for subject, version, kind, text, refs, light, deleted in rows:
        if kind != "JSON" or deleted:
            continue
        references: dict[tuple[str, str], None] = {}
        waiting = json.loads(refs)
        while waiting:
            reference = waiting.pop()
            _, _, _, target, further, *_ = by_version[reference["subject"], reference["version"]]
            if (reference["name"], target) not in references:
                references[reference["name"], target] = None
                waiting += json.loads(further)
        yield Source(subject, version, text, tuple(references)), bool(light)
