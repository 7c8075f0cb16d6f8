"""The database: whole changes only, and readers beside the writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestd.registry.store import Reference, Row, Store

PATH = "registry.db"
INT = Row("AVRO", '"int"', (), b"int")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / PATH)
    yield made
    made.close()


def test_a_change_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(KeyError), store.changing():
        store.add("a", 1, INT)
        raise KeyError
    assert store.subjects("", deleted=True) == []


def test_another_process_reads_while_one_writes(store: Store, tmp_path: Path) -> None:
    other = sqlite3.connect(f"file:{tmp_path / PATH}?mode=ro", uri=True, timeout=0)
    before = other.execute("PRAGMA data_version").fetchone()
    with store.changing():
        store.add("a", 1, INT)
        assert other.execute("SELECT count(*) FROM versions").fetchone() == (0,)
    assert other.execute("SELECT subject, version FROM versions").fetchall() == [("a", 1)]
    assert other.execute("PRAGMA data_version").fetchone() != before
    other.close()


def test_only_one_changes_at_a_time(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestd.registry.store.BUSY_TIMEOUT_S", 0.0)
    other = Store(tmp_path / PATH)
    with store.changing(), pytest.raises(sqlite3.OperationalError, match="locked"), other.changing():
        pass
    other.close()


def test_a_schema_lives_as_long_as_a_version_of_it(store: Store) -> None:
    schema_id = store.add("a", 1, INT)
    assert store.add("b", 1, INT) == schema_id
    store.remove("a", 1)
    assert [entry.subject for entry in store.of_schema(schema_id)] == ["b"]
    store.remove("b", 1)
    assert store.of_schema(schema_id) == []
    assert store.add("a", 1, INT) == schema_id + 1


def test_references_are_found_from_both_ends(store: Store) -> None:
    store.add("a", 1, INT)
    reference = Reference("A", "a", 1)
    store.add("b", 1, Row("AVRO", '"A"', (reference,), b"b"))
    assert store.of_subject("b")[0].references == (reference,)
    assert [entry.subject for entry in store.referring_to("a", 1)] == ["b"]
    assert store.referring_to("a", 2) == store.referring_to("b", 1) == []


def test_levels(store: Store) -> None:
    assert store.level("a") is None
    store.set_level("a", "FULL")
    store.set_level("a", "NONE")
    assert store.level("a") == "NONE"
    store.unset_level("a")
    assert store.level("a") is None


def test_a_database_of_the_first_layout_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / PATH
    before = Store(path)
    before.add("a", 1, INT)
    before.close()
    db = sqlite3.connect(path)
    db.executescript("ALTER TABLE schemas DROP COLUMN light; PRAGMA user_version = 1")
    db.close()
    for _ in range(2):
        after = Store(path)
        assert [entry.text for entry in after.of_subject("a")] == [INT.text]
        after.close()
    assert sqlite3.connect(path).execute("SELECT light FROM schemas").fetchall() == [(0,)]


def test_a_database_of_a_later_release_is_refused(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / PATH)
    db.execute("PRAGMA user_version = 1000")
    db.close()
    with pytest.raises(sqlite3.DatabaseError, match="later release"):
        Store(tmp_path / PATH)
