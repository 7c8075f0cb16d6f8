"""The questions of the API, one function each: from path, query and body to the value that is answered as JSON.

`QUESTIONS` joins them with their paths. Nothing here knows HTTP; rest.py brings the questions in and the answers out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from ingestd.registry import errors
from ingestd.registry.errors import ApiError
from ingestd.registry.kinds import KINDS
from ingestd.registry.operations import GLOBAL, Operations, Proposal
from ingestd.registry.store import Entry, Reference

_T = TypeVar("_T")


class Request(NamedTuple):
    """What a client asks: the named parts of the path, the query, and the body."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes

    @property
    def subject(self) -> str:
        return self.path.get("subject", GLOBAL)

    def flag(self, name: str) -> bool:
        """Whether a flag is set; clients in Python write `True`."""
        return self.query.get(name, "").lower() == "true"


class Question(NamedTuple):
    """One path with one method. `writes` says that it needs the token."""

    method: str
    path: str
    answer: Callable[[Operations, Request], object]
    writes: bool = False


class _Reference(msgspec.Struct):
    name: str
    subject: str
    version: int


class _Schema(msgspec.Struct, rename="camel"):
    """What a client sends of a schema. Keys that are not here are ignored, as the API has it."""

    schema: str = ""
    schema_type: str | None = None
    references: list[_Reference] | None = None
    metadata: Any = None
    rule_set: Any = None


class _Level(msgspec.Struct):
    compatibility: str = ""


def _proposal(request: Request) -> Proposal:
    sent = _decode(request.body, _Schema)
    if not sent.schema:
        raise errors.invalid_schema("the body has no schema")
    if sent.metadata is not None or sent.rule_set is not None:
        raise errors.invalid_schema("this registry keeps no metadata and no ruleSet; leave them out")
    references = tuple(Reference(each.name, each.subject, each.version) for each in sent.references or ())
    return Proposal(sent.schema_type or "AVRO", sent.schema, references)


def _decode(body: bytes, type_: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"The body is not what is asked for: {error}") from error


def _schema_of(operations: Operations, entry: Entry, request: Request) -> dict[str, object]:
    """A schema as the API shows it: Avro is not named, no references are left out."""
    binary = entry.kind == "PROTOBUF" and request.query.get("format") == "serialized"
    shown: dict[str, object] = {"schema": operations.serialized(entry) if binary else entry.text}
    if entry.kind != "AVRO":
        shown["schemaType"] = entry.kind
    if entry.references:
        shown["references"] = [reference._asdict() for reference in entry.references]
    return shown


def _version_of(operations: Operations, entry: Entry, request: Request) -> dict[str, object]:
    place = {"subject": entry.subject, "id": entry.id, "version": entry.version}
    return place | _schema_of(operations, entry, request)


def _subjects(operations: Operations, request: Request) -> object:
    return operations.subjects(request.query.get("subjectPrefix", ""), request.flag("deleted"))


def _versions(operations: Operations, request: Request) -> object:
    return [entry.version for entry in operations.versions(request.subject, request.flag("deleted"))]


def _entry(operations: Operations, request: Request) -> Entry:
    return operations.version(request.subject, request.path["version"], request.flag("deleted"))


def _version(operations: Operations, request: Request) -> object:
    return _version_of(operations, _entry(operations, request), request)


def _version_text(operations: Operations, request: Request) -> object:
    return _Plain(_entry(operations, request).text)


def _referred_by(operations: Operations, request: Request) -> object:
    return operations.referred_by(request.subject, request.path["version"])


def _register(operations: Operations, request: Request) -> object:
    entry = operations.register(request.subject, _proposal(request), request.flag("normalize"))
    return _version_of(operations, entry, request)


def _look_up(operations: Operations, request: Request) -> object:
    flags = request.flag("normalize"), request.flag("deleted")
    entry = operations.look_up(request.subject, _proposal(request), *flags)
    return _version_of(operations, entry, request)


def _delete_subject(operations: Operations, request: Request) -> object:
    return operations.delete_subject(request.subject, request.flag("permanent"))


def _delete_version(operations: Operations, request: Request) -> object:
    return operations.delete_version(request.subject, request.path["version"], request.flag("permanent"))


def _id(request: Request) -> int:
    text = request.path["id"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise ApiError(404, f"HTTP 404 Not Found: {text[:40]!r} is no schema id")
    return int(text)


def _schema(operations: Operations, request: Request) -> object:
    return _schema_of(operations, operations.schema(_id(request))[0], request)


def _schema_text(operations: Operations, request: Request) -> object:
    return _Plain(operations.schema(_id(request))[0].text)


def _schema_subjects(operations: Operations, request: Request) -> object:
    return sorted({entry.subject for entry in operations.schema(_id(request), request.flag("deleted"))})


def _schema_versions(operations: Operations, request: Request) -> object:
    found = operations.schema(_id(request), request.flag("deleted"))
    return [{"subject": entry.subject, "version": entry.version} for entry in found]


def _check(operations: Operations, request: Request) -> object:
    proposal = _proposal(request)
    version = request.path.get("version")
    reasons = operations.check(request.subject, version, proposal, request.flag("normalize"))
    shown: dict[str, object] = {"is_compatible": not reasons}
    if request.flag("verbose"):
        shown["messages"] = reasons
    return shown


def _level(operations: Operations, request: Request) -> object:
    return {"compatibilityLevel": operations.level(request.subject, request.flag("defaultToGlobal"))}


def _set_level(operations: Operations, request: Request) -> object:
    return {
        "compatibility": operations.set_level(request.subject, _decode(request.body, _Level).compatibility)
    }


def _unset_level(operations: Operations, request: Request) -> object:
    return {"compatibilityLevel": operations.unset_level(request.subject)}


class _Plain(str):
    """A schema's own text, answered as it is."""


QUESTIONS: Final = (
    Question("GET", "/subjects", _subjects),
    Question("POST", "/subjects/{subject}", _look_up),
    Question("DELETE", "/subjects/{subject}", _delete_subject, writes=True),
    Question("GET", "/subjects/{subject}/versions", _versions),
    Question("POST", "/subjects/{subject}/versions", _register, writes=True),
    Question("GET", "/subjects/{subject}/versions/{version}", _version),
    Question("DELETE", "/subjects/{subject}/versions/{version}", _delete_version, writes=True),
    Question("GET", "/subjects/{subject}/versions/{version}/schema", _version_text),
    Question("GET", "/subjects/{subject}/versions/{version}/referencedby", _referred_by),
    Question("GET", "/schemas/types", lambda _operations, _request: list(KINDS)),
    Question("GET", "/schemas/ids/{id}", _schema),
    Question("GET", "/schemas/ids/{id}/schema", _schema_text),
    Question("GET", "/schemas/ids/{id}/subjects", _schema_subjects),
    Question("GET", "/schemas/ids/{id}/versions", _schema_versions),
    Question("POST", "/compatibility/subjects/{subject}/versions", _check),
    Question("POST", "/compatibility/subjects/{subject}/versions/{version}", _check),
    Question("GET", "/config", _level),
    Question("PUT", "/config", _set_level, writes=True),
    Question("DELETE", "/config", _unset_level, writes=True),
    Question("GET", "/config/{subject}", _level),
    Question("PUT", "/config/{subject}", _set_level, writes=True),
    Question("DELETE", "/config/{subject}", _unset_level, writes=True),
)


def answer(question: Question, operations: Operations, request: Request) -> bytes:
    """The body of the answer. Raises ApiError."""
    value = question.answer(operations, request)
    return value.encode() if isinstance(value, _Plain) else msgspec.json.encode(value)
