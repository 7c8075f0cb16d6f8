"""Where schemas are kept: one SQLite database in WAL mode, written by one process and read by any.

    schemas    one row per text, whatever subjects use it; `id` is never given twice
    versions   which schema a version of a subject is; `deleted` marks what is hidden but still readable by id
    levels     compatibility by subject; that of the empty subject is the global one

A commit is synced to disk before it is answered. `Store` knows no rule of the API: those are in operations.py. A
connection belongs to the thread that opened it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

BUSY_TIMEOUT_S: Final = 5.0

#: The layout below; a database with a greater number was made by a later release.
LAYOUT: Final = 2

_TABLES: Final = """
CREATE TABLE schemas (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    refs TEXT NOT NULL,              -- JSON: [{"name", "subject", "version"}, …]
    digest BLOB NOT NULL UNIQUE,     -- of kind, refs and text
    light INTEGER NOT NULL DEFAULT 0, -- a JSON schema that workers may compile at once, as far as is known
    identity BLOB NOT NULL           -- of kind, refs and normal form
);
CREATE TABLE versions (
    subject TEXT NOT NULL,
    version INTEGER NOT NULL,
    schema_id INTEGER NOT NULL REFERENCES schemas(id),
    deleted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (subject, version)
) WITHOUT ROWID;
CREATE INDEX versions_of_schema ON versions (schema_id);
CREATE TABLE levels (subject TEXT PRIMARY KEY, level TEXT NOT NULL) WITHOUT ROWID;
"""

#: From layout 1, which did not know what is light.
_FROM_1: Final = ("ALTER TABLE schemas ADD COLUMN light INTEGER NOT NULL DEFAULT 0",)

_ENTRIES: Final = """
SELECT subject, version, id, kind, text, refs, identity, deleted
FROM versions JOIN schemas ON id = schema_id
"""


class Reference(NamedTuple):
    """What a schema imports: a version of a subject, under the name that the schema calls it by."""

    name: str
    subject: str
    version: int


class Entry(NamedTuple):
    """One version of a subject."""

    subject: str
    version: int
    id: int
    kind: str
    text: str
    references: tuple[Reference, ...]
    identity: bytes
    deleted: bool


class Row(NamedTuple):
    """A schema to be kept."""

    kind: str
    text: str
    references: tuple[Reference, ...]
    identity: bytes
    light: bool = False
    """A JSON schema that workers may compile at once."""

    @property
    def digest(self) -> bytes:
        return digest(self.kind, self.references, self.text)


def digest(kind: str, references: tuple[Reference, ...], text: str) -> bytes:
    """What two schemas have in common if and only if all three are the same."""
    return sha256(json.dumps([kind, references, text]).encode()).digest()


class Store:
    """The database. Raises sqlite3.Error wherever the disk or the file is at fault."""

    def __init__(self, path: Path) -> None:
        """Open it, and make it where it is missing."""
        self._db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            with self.changing():
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        (layout,) = self._db.execute("PRAGMA user_version").fetchone()
        if layout > LAYOUT:
            raise sqlite3.DatabaseError(f"made by a later release (layout {layout}, known is {LAYOUT})")
        if layout < LAYOUT:
            for statement in _FROM_1 if layout else _TABLES.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {LAYOUT}")

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One change, whole or not at all; nobody else changes anything meanwhile."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def subjects(self, prefix: str, deleted: bool) -> list[str]:
        """The subjects that begin so and have versions; with `deleted`, hidden versions count too."""
        rows = self._db.execute(
            "SELECT DISTINCT subject FROM versions WHERE deleted <= ? AND substr(subject, 1, ?) = ? ORDER BY subject",
            (deleted, len(prefix), prefix),
        )
        return [subject for (subject,) in rows]

    def of_subject(self, subject: str) -> list[Entry]:
        """Every version of a subject, hidden ones too, in order."""
        return self._entries("WHERE subject = ? ORDER BY version", subject)

    def of_schema(self, schema_id: int) -> list[Entry]:
        """Every version that is the schema of this id, hidden ones too."""
        return self._entries("WHERE schema_id = ? ORDER BY subject, version", schema_id)

    def referring_to(self, subject: str, version: int) -> list[Entry]:
        """Every version, hidden ones too, whose schema refers to this one."""
        return self._entries(
            "WHERE EXISTS (SELECT 1 FROM json_each(refs) WHERE json_extract(value, '$.subject') = ?"
            " AND json_extract(value, '$.version') = ?) ORDER BY id",
            subject,
            version,
        )

    def _entries(self, where: str, *values: str | int) -> list[Entry]:
        return [
            Entry(
                subject,
                version,
                schema_id,
                kind,
                text,
                tuple(Reference(**reference) for reference in json.loads(refs)),
                identity,
                bool(deleted),
            )
            for subject, version, schema_id, kind, text, refs, identity, deleted in self._db.execute(
                _ENTRIES + where, values
            )
        ]

    def add(self, subject: str, version: int, row: Row) -> int:
        """Keep a schema as this version; returns its id, the same for the same schema under any subject."""
        kept = self._db.execute("SELECT id FROM schemas WHERE digest = ?", (row.digest,)).fetchone()
        schema_id = self._add_schema(row) if kept is None else int(kept[0])
        self._db.execute(
            "INSERT INTO versions (subject, version, schema_id) VALUES (?, ?, ?)",
            (subject, version, schema_id),
        )
        return schema_id

    def _add_schema(self, row: Row) -> int:
        refs = json.dumps([reference._asdict() for reference in row.references])
        cursor = self._db.execute(
            "INSERT INTO schemas (kind, text, refs, digest, identity, light) VALUES (?, ?, ?, ?, ?, ?)",
            (row.kind, row.text, refs, row.digest, row.identity, row.light),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def hide(self, subject: str, version: int) -> None:
        self._db.execute(
            "UPDATE versions SET deleted = 1 WHERE subject = ? AND version = ?", (subject, version)
        )

    def remove(self, subject: str, version: int) -> None:
        """Forget a version, and its schema if no other version is it."""
        self._db.execute("DELETE FROM versions WHERE subject = ? AND version = ?", (subject, version))
        self._db.execute("DELETE FROM schemas WHERE id NOT IN (SELECT schema_id FROM versions)")

    def level(self, subject: str) -> str | None:
        """The compatibility level set for a subject, of "" the global one; None where none is set."""
        row = self._db.execute("SELECT level FROM levels WHERE subject = ?", (subject,)).fetchone()
        return None if row is None else str(row[0])

    def set_level(self, subject: str, level: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO levels VALUES (?, ?)", (subject, level))

    def unset_level(self, subject: str) -> None:
        self._db.execute("DELETE FROM levels WHERE subject = ?", (subject,))
