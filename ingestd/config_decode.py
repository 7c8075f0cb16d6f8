"""From a TOML document to frozen msgspec Structs, with every mistake told at once.

The Structs are the schema: their fields name the keys, `msgspec.Meta` bounds and describes them, and the unit
in its `extra` says how text is read (`bytes`: "50MB", `seconds`: "250ms"). msgspec stops at the first mistake
and knows neither units nor `${ENV}`, so the document is walked here key by key, each value is converted on its
own, and the whole is given to msgspec only at the end. Nothing in this module knows a key of ingestd.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, get_args

import msgspec
from msgspec import inspect

from ingestd.errors import Problem
from ingestd.units import format_duration, format_size, parse_duration, parse_number, parse_size

_REFERENCE: Final = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")
_MAX_SHOWN_CHARS: Final = 80

#: Keys with such a name, ours and misspelt ones, hold a secret unless they name a file: no message shows their value.
_SECRET: Final = re.compile(r"(token(?!less)|secret|passw)(?!.*_file)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Key:
    """One key as the Structs declare it."""

    path: str
    type: inspect.Type
    annotation: Any
    """The type with its bounds, as `msgspec.convert` takes it."""
    default: object
    unit: str
    """`bytes`, `seconds`, a counted noun, or empty."""
    description: str

    @property
    def default_text(self) -> str:
        """The default as it would be written in the file; `unset` for one that cannot be."""
        return "unset" if self.default is None else toml_text(self.default, self.unit)

    @property
    def allowed(self) -> str:
        """What may be written, as a phrase: `a whole number from 0 to 65535`."""
        match self.type:
            case inspect.BoolType():
                return "true or false"
            case inspect.StrType(min_length=least):
                return "a string that is not empty" if least else "a string"
            case inspect.DictType():
                return 'a table of strings, name = "value"'
            case inspect.VarTupleType():
                return 'a list of strings, ["one", "two"]'
            case inspect.IntType() if self.unit == "bytes":
                return f'a size such as "50MB", "1MiB" or 4096{self._range()}'
            case inspect.IntType():
                return f"a whole number{self._range()}"
            case inspect.FloatType() if self.unit == "seconds":
                return f'a duration such as "250ms", "10s" or "1h30m"{self._range()}'
            case inspect.FloatType():
                return f'a number such as 100, 0.8 or "80%"{self._range()}'
            case inspect.LiteralType():
                # As declared: msgspec sorts them.
                values = get_args(get_args(self.annotation)[0])
                return f"one of {', '.join(toml_text(value) for value in values if value)}"
        raise TypeError(f"{self.path}: no way to read a {type(self.type).__name__} from TOML")

    def _range(self) -> str:
        assert isinstance(self.type, inspect.IntType | inspect.FloatType)
        least, most = (
            None if bound is None else toml_text(bound, self.unit).strip('"')
            for bound in (self.type.ge, self.type.le)
        )
        if least is not None and most is not None:
            return f" from {least} to {most}"
        if self.type.ge:
            return f" of at least {least}"
        return ""


@dataclass(frozen=True, slots=True)
class Schema:
    """The keys and tables of a tree of Structs, by dotted path, and the schema of one table of each [[array]]."""

    root: type[msgspec.Struct]
    keys: Mapping[str, Key]
    tables: frozenset[str]
    arrays: Mapping[str, "Schema"]

    @classmethod
    def of(cls, root: type[msgspec.Struct]) -> "Schema":
        keys: dict[str, Key] = {}
        tables: set[str] = set()
        arrays: dict[str, Schema] = {}
        for path, found in _declared(root):
            if found is None:
                tables.add(path)
            elif isinstance(found, Key):
                keys[path] = found
            else:
                arrays[path] = found
        return cls(root, keys, frozenset(tables), arrays)

    def all_keys(self) -> Iterator[Key]:
        """The keys, and those of each array with its name in front."""
        yield from self.keys.values()
        for name, schema in self.arrays.items():
            for key in schema.all_keys():
                yield replace(key, path=f"{name}.{key.path}")

    def decode(self, document: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[Any, list[Problem]]:
        """An instance of the root, and what is wrong; each wrong key has its default in the instance."""
        values: dict[str, Any] = {}
        problems = list(self._decode_table(document, "", environ, values))
        return msgspec.convert(values, self.root), problems

    def override(self, document: dict[str, Any], assignment: str) -> Problem | None:
        """Put `section.key=value` into `document`. The value is TOML; a string needs no quotes."""
        name, equals, text = assignment.partition("=")
        name = name.strip()
        if not equals or not name:
            return Problem("", "", f"--set {assignment}: write it as section.key=value")
        try:
            path = list(_only_path(tomllib.loads(f"{name} = 0")))
        except tomllib.TOMLDecodeError:
            return Problem("", "", f"--set {assignment}: {name!r} is not a key; write section.key=value")
        key = self.keys.get(".".join(path))
        table = document
        for step in path[:-1]:
            inner = table.setdefault(step, {})
            if not isinstance(inner, dict):
                return Problem(name, text, f"{step} is a value in the file and not a table")
            table = inner
        table[path[-1]] = _override_value(text.strip(), key)
        return None

    def _decode_table(
        self, table: Mapping[str, Any], prefix: str, environ: Mapping[str, str], into: dict[str, Any]
    ) -> Iterator[Problem]:
        for name, given in table.items():
            path = prefix + name if "." not in name else f"{prefix}{json.dumps(name)}"
            if path in self.tables:
                if isinstance(given, dict):
                    yield from self._decode_table(given, f"{path}.", environ, into.setdefault(name, {}))
                else:
                    yield Problem(path, masked(path, toml_text(given)), self._section_hint(path, given))
            elif path in self.arrays:
                yield from self.arrays[path]._decode_array(given, path, environ, into.setdefault(name, []))
            elif path not in self.keys:
                yield Problem(path, masked(path, toml_text(given)), f"unknown key; {self._suggest(path)}")
            elif isinstance(self.keys[path].type, inspect.DictType) and isinstance(given, dict):
                yield from _decode_strings(given, path, environ, into.setdefault(name, {}))
            else:
                try:
                    into[name] = _value(given, self.keys[path], environ)
                except _UnusableError as why:
                    yield Problem(path, masked(path, why.given), why.reason)

    def _decode_array(
        self, given: object, name: str, environ: Mapping[str, str], into: list[dict[str, Any]]
    ) -> Iterator[Problem]:
        """The tables of `[[name]]`, of each of which this is the schema."""
        if not isinstance(given, list) or not all(isinstance(table, dict) for table in given):
            reason = f"there may be several of these; write [[{name}]] above the keys of each"
            yield Problem(name, "", reason)
            return
        for number, table in enumerate(given, 1):
            values: dict[str, Any] = {}
            problems = list(self._decode_table(table, "", environ, values))
            into.append(values)
            where = table_label(name, number, values.get("name", ""))
            for problem in problems:
                yield replace(problem, key=f"{where}: {problem.key}")

    def _section_hint(self, path: str, given: object) -> str:
        near = difflib.get_close_matches(path, self.arrays, n=1) if isinstance(given, list) else []
        if near:
            return f"this is a section, of which there is one; did you mean [[{near[0]}]]?"
        return f"this is a section; write [{path}] above its keys"

    def _suggest(self, path: str) -> str:
        prefix, _, leaf = path.rpartition(".")
        known = [*self.keys, *sorted(self.tables), *self.arrays]
        siblings = {p.rpartition(".")[2]: p for p in known if p.rpartition(".")[0] == prefix}
        near = [siblings[name] for name in difflib.get_close_matches(leaf, siblings, n=1)]
        near += difflib.get_close_matches(path, [p for p in known if p.rpartition(".")[2] == leaf], 1, 0.0)
        near += difflib.get_close_matches(path, known, n=1)
        if near:
            return f"did you mean {near[0]}?"
        return f"known here are {', '.join(siblings)}"


def table_label(array: str, number: int, name: object) -> str:
    """How messages call one table of `[[array]]`: by its name, else by its place, counted from 1."""
    return f"{array} {toml_text(name)}" if name and isinstance(name, str) else f"[[{array}]] {number}"


def toml_text(value: object, unit: str = "") -> str:
    """`value` as TOML, in its unit where it has one, cut to a length that fits a message."""
    if unit == "bytes" and isinstance(value, int):
        text = json.dumps(format_size(value))
    elif unit == "seconds" and isinstance(value, int | float):
        text = json.dumps(format_duration(value))
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}…"


def masked(path: str, shown: str) -> str:
    """A value as a message shows it, unless it may be a secret."""
    table, _, leaf = path.rpartition(".")
    return '"…"' if _SECRET.search(leaf) or table.endswith("headers") else shown


class _UnusableError(Exception):
    """A value that its key cannot take."""

    def __init__(self, given: str, reason: str) -> None:
        super().__init__(reason)
        self.given = given
        self.reason = reason


def _declared(section: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, Key | Schema | None]]:
    """Every table (with None), key and array below `section`, in the order they are declared."""
    for field in msgspec.structs.fields(section):
        path = prefix + field.encode_name
        annotation = field.type
        if type(None) in get_args(annotation):  # a key whose default cannot be written
            (annotation,) = (inner for inner in get_args(annotation) if inner is not type(None))
        kind = inspect.type_info(annotation)
        extra: Mapping[str, Any] = {}
        schema: Mapping[str, Any] = {}
        if isinstance(kind, inspect.Metadata):
            extra, schema, kind = kind.extra or {}, kind.extra_json_schema or {}, kind.type
        if isinstance(kind, inspect.StructType):
            yield path, None
            yield from _declared(kind.cls, f"{path}.")
        elif isinstance(kind, inspect.VarTupleType) and isinstance(kind.item_type, inspect.StructType):
            yield path, Schema.of(kind.item_type.cls)
        else:
            default = field.default_factory() if callable(field.default_factory) else field.default
            description = schema.get("description", "")
            yield path, Key(path, kind, annotation, default, extra.get("unit", ""), description)


def _value(given: object, key: Key, environ: Mapping[str, str]) -> object:
    """`given` as the type of `key`, its references filled in and its unit applied."""
    shown = toml_text(given)
    value = given
    if isinstance(given, str):
        value = _interpolated(given, environ)
        if value != given:
            shown = f"{toml_text(value)} (from {shown})"
    elif isinstance(given, list) and isinstance(key.type, inspect.VarTupleType):
        value = [_interpolated(item, environ) if isinstance(item, str) else item for item in given]
    try:
        if key.unit == "bytes" and isinstance(value, str):
            value = parse_size(value)
        elif key.unit == "seconds":
            value = parse_duration(value if isinstance(value, str) else str(given))
        elif key.unit == "number" and isinstance(value, str):
            value = parse_number(value)
        # A reference is always written as a string, so that its value may stand for a number or a truth.
        return msgspec.convert(value, key.annotation, strict=value is given)
    except ValueError:  # msgspec.ValidationError is one
        raise _UnusableError(shown, f"must be {key.allowed}") from None


def _decode_strings(
    table: Mapping[str, Any], prefix: str, environ: Mapping[str, str], into: dict[str, Any]
) -> Iterator[Problem]:
    for name, given in table.items():
        path = f"{prefix}.{name}"
        if not isinstance(given, str):
            yield Problem(path, masked(path, toml_text(given)), "must be a string, in quotes")
            continue
        try:
            into[name] = _interpolated(given, environ)
        except _UnusableError as why:
            yield Problem(path, masked(path, why.given), why.reason)


def _interpolated(text: str, environ: Mapping[str, str]) -> str:
    """`text` with `${NAME}` and `${NAME:-default}` filled in; `$${` stands for a plain `${`."""

    def fill(reference: re.Match[str]) -> str:
        name, default = reference[1], reference[2]
        if reference[0] == "$${":
            return "${"
        if name is None:
            raise _UnusableError(toml_text(text), "write ${NAME} or ${NAME:-default}, or $${ for a plain ${")
        value = environ.get(name)
        # As in a shell, an empty variable counts as unset where a default is given.
        if default is not None:
            return value or default
        if value is None:
            raise _UnusableError(
                toml_text(text),
                f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}",
            )
        return value

    return _REFERENCE.sub(fill, text)


def _only_path(table: Mapping[str, Any]) -> Iterator[str]:
    """The steps of the one key in a document that holds one key."""
    (step, inner) = next(iter(table.items()))
    yield step
    if isinstance(inner, dict):
        yield from _only_path(inner)


def _override_value(text: str, key: Key | None) -> object:
    """`text` as TOML, or as the string itself where it is none or where the key takes only strings."""
    try:
        document = tomllib.loads(f"v = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value: object = document.pop("v")
    if document or (key is not None and isinstance(key.type, inspect.StrType) and not isinstance(value, str)):
        return text
    return value
