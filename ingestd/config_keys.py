"""What the sections of the configuration are declared with: their common base, and what is said of each key.

Each function answers the `msgspec.Meta` of one key: its description, its bounds, and the unit that text is read in.
"""

from __future__ import annotations

from msgspec import Meta, Struct


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all sections share: frozen, keyword-only, no key that is not declared."""


def size(description: str, least: int, most: int | None = None) -> Meta:
    """In bytes; text may carry a unit such as KB or MiB."""
    return Meta(description=description, ge=least, le=most, extra={"unit": "bytes"})


def duration(description: str, least: float = 0.0) -> Meta:
    """In seconds; text carries its unit."""
    return Meta(description=description, ge=least, extra={"unit": "seconds"})


def count(description: str, unit: str, least: int, most: int) -> Meta:
    """A whole number of `unit`."""
    return Meta(description=description, ge=least, le=most, extra={"unit": unit})


def number(description: str, least: float = 0.0) -> Meta:
    """A count or a share; text may be a percentage."""
    return Meta(description=description, ge=least, extra={"unit": "number"})


def text(description: str) -> Meta:
    """A string, a truth, or a list or table of strings."""
    return Meta(description=description)
