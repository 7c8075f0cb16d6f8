"""Avro schemas (https://avro.apache.org/docs/1.12.0/specification/), by Apache's own library.

References come before the schema itself, so that its names may use theirs. Compatibility is Avro's schema resolution:
can a reader with the one schema decode what a writer with the other wrote?
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.name import Names
from avro.schema import Schema, make_avsc_object

from ingestd.registry.errors import SchemaError
from ingestd.registry.parsed import Parsed, Source, load_json, of_json


def parse(text: str, references: Sequence[Source]) -> Parsed:
    """Read a schema. Raises SchemaError."""
    names = Names()
    for source in dict.fromkeys(reference.text for reference in references):  # a name may be defined once
        _make(load_json(source), names)
    value = load_json(text)
    return of_json(value, _make(value, names))


def _make(value: object, names: Names) -> Schema:
    try:
        with warnings.catch_warnings():
            # The specification wants a logical type that is not known to be ignored.
            warnings.simplefilter("ignore")
            return make_avsc_object(value, names)
    except RecursionError:
        raise SchemaError("nested too deep") from None
    # The library trips over some values of a wrong type, such as a list for a name, instead of refusing them.
    except (AvroException, AttributeError, KeyError, TypeError, ValueError) as error:
        raise SchemaError(str(error) or type(error).__name__) from error


def why_not(reader: Schema, writer: Schema) -> list[str]:
    """Why `reader` cannot decode all that `writer` encodes."""
    try:
        checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
        result = checker.get_compatibility(reader, writer)
    except RecursionError:
        return ["nested too deep to be compared"]
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    kinds = ", ".join(sorted({str(kind.value) for kind in result.incompatibilities}))
    where = ", ".join(sorted(location for location in result.locations if location != "/") or ["/"])
    return [f"{kinds} at {where}: {'; '.join(sorted(result.messages))}"]
