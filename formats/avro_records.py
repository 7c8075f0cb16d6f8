"""Avro records, a block at a time: for each schema a function that makes a list per field.

The function is written out for the schema and compiled once, since looking up what a field is, and handing
values and positions to and fro, is most of what a record costs; for text, enums and whole numbers, which are most of
a log, nothing is called at all. Text is cut from the block as if it were Latin-1, numbers are only found; both are
made right afterwards, a column at a time: in a column of ASCII there is nothing to do, and numpy reads all numbers at
once. For all other types the readers of formats.avro_values are called.

A log record of six fields takes 750 ns to its columns; the block reader of fastavro takes 1,400 to a dict.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from formats import kernel
from formats.avro_container import read_long
from formats.avro_schema import Measure, SchemaError, Type, parse
from formats.avro_values import ERRORS, MICROSECONDS, compile_reader, format_timestamp

if kernel.COMPILED:
    from formats.avro_program import compile_program
    from formats.kernel.avro_program import Program

_TEXT, _NUMBER, _VALUE = "text", "number", "value"  # what a column is before it is made right
_TIMESTAMPS = frozenset(f"timestamp-{unit}" for unit in MICROSECONDS)
_VARINT_BYTES = 10
_FEW = 32  # numbers are read one by one: a call of numpy takes a microsecond
_EPOCH = datetime(1970, 1, 1)
_9999_S = 253_402_300_800  # the first second of the year 10000
_THOUSAND = tuple(f"{number:03d}" for number in range(1000))

_Read = Callable[[bytes, str, int, list[list[Any]]], int]


class Block(NamedTuple):
    """What was read: `rows` records in `columns`, up to `end`; `error` tells why not more."""

    columns: list[list[Any]]
    rows: int
    end: int
    error: str


class _Field(NamedTuple):
    name: str
    type: Type
    column: str
    null: int | None  # which branch is null, of a union of null and text

    @property
    def core(self) -> Type:
        """The type of values that are not null."""
        return self.type if self.null is None else self.type.inner[1 - self.null]


class Records:
    """Reads blocks of records of one schema. SchemaError if it is none of records.

    `names` are those of the fields; `texts` are the fields of which every value is text or null. `json_bytes` is how
    much JSON may come of a byte.
    """

    def __init__(self, schema: bytes) -> None:
        type_ = parse(schema)
        if type_.kind != "record":
            raise SchemaError(f"the schema is not one of a record but of: {type_.kind}")
        measure = Measure()
        try:
            measure.least_bytes(type_)
            self._fields = [_field(name, inner) for name, inner in zip(type_.names, type_.inner, strict=True)]
            self._read = _compile(self._fields)
        except RecursionError as error:
            raise SchemaError("a schema nested too deep") from error
        self.json_bytes = measure.json_bytes
        self.names = type_.names
        self.texts = frozenset(field.name for field in self._fields if _is_text(field))
        self._type = type_

    @cached_property
    def program(self) -> Program | None:
        """What the compiled kernel reads them by, None if it does not. Only where `kernel.COMPILED`."""
        return compile_program(self._type)

    def read(self, data: bytes, records: int) -> Block:
        """Read so many records, or all before the first that cannot be read."""
        columns: list[list[Any]] = [[] for _ in self._fields]
        error = ""
        ends: list[int] = []
        columns.append(ends)
        try:
            self._read(data, data.decode("latin-1"), records, columns)
        except ERRORS as caught:
            error = f"record {len(ends) + 1} of {records}: {caught}"
        columns.pop()
        rows = len(ends)
        for field, column in zip(self._fields, columns, strict=True):
            del column[rows:]
            if field.column == _TEXT:
                _decode_text(column)
            elif field.column == _NUMBER:
                whole = _decode_numbers(column, data, field.type.logical)
                if whole < rows:
                    rows = whole
                    error = f"record {rows + 1} of {records}: a varint of more than 64 bits"
        for column in columns:
            del column[rows:]
        return Block(columns, rows, ends[rows - 1] if rows else 0, error)


def _field(name: str, type_: Type) -> _Field:
    if type_.kind == "union" and len(type_.inner) == 2:
        kinds = [inner.kind for inner in type_.inner]
        if "null" in kinds and kinds[1 - kinds.index("null")] in ("string", "enum"):
            return _Field(name, type_, _TEXT, kinds.index("null"))
    if type_.kind in ("string", "enum"):
        return _Field(name, type_, _TEXT, None)
    if type_.kind in ("int", "long") and (not type_.logical or type_.logical in _TIMESTAMPS):
        return _Field(name, type_, _NUMBER, None)
    return _Field(name, type_, _VALUE, None)


def _is_text(field: _Field) -> bool:
    return field.column == _TEXT or (field.column == _NUMBER and field.type.logical in _TIMESTAMPS)


# The length that one byte stands for: a zigzag varint halved. FF is one that goes on, or is negative.
_SHORT = bytes(0xFF if octet & 0x81 else octet >> 1 for octet in range(256))

# The code of a field. {i} is its number, p the position; what is wrong raises one of ERRORS, here or at the next byte.
_LENGTH = """
n = lengths[p]
p += 1
if n == 0xFF:
    n, p = length(data, p - 1)
"""
_CODE = {
    "string": _LENGTH + "e = p + n\na{i}(text[p:e])\np = e\n",
    "enum": _LENGTH + "a{i}(s{i}[n])\n",
    "number": "a{i}(p)\nwhile data[p] > 0x7F:\n    p += 1\np += 1\n",
    "value": "n, p = r{i}(data, p)\na{i}(n)\n",
}
_NULLABLE = """
n = data[p]
p += 1
if n == {null}:
    a{i}(None)
elif n == {other}:
{code}else:
    raise ValueError("no branch of a union")
"""
_FUNCTION = """
def read(data, text, records, columns):
    {appends}, done = [column.append for column in columns]
    lengths = data.translate(short)
    size = len(data)
    p = 0
    for _ in range(records):
{code}        if p > size:
            raise IndexError("cut short")
        done(p)
"""


def _compile(fields: list[_Field]) -> _Read:
    scope: dict[str, Any] = {"length": _read_length, "short": _SHORT}
    code = ""
    for index, field in enumerate(fields):
        kind = field.core.kind if field.column == _TEXT else field.column
        lines = _CODE[kind].format(i=index)
        if field.null is not None:
            lines = _NULLABLE.format(
                i=index, null=2 * field.null, other=2 - 2 * field.null, code=_indent(lines, 1)
            )
        code += _indent(lines, 2)
        scope[f"s{index}"] = field.core.symbols
        if field.column == _VALUE:
            scope[f"r{index}"] = compile_reader(field.type)
    appends = ", ".join(f"a{index}" for index in range(len(fields)))
    exec(_FUNCTION.format(appends=appends, code=code), scope)  # nothing of the schema's own text is in it
    return cast(_Read, scope["read"])


def _indent(code: str, levels: int) -> str:
    return "".join("    " * levels + line + "\n" for line in code.strip("\n").split("\n"))


def _read_length(data: bytes, position: int) -> tuple[int, int]:
    length, position = read_long(data, position)
    if length < 0:
        raise ValueError(f"a length of {length}")
    return length, position


def _decode_text(column: list[str | None]) -> None:
    """From Latin-1 to UTF-8; what is none gets surrogates, which no encoder takes."""
    if not "".join(filter(None, column)).isascii():
        column[:] = [
            text
            if text is None or text.isascii()
            else text.encode("latin-1").decode("utf-8", "surrogateescape")
            for text in column
        ]


def _decode_numbers(column: list[Any], data: bytes, logical: str) -> int:
    """From positions to numbers, or what they stand for; returns how many there were before one too long."""
    if len(column) < _FEW:
        return _decode_few_numbers(column, data, logical)
    padded = np.frombuffer(data + bytes(_VARINT_BYTES), np.uint8)
    positions = np.array(column, np.int64)
    values = np.zeros(len(positions), np.uint64)
    more = np.ones(len(positions), np.bool_)
    for index in range(_VARINT_BYTES):
        byte = padded[positions + index]
        values |= np.where(more, byte & 0x7F, 0).astype(np.uint64) << np.uint64(7 * index)
        if index == _VARINT_BYTES - 1:
            more &= byte > 1
        else:
            more &= byte > 0x7F
        if not more.any():
            break
    signed = (values >> np.uint64(1)).astype(np.int64) ^ -(values & np.uint64(1)).astype(np.int64)
    column[:] = _format_timestamps(signed, logical) if logical else signed.tolist()
    return int(np.flatnonzero(more)[0]) if more.any() else len(column)


def _decode_few_numbers(column: list[Any], data: bytes, logical: str) -> int:
    for index, position in enumerate(column):
        try:
            value, _ = read_long(data, position)
        except ValueError:
            return index
        column[index] = format_timestamp(value, logical) if logical else value
    return len(column)


def _format_timestamps(values: NDArray[np.int64], logical: str) -> list[str]:
    factor, divisor = MICROSECONDS[logical.rpartition("-")[2]]
    per_second = 1_000_000 // factor * divisor
    seconds, rest = np.divmod(values, per_second)
    if len(values) and (seconds.min() < 0 or seconds.max() >= _9999_S):
        return [format_timestamp(value, logical) for value in values.tolist()]
    micros = rest * factor // divisor
    millis, micros = np.divmod(micros, 1000)
    distinct, which = np.unique(seconds, return_inverse=True)
    texts = [(_EPOCH + timedelta(seconds=second)).isoformat() + "." for second in distinct.tolist()]
    three = _THOUSAND
    return [
        f"{texts[second]}{three[milli]}{three[micro]}Z"
        for second, milli, micro in zip(which.tolist(), millis.tolist(), micros.tolist(), strict=True)
    ]
