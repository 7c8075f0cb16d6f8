"""The catalog over a real registry database: names, versions, take-up, and what happens to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestd.registry.store import Reference, Row, Store
from ingestd.schema.catalog import Catalog, UnknownSchemaError


class Shelf:
    """A registry's database, written as the registry does."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)

    def put(
        self,
        subject: str,
        version: int,
        schema: Any,
        *references: Reference,
        kind: str = "JSON",
        light: bool = False,
    ) -> None:
        text = json.dumps(schema)
        row = Row(kind, text, references, hashlib.sha256(text.encode()).digest(), light)
        with self.store.changing():
            self.store.add(subject, version, row)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def shelf(path: Path) -> Iterator[Shelf]:
    made = Shelf(path)
    yield made
    made.store.close()


@pytest.fixture
def catalog(path: Path) -> Iterator[Catalog]:
    made = Catalog(path, {"hostname"})
    yield made
    made._close()


def name_of(catalog: Catalog, name: str) -> str:
    schema = catalog.named(name)()
    assert schema is not None
    return schema.name


def test_names(shelf: Shelf, catalog: Catalog) -> None:
    shelf.put("orders", 1, {"required": ["a"]})
    shelf.put("orders", 2, {"required": ["b"]})
    shelf.put("user@example.org", 1, True)
    shelf.put("avro", 1, "string", kind="AVRO")
    shelf.put("mixed", 1, {"title": "json"})
    shelf.put("mixed", 2, "int", kind="AVRO")
    catalog.look()
    assert name_of(catalog, "orders") == name_of(catalog, "orders@latest") == "orders@2"
    assert name_of(catalog, "orders@1") == "orders@1"
    assert name_of(catalog, "user@example.org") == "user@example.org@1"
    assert name_of(catalog, "mixed@1") == "mixed@1"
    for unknown in ("nobody", "orders@3", "avro", "mixed", "", "@1", "orders@" + "9" * 400):
        with pytest.raises(UnknownSchemaError, match="unknown schema "):
            catalog.named(unknown)


def test_a_change_is_taken_up_by_who_holds_the_name(shelf: Shelf, catalog: Catalog) -> None:
    configured = catalog.configured("orders")
    catalog.look()
    assert configured() is None
    shelf.put("orders", 1, {"required": ["a"]})
    catalog.look()
    named, pinned = catalog.named("orders"), catalog.named("orders@1")
    first = named()
    assert first is configured() is pinned() is not None
    shelf.put("orders", 2, {"required": ["b"]})
    assert named() is first
    catalog.look()
    second = named()
    assert second is configured() is not None
    assert second.name == "orders@2"
    assert pinned() is first, "what has not changed is not compiled again"
    with shelf.store.changing():
        shelf.store.hide("orders", 1)
        shelf.store.hide("orders", 2)
    catalog.look()
    assert named() is second, "who has named it keeps it"
    with pytest.raises(UnknownSchemaError):
        catalog.named("orders")


def test_references_of_references(shelf: Shelf, catalog: Catalog) -> None:
    shelf.put("id", 1, {"type": "integer"})
    shelf.put("order", 1, {"properties": {"id": {"$ref": "id.json"}}}, Reference("id.json", "id", 1))
    shelf.put("top", 1, {"$ref": "order.json"}, Reference("order.json", "order", 1))
    catalog.look()
    schema = catalog.named("top")()
    assert schema is not None
    assert schema.why_not(b'{"id":1}\n') == ""
    assert schema.why_not(b'{"id":"x"}\n').startswith("top@1 /id: ")


def test_one_that_takes_for_ever_is_not_taken_up_and_others_are(shelf: Shelf, catalog: Catalog) -> None:
    """Judging any record by it would double with each of sixty references."""
    bomb = {
        f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]} for n in range(60)
    }
    shelf.put("a", 1, {"allOf": [True]})
    shelf.put("bomb", 1, {"$ref": "#/$defs/a0", "$defs": {**bomb, "a60": {"type": "object"}}})
    shelf.put("c", 1, {"allOf": [True]})
    catalog.look()
    assert (name_of(catalog, "a"), name_of(catalog, "c")) == ("a@1", "c@1")
    with pytest.raises(UnknownSchemaError):
        catalog.named("bomb")


def test_what_the_registry_tried_is_taken_up_without_a_process(
    shelf: Shelf, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of its own is what takes seconds where senders leave no core free."""
    shelf.put("id", 1, {"type": "integer"}, light=True)
    shelf.put("a", 1, {"$ref": "id.json"}, Reference("id.json", "id", 1), light=True)
    shelf.put("plain", 1, {"required": ["a"]})
    monkeypatch.setattr("subprocess.Popen", None)
    catalog.look()
    assert {name_of(catalog, name) for name in ("id", "a", "plain")} == {"id@1", "a@1", "plain@1"}
    shelf.put("b", 1, {"allOf": [True]})
    with pytest.raises(TypeError):
        catalog.look()


def test_a_database_that_is_missing_damaged_or_another(
    path: Path, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    catalog.look()
    path.write_bytes(b"this is no database" * 100)
    catalog.look()
    path.unlink()
    first = Shelf(path)
    first.put("orders", 1, {"required": ["a"]})
    catalog.look()
    named = catalog.named("orders")
    kept = named()
    assert kept is not None
    first.store.close()
    for name in path.parent.glob("registry.db*"):
        name.unlink()
    catalog.look()
    assert named() is kept
    path.write_bytes(b"garbage" * 1000)
    catalog.look()
    assert named() is kept
    assert catalog.named("orders")() is kept
    path.unlink()
    other = Shelf(path)
    other.put("orders", 1, {"required": ["b"]})
    catalog.look()
    taken = named()
    assert taken is not None
    assert taken is not kept
    other.store.close()
