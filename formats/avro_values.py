"""Avro values, one by one: a reader for each type, to what a record has in JSON.

A reader takes the bytes of a block and a position, and returns the value and the position behind it. What is cut
short or impossible raises one of `ERRORS`. Text that is not UTF-8 is returned with surrogates, which no
encoder takes, so that the position is not lost: its record is refused then.

    bytes, fixed                text if they are UTF-8, else base64
    decimal                     its digits, as text
    date, time-*                2026-11-20, 12:00:00.123456
    timestamp-*                 2026-11-20T12:00:00.123456Z, of the year 0001 to 9999, else the number with its unit
    local-timestamp-*           the same without Z
    any other logical type      the value of the type below it
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from uuid import UUID

from formats.avro_container import read_long
from formats.avro_schema import Type

Reader = Callable[[bytes, int], tuple[object, int]]
ERRORS = (ValueError, IndexError, RecursionError)

MICROSECONDS = {"millis": (1000, 1), "micros": (1, 1), "nanos": (1, 1000)}
"""The unit of a timestamp: multiplied by the one and divided by the other it is microseconds."""

_EPOCH = datetime(1970, 1, 1)
_DAY_US = 86_400_000_000


def compile_reader(type_: Type) -> Reader:
    """The reader of a type; the types of a record that contains itself are not endless."""
    return _Compiler().reader(type_)


def read_text(data: bytes, position: int) -> tuple[str, int]:
    """A string."""
    raw, position = read_bytes(data, position)
    return raw.decode("utf-8", "surrogateescape"), position


def read_bytes(data: bytes, position: int) -> tuple[bytes, int]:
    """Bytes behind their length."""
    size, position = read_long(data, position)
    return read_fixed(data, position, size)


def read_fixed(data: bytes, position: int, size: int) -> tuple[bytes, int]:
    """So many bytes."""
    if not 0 <= size <= len(data) - position:
        raise ValueError(f"{size} bytes announced, {len(data) - position} left")
    return data[position : position + size], position + size


def format_timestamp(value: int, logical: str) -> str:
    """A timestamp or local timestamp of any unit."""
    unit = logical.rpartition("-")[2]
    factor, divisor = MICROSECONDS[unit]
    try:
        text = (_EPOCH + timedelta(microseconds=value * factor // divisor)).isoformat(timespec="microseconds")
    except OverflowError:
        return f"{value} {unit}"
    return text if logical.startswith("local-") else text + "Z"


class _Compiler:
    def __init__(self) -> None:
        self._records: dict[int, Reader] = {}  # by identity: a type is alive as long as its readers

    def reader(self, type_: Type) -> Reader:
        """The reader of one type."""
        match type_.kind:
            case "record":
                return self._record(type_)
            case "union":
                return partial(_read_union, [self.reader(inner) for inner in type_.inner])
            case "array":
                return partial(_read_array, self.reader(type_.inner[0]))
            case "map":
                return partial(_read_map, self.reader(type_.inner[0]))
            case "enum":
                return partial(_read_enum, type_.symbols)
            case "fixed":
                return partial(_converted, partial(read_fixed, size=type_.size), _bytes_converter(type_))
            case "bytes":
                return partial(_converted, read_bytes, _bytes_converter(type_))
            case "int" | "long":
                converter = _number_converter(type_.logical)
                return read_long if converter is None else partial(_converted, read_long, converter)
        return _PRIMITIVES[type_.kind]

    def _record(self, type_: Type) -> Reader:
        known = self._records.get(id(type_))
        if known is None:
            readers: list[tuple[str, Reader]] = []
            known = self._records[id(type_)] = partial(_read_record, readers)
            readers += zip(type_.names, map(self.reader, type_.inner), strict=True)
        return known


def _read_null(data: bytes, position: int) -> tuple[object, int]:
    return None, position


def _read_boolean(data: bytes, position: int) -> tuple[object, int]:
    byte = data[position]
    if byte > 1:
        raise ValueError(f"{byte} is no boolean")
    return byte == 1, position + 1


def _read_float(form: str, size: int, data: bytes, position: int) -> tuple[object, int]:
    raw, position = read_fixed(data, position, size)
    return struct.unpack(form, raw)[0], position


def _read_enum(symbols: tuple[str, ...], data: bytes, position: int) -> tuple[object, int]:
    index, position = read_long(data, position)
    if index < 0:
        raise ValueError(f"{index} is no symbol")
    return symbols[index], position


def _read_union(readers: list[Reader], data: bytes, position: int) -> tuple[object, int]:
    index, position = read_long(data, position)
    if index < 0:
        raise ValueError(f"{index} is no branch of a union")
    return readers[index](data, position)


def _read_record(readers: list[tuple[str, Reader]], data: bytes, position: int) -> tuple[object, int]:
    record = {}
    for name, reader in readers:
        record[name], position = reader(data, position)
    return record, position


def _read_count(data: bytes, position: int) -> tuple[int, int]:
    """How many items follow; if negative, their size in bytes comes first."""
    count, position = read_long(data, position)
    if count < 0:
        count = -count
        _, position = read_long(data, position)
    if count > len(data) - position:
        raise ValueError(f"{count} items announced, {len(data) - position} bytes left")
    return count, position


def _read_array(reader: Reader, data: bytes, position: int) -> tuple[object, int]:
    items: list[object] = []
    while True:
        count, position = _read_count(data, position)
        if count == 0:
            return items, position
        for _ in range(count):
            item, position = reader(data, position)
            items.append(item)


def _read_map(reader: Reader, data: bytes, position: int) -> tuple[object, int]:
    values: dict[str, object] = {}
    while True:
        count, position = _read_count(data, position)
        if count == 0:
            return values, position
        for _ in range(count):
            name, position = read_text(data, position)
            values[name], position = reader(data, position)


def _converted(
    reader: Callable[[bytes, int], tuple[object, int]],
    convert: Callable[..., object],
    data: bytes,
    position: int,
) -> tuple[object, int]:
    value, position = reader(data, position)
    return convert(value), position


_PRIMITIVES: dict[str, Reader] = {
    "null": _read_null,
    "boolean": _read_boolean,
    "float": partial(_read_float, "<f", 4),
    "double": partial(_read_float, "<d", 8),
    "string": read_text,
}


def _bytes_converter(type_: Type) -> Callable[[bytes], str]:
    if type_.logical == "decimal":
        return partial(_decimal, type_.scale)
    if type_.logical == "uuid" and type_.size == 16:
        return lambda raw: str(UUID(bytes=raw))
    return _bytes_text


def _bytes_text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode()


def _decimal(scale: int, raw: bytes) -> str:
    if len(raw) > 1024:  # turning digits into text takes quadratic time
        raise ValueError(f"a decimal of {len(raw)} bytes")
    value = int.from_bytes(raw, "big", signed=True)
    digits = str(abs(value)).zfill(scale + 1)
    point = len(digits) - scale
    return ("-" if value < 0 else "") + digits[:point] + ("." + digits[point:] if scale else "")


def _number_converter(logical: str) -> Callable[[int], object] | None:
    match logical:
        case "date":
            return _date
        case "time-millis":
            return lambda value: _time(value * 1000)
        case "time-micros":
            return _time
        case "timestamp-millis" | "timestamp-micros" | "timestamp-nanos":
            return partial(format_timestamp, logical=logical)
        case "local-timestamp-millis" | "local-timestamp-micros" | "local-timestamp-nanos":
            return partial(format_timestamp, logical=logical)
    return None


def _date(days: int) -> object:
    try:
        return (date(1970, 1, 1) + timedelta(days=days)).isoformat()
    except OverflowError:
        return days


def _time(microseconds: int) -> object:
    if not 0 <= microseconds < _DAY_US:
        return microseconds
    return (_EPOCH + timedelta(microseconds=microseconds)).time().isoformat(timespec="microseconds")
