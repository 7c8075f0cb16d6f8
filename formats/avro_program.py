"""What an Avro schema is to the compiled kernel (formats/kernel/avro_*.pyx): for each field what to read, and how.

The kernel takes records that have all core fields by their own names, strings, enums or timestamps, null in a union at
most. Any other field may be of any type: what the kernel does not know (`other`) the reader of that type reads for it.
Only types without end, or nested deep, are left: where the stack of Python ends depends on who calls.
"""

from __future__ import annotations

import sys

from formats.avro_schema import Type
from formats.avro_values import MICROSECONDS, compile_reader
from formats.kernel.avro_program import Program
from formats.record import CORE_FIELDS

_DEEPEST = 16
_AS_THEY_ARE = frozenset({"string", "enum", "boolean", "null"})
_CONVERTED = frozenset({"date", "time-millis", "time-micros"})
_TEXTS = frozenset({"string", "enum"})


def compile_program(record: Type) -> Program | None:
    """The program for records of this type; None if they are left to Python."""
    if not set(CORE_FIELDS) <= set(record.names) or _height(record, {}, 0) > _DEEPEST:
        return None
    fields = []
    for name, type_ in zip(record.names, record.inner, strict=True):
        null, inner = _without_null(type_)
        kind = _kind(inner)
        role = len(CORE_FIELDS)
        if name in CORE_FIELDS:
            role = CORE_FIELDS.index(name)
            is_moment = name == "timestamp" and null < 0 and kind.startswith("timestamp ")
            if kind not in _TEXTS and not is_moment:
                return None
        fields.append((name, kind, role, null, inner.symbols, compile_reader(type_)))
    return Program(fields)


def _without_null(type_: Type) -> tuple[int, Type]:
    """Which of two branches is null (-1: no such union), and the other one."""
    kinds = [inner.kind for inner in type_.inner]
    if type_.kind != "union" or len(kinds) != 2 or kinds.count("null") != 1:
        return -1, type_
    null = kinds.index("null")
    return null, type_.inner[1 - null]


def _kind(type_: Type) -> str:
    """As the kernel calls it."""
    match type_.kind:
        case "int" | "long":
            family, _, unit = type_.logical.rpartition("-")
            if family in ("timestamp", "local-timestamp") and unit in MICROSECONDS:
                return f"{family} {unit}"
            return "other" if type_.logical in _CONVERTED else "long"
        case "bytes" if type_.logical != "decimal":
            return "bytes"
        case "array" | "map" if type_.inner[0].kind == "string":
            return type_.kind
        case "float" | "double" if sys.byteorder == "little":
            return type_.kind
    return type_.kind if type_.kind in _AS_THEY_ARE else "other"


def _height(type_: Type, heights: dict[int, int], depth: int) -> int:
    """How deep types are nested in it; over `_DEEPEST` if too deep, or without end."""
    known = _DEEPEST + 1 if depth > _DEEPEST else heights.get(id(type_))
    if known is None:
        heights[id(type_)] = _DEEPEST + 1
        known = 1 + max((_height(inner, heights, depth + 1) for inner in type_.inner), default=0)
        heights[id(type_)] = known
    return known
