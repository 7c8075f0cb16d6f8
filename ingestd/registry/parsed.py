"""A schema that its kind accepted, and what the kinds share: reading and writing JSON without surprises."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ingestd.registry.errors import SchemaError


class Source(NamedTuple):
    """A schema that another refers to by `name`."""

    name: str
    text: str


class Parsed(NamedTuple):
    """One schema in its forms. Two texts with the same `text` are one schema."""

    text: str
    """What is stored."""
    normal: str
    """What is stored where the client asks to normalize."""
    identity: str
    """What two schemas have in common that are the same once normalized."""
    form: Any
    """As the kind's library has it."""


def of_json(value: Any, form: Any) -> Parsed:
    """A schema that is written in JSON: white space never counts, the order of keys not once normalized."""
    normal = dump_json(value, sort=True)
    return Parsed(dump_json(value), normal, normal, form)


def load_json(text: str) -> Any:
    """The value of a JSON text that can be written again. Raises SchemaError."""
    try:
        value = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise SchemaError("nested too deep") from None
    except ValueError as error:
        raise SchemaError(f"not JSON: {error}") from error
    dump_json(value)
    return value


def dump_json(value: Any, sort: bool = False) -> str:
    """The compact text of a JSON value. Raises SchemaError."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort)
        text.encode()  # a lone surrogate (RFC 8259 section 8.2) has no UTF-8
    except RecursionError:
        raise SchemaError("nested too deep") from None
    except UnicodeEncodeError:
        raise SchemaError("a lone surrogate, which is no character") from None
    except ValueError as error:
        raise SchemaError(f"cannot be written as JSON: {error}") from error
    return text


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
