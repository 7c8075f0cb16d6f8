"""Avro schemas: from their JSON to a tree of types, every name resolved.

https://avro.apache.org/docs/1.12.0/specification/#schema-declaration

A schema comes from the sender, so it is bounded, in bytes and in types. `measure` tells how much JSON may come of a
byte; what could make any amount of nothing is refused. What is not understood of a type (a logical type unknown,
properties of one's own) is passed over, as the specification asks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

PRIMITIVE = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_NAMED = frozenset({"record", "error", "enum", "fixed"})
_SCHEMA_BYTES = 256 << 10
_TYPES = 2_000  # a reader for them is made in a quarter of a second
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FULL_NAME = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*\.)*[A-Za-z_][A-Za-z0-9_]*")


class SchemaError(ValueError):
    """It is not a schema, or one that is not taken; says why."""


@dataclass(slots=True, eq=False)
class Type:
    """One type. Which of the fields mean something depends on `kind`, a name of the specification."""

    kind: str
    logical: str = ""
    symbols: tuple[str, ...] = ()  # of an enum
    size: int = 0  # of a fixed
    scale: int = 0  # of a decimal
    inner: list[Type] = field(default_factory=list)  # fields of a record, branches of a union, items, values
    names: tuple[str, ...] = ()  # of the fields of a record


def parse(schema: bytes) -> Type:
    """Read a schema. Raises SchemaError."""
    if len(schema) > _SCHEMA_BYTES:
        raise SchemaError(f"a schema of {len(schema)} bytes; at most {_SCHEMA_BYTES} are taken")
    try:
        return _Parser().type(msgspec.json.decode(schema), "")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SchemaError(f"avro.schema is not JSON: {error}") from error
    except RecursionError as error:
        raise SchemaError("a schema nested too deep") from error


class Measure:
    """How few bytes a value takes, and how many bytes of JSON may come of one byte."""

    def __init__(self) -> None:
        self.json_bytes = 32  # of numbers read as timestamps; text escaped takes 6 times its bytes
        self._least: dict[int, int] = {}

    def least_bytes(self, type_: Type) -> int:
        """The fewest bytes of a value. Raises SchemaError for records and items of arrays that take none."""
        known = self._least.get(id(type_))
        if known is None:
            self._least[id(type_)] = 1  # of a record within itself
            known = self._least[id(type_)] = self._measure(type_)
        return known

    def _measure(self, type_: Type) -> int:
        inner = [self.least_bytes(each) for each in type_.inner]
        match type_.kind:
            case "null":
                return 0
            case "float":
                return 4
            case "double":
                return 8
            case "fixed":
                return type_.size
            case "record":
                least = sum(inner)
                if least == 0:
                    raise SchemaError("a record that takes no bytes")
                self._note(sum(len(name) + 8 for name in type_.names), least)
                return least
            case "array" if inner == [0]:
                raise SchemaError("an array whose items take no bytes")
            case "enum":
                self._note(max(map(len, type_.symbols)) + 3, 1)
            case "bytes":
                self._note(type_.scale + 4, 1)
        return 1

    def _note(self, json_bytes: int, least_bytes: int) -> None:
        self.json_bytes = max(self.json_bytes, -(-json_bytes // least_bytes))


class _Parser:
    def __init__(self) -> None:
        self._named: dict[str, Type] = {}
        self._count = 0

    def type(self, schema: object, namespace: str) -> Type:
        """Read one type and those within it."""
        self._count += 1
        if self._count > _TYPES:
            raise SchemaError(f"a schema of more than {_TYPES} types")
        match schema:
            case str():
                return self._by_name(schema, namespace)
            case list():
                return self._union(schema, namespace)
            case {"type": str() as kind, **properties} if kind in _NAMED:
                return self._definition(kind, properties, namespace)
            case {"type": "array", "items": items}:
                return Type("array", inner=[self.type(items, namespace)])
            case {"type": "map", "values": values}:
                return Type("map", inner=[self.type(values, namespace)])
            case {"type": str() as kind, **properties} if kind in PRIMITIVE:
                return _with_logical(Type(kind), properties)
            case {"type": inner}:
                return self.type(inner, namespace)
        raise SchemaError(f"not a type: {_shown(schema)}")

    def _by_name(self, name: str, namespace: str) -> Type:
        if name in PRIMITIVE:
            return Type(name)
        known = self._named.get(_full_name(name, namespace)) or self._named.get(name)
        if known is None:
            raise SchemaError(f"no type of the name {_shown(name)}")
        return known

    def _union(self, branches: list[object], namespace: str) -> Type:
        if any(isinstance(branch, list) for branch in branches):
            raise SchemaError("a union within a union")
        return Type("union", inner=[self.type(branch, namespace) for branch in branches])

    def _definition(self, kind: str, schema: Mapping[Any, object], namespace: str) -> Type:
        name = schema.get("name")
        own_namespace = schema.get("namespace", namespace)
        if not isinstance(name, str) or not _FULL_NAME.fullmatch(name) or not isinstance(own_namespace, str):
            raise SchemaError(f"{kind} without a proper name: {_shown(name)}")
        full_name = _full_name(name, own_namespace)
        if full_name in self._named:
            raise SchemaError(f"the name {_shown(full_name)} twice")
        type_ = self._named[full_name] = Type("record" if kind == "error" else kind)
        match kind, schema:
            case "enum", {"symbols": [*symbols]} if symbols and all(isinstance(it, str) for it in symbols):
                type_.symbols = tuple(map(str, symbols))
            case "fixed", {"size": int() as size} if size >= 0 and not isinstance(size, bool):
                type_.size = size
                _with_logical(type_, schema)
            case "record" | "error", {"fields": [*fields]}:
                self._fields(type_, fields, full_name.rpartition(".")[0])
            case _:
                raise SchemaError(f"an incomplete {kind}: {_shown(full_name)}")
        return type_

    def _fields(self, record: Type, fields: list[object], namespace: str) -> None:
        names = []
        for each in fields:
            match each:
                case {"name": str() as name, "type": schema} if _NAME.fullmatch(name):
                    names.append(name)
                    record.inner.append(self.type(schema, namespace))
                case _:
                    raise SchemaError(f"not a field: {_shown(each)}")
        if len(set(names)) < len(names):
            raise SchemaError("a field twice in a record")
        record.names = tuple(names)


def _with_logical(type_: Type, schema: Mapping[Any, object]) -> Type:
    logical, scale = schema.get("logicalType"), schema.get("scale", 0)
    if isinstance(logical, str) and isinstance(scale, int) and 0 <= scale <= 1000:
        type_.logical, type_.scale = logical, scale
    return type_


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _shown(value: object) -> str:
    return repr(value)[:80]
