"""The kinds of schema: how each is parsed, brought to a normal form, and compared.

What does the work is a library each, kept by others:

    kind       parsed by                     compatibility by
    AVRO       avro (Apache's own)           avro.compatibility
    JSON       jsonschema-rs                 jsonschema-rs: does the one admit all that the other admits?
    PROTOBUF   protoc (grpcio-tools)         nothing: every version counts as compatible
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from ingestd.registry import avro, json_schema, protobuf
from ingestd.registry.parsed import Parsed, Source


class Kind(NamedTuple):
    """One kind of schema. References come in an order in which each follows those that it refers to itself."""

    parse: Callable[[str, Sequence[Source]], Parsed]
    """Raises SchemaError."""
    why_not: Callable[[Any, Any], list[str]]
    """Why a reader with the first form cannot read all that the second one writes; empty if it can."""
    serialize: Callable[[str, Sequence[Source]], str] | None = None
    """The binary form of a schema, in base64, where its kind has one."""


KINDS: Final = {
    "AVRO": Kind(avro.parse, avro.why_not),
    "JSON": Kind(json_schema.parse, json_schema.why_not),
    "PROTOBUF": Kind(protobuf.parse, protobuf.why_not, protobuf.serialize),
}
