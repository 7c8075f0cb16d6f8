"""The kinds of schema: how each is parsed, brought to a normal form, and compared.

What does the work is a library each, kept by others:

    kind       parsed by                     compatibility by
    AVRO       avro (Apache's own)           avro.compatibility
    JSON       jsonschema-rs                 jsonschema-rs: does the one admit all that the other admits?
    PROTOBUF   protoc (grpcio-tools)         nothing: every version counts as compatible
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

from ingestd.registry.parsed import Parsed, Source

#: The module of each kind. It is loaded where it is needed: only judge.py needs one.
KINDS: Final = {"AVRO": "avro", "JSON": "json_schema", "PROTOBUF": "protobuf"}


class Kind(NamedTuple):
    """One kind of schema. References come in an order in which each follows those that it refers to itself."""

    parse: Callable[[str, Sequence[Source]], Parsed]
    """Raises SchemaError."""
    why_not: Callable[[Any, Any], list[str]]
    """Why a reader with the first form cannot read all that the second one writes; empty if it can."""


def kind(name: str) -> Kind:
    """One of `KINDS`."""
    module = import_module(f"ingestd.registry.{KINDS[name]}")
    return Kind(module.parse, module.why_not)
