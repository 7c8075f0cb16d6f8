"""The configuration in force, for people to look at: every key as it would be written, and no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from ingestd.config import Config, describe
from ingestd.config_decode import Key, masked, toml_text


class Shown(NamedTuple):
    """One key."""

    key: str
    value: str
    default: str
    what: str


def shown_settings(config: Config) -> Iterator[Shown]:
    """Every key in the order of the file; of the tables of an [[array]] those that are set, as `array "name".key`."""
    values = msgspec.to_builtins(config)
    arrays: list[tuple[str, str, Key]] = []
    for key in describe():
        section, _, leaf = key.path.partition(".")
        value = values[section]
        if isinstance(value, tuple):
            arrays.append((section, leaf, key))
            continue
        for name in leaf.split("."):
            value = value[name]
        yield Shown(key.path, _text(key, value), key.default_text, key.description)
    for section, leaf, key in arrays:
        for table in values[section]:
            if table[leaf] != msgspec.to_builtins(key.default):
                path = f"{section} {json.dumps(table['name'], ensure_ascii=False)}.{leaf}"
                yield Shown(path, _text(key, table[leaf]), key.default_text, key.description)


def _text(key: Key, value: Any) -> str:
    """As `toml_text`, but what may hold a secret, which an address or a command line may too, is left out."""
    if isinstance(value, dict):
        entries = (f"{name} = {masked(f'{key.path}.{name}', toml_text(one))}" for name, one in value.items())
        return f"{{{', '.join(entries)}}}"
    if key.path.endswith(".url") and value:
        parts = urlsplit(value)
        return f'"{parts.scheme}://{parts.hostname}/…"'
    if key.path.endswith(".command") and value:
        return f'["{value[0]}"{", …" if len(value) > 1 else ""}]'
    text = toml_text(value, key.unit)
    return masked(key.path, text) if value else text
