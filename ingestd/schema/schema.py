"""One JSON schema, ready to judge records.

A block is decoded once into the Struct that structs.py makes of the schema; it is good if that works. Only what does
not pass so, and every record of a schema that has no such Struct, goes to jsonschema-rs, which also says where in the
record and by which rule a record failed. Nothing is ever fetched: a reference leads into the schema or to those it
was registered with.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

import jsonschema_rs
import msgspec
from jsonschema_rs import RegexOptions, Registry, ValidationError

from ingestd.schema.structs import decoder

_MAX_PATH_CHARS: Final = 70

#: Keywords whose schemas speak of the same object as the one they stand in.
_IN_PLACE_LISTS: Final = ("allOf", "anyOf", "oneOf")
_IN_PLACE: Final = ("if", "then", "else", "not")
_CLOSING: Final = ("additionalProperties", "unevaluatedProperties")


class UnusableSchemaError(Exception):
    """This is no JSON schema; `str()` says why."""


class Source(NamedTuple):
    """A version of a subject as the registry keeps it. Two that are equal are one schema."""

    subject: str
    version: int
    text: str
    references: tuple[tuple[str, str], ...]
    """Name and text of the schemas it refers to, those referred to by these included."""


class Schema:
    """A schema ready to judge. `name` is shown with what it refuses."""

    def __init__(self, name: str, value: Any, references: Iterable[tuple[str, Any]] = ()) -> None:
        """Raises UnusableSchemaError."""
        self.name = name
        try:
            registry = Registry(list(references), retriever=_refuse)
            self._validator = jsonschema_rs.validator_for(
                value, registry=registry, pattern_options=RegexOptions(), offline=True
            )
        except (ValidationError, ValueError, RecursionError, jsonschema_rs.ReferencingError) as error:
            raise UnusableSchemaError(getattr(error, "message", "") or str(error)) from error
        self._decoder = decoder(value)

    @classmethod
    def of(cls, source: Source, own_names: Collection[str]) -> Schema:
        """The schema of a subject; `own_names` are fields that the daemon adds, and never too many for it.

        Raises UnusableSchemaError.
        """
        try:
            value = json.loads(source.text)
            references = [(name, json.loads(text)) for name, text in source.references]
            _open(value, value, own_names, set())
        except (ValueError, RecursionError) as error:
            raise UnusableSchemaError(f"not JSON: {error}") from error
        return cls(f"{source.subject}@{source.version}", value, references)

    @property
    def is_compiled(self) -> bool:
        """Whether good records cost no more than decoding them."""
        return self._decoder is not None

    def admits(self, block: bytes) -> bool:
        """Whether all lines of a block are seen to be good at once. False says only: look at each."""
        if self._decoder is None:
            return False
        try:
            self._decoder.decode_lines(block)
        except (msgspec.DecodeError, RecursionError):
            return False
        return True

    def why_not(self, line: bytes) -> str:
        """Where a record fails and by which rule, as long as the record makes it; empty if it does not."""
        if self.admits(line):
            return ""
        try:
            value = _decode(line)
            error = next(self._validator.iter_errors(value), None)
        except (ValueError, RecursionError) as problem:  # numbers of thousands of digits, or too deep
            return self._told(f"cannot be read: {problem}")
        if error is None:
            return ""
        at, rule = _pointer(error.instance_path), _pointer(error.schema_path)
        return self._told(f"{at or '/'}: rule {rule}: {error.message}")

    def _told(self, text: str) -> str:
        return f"{self.name} {text}".encode(errors="replace").decode()


def _decode(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:
        return json.loads(line)  # numbers beyond a double


def _pointer(path: Sequence[str | int]) -> str:
    """A JSON Pointer (RFC 6901), cut in the middle: senders choose how long it is."""
    text = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
    half = _MAX_PATH_CHARS // 2
    return text if len(text) <= _MAX_PATH_CHARS else f"{text[:half]}…{text[-half:]}"


def _open(schema: Any, root: Any, names: Collection[str], seen: set[int]) -> None:
    """Let a schema that admits only the fields it names admit `names` as well, wherever it speaks of the record."""
    if not isinstance(schema, dict) or id(schema) in seen:
        return
    seen.add(id(schema))
    if any(keyword in schema for keyword in _CLOSING) and isinstance(
        schema.setdefault("properties", {}), dict
    ):
        for name in names:
            schema["properties"].setdefault(name, True)
    inner = [schema.get(keyword) for keyword in _IN_PLACE]
    for keyword in _IN_PLACE_LISTS:
        if isinstance(branches := schema.get(keyword), list):
            inner += branches
    if isinstance(reference := schema.get("$ref"), str) and reference.startswith("#"):
        inner.append(_target(root, reference[1:]))
    for branch in inner:
        _open(branch, root, names, seen)


def _target(root: Any, pointer: str) -> Any:
    """What a reference within the schema leads to, by objects alone; None where that cannot be told."""
    value = root
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not among the references of this schema")
