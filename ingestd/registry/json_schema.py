"""JSON schemas (drafts 4 to 2020-12), by jsonschema-rs.

A schema is accepted if the meta-schema of its draft accepts it and every reference is found in it or among the schemas
it was registered with: nothing is ever fetched. One schema reads what another writes if it admits all that the other
admits, as far as the library can prove; what it cannot prove counts as incompatible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import jsonschema_rs
from jsonschema_rs import CanonicalSchema, RegexOptions, Registry, ValidationError
from jsonschema_rs.canonical import CanonicalizationError, Containment

from ingestd.registry.errors import SchemaError
from ingestd.registry.parsed import Parsed, Source, load_json, of_json

#: Regular expressions in linear time (without back-references and look-around), whoever wrote them.
PATTERNS: Final = RegexOptions()


class JsonSchema(NamedTuple):
    """A schema and those it refers to."""

    value: Any
    registry: Registry


def parse(text: str, references: Sequence[Source]) -> Parsed:
    """Read a schema. Raises SchemaError."""
    value = load_json(text)
    if not isinstance(value, dict | bool):
        raise SchemaError("a JSON schema is an object, true or false")
    try:
        registry = Registry(
            [(reference.name, load_json(reference.text)) for reference in references], retriever=_refuse
        )
        jsonschema_rs.validator_for(value, registry=registry, pattern_options=PATTERNS, offline=True)
    except (ValidationError, ValueError, jsonschema_rs.ReferencingError) as error:
        raise SchemaError(getattr(error, "message", "") or str(error)) from error
    return of_json(value, JsonSchema(value, registry))


def why_not(reader: JsonSchema, writer: JsonSchema) -> list[str]:
    """Why `reader` may not admit all that `writer` admits."""
    try:
        admits = _canonical(reader).covers(_canonical(writer))
    except (CanonicalizationError, ValidationError) as error:
        return [f"cannot be compared: {error}"]
    if admits is Containment.YES:
        return []
    if admits is Containment.NO:
        return ["there are values that the one schema admits and the other does not"]
    return ["it cannot be proven that the one schema admits all that the other does"]


def _canonical(schema: JsonSchema) -> CanonicalSchema:
    return jsonschema_rs.canonicalize(
        schema.value, registry=schema.registry, pattern_options=PATTERNS, offline=True
    )


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not among the references of this schema")
