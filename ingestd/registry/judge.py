"""Judging schemas in a process of its own: is this one, and does it fit those that are there?

Schemas come from strangers, and both questions can be made to take for ever: whether one JSON schema admits all that
another does is exponential in its size, Avro's unions are quadratic, and the libraries keep the GIL meanwhile. So each
case is one process that lives for a moment, with limits of time and memory, at low priority:

    Case, as JSON --stdin--> python -m ingestd.registry.judge --stdout--> Verdict, as JSON, and LF; "+" if it is light

A JSON schema is tried out behind its verdict (schema/trial.py), with limits of its own: one that ends the process there
may be kept, and is for others than the workers.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import Final

import msgspec

from ingestd.registry.errors import SchemaError
from ingestd.registry.kinds import kind
from ingestd.registry.parsed import Source

TIMEOUT_S: Final = 10
MEMORY_BYTES: Final = 2 << 30

_PRIORITY: Final = 10

_LIGHT: Final = b"+"


class Document(msgspec.Struct, frozen=True):
    """A schema and those it refers to, each behind those that it refers to itself."""

    text: str
    sources: list[Source]


class Case(msgspec.Struct, frozen=True):
    """What is asked: must the schema read what each of the others writes, and must they read what it writes?"""

    kind: str
    schema: Document
    others: list[Document] = []
    reads: bool = False
    is_read: bool = False
    cpu_s: int = TIMEOUT_S
    """The CPU time that may be spent on it, at most TIMEOUT_S."""


class Verdict(msgspec.Struct, frozen=True):
    """What was found: the schema's forms (see `Parsed`), and for each of the others why it does not fit."""

    text: str
    normal: str
    identity: str
    conflicts: list[list[str]]
    light: bool = False
    """Whether workers may compile it at once; only of JSON schemas, and not known to `find`."""


class _Failure(msgspec.Struct, frozen=True, tag=True):
    """It is no schema."""

    reason: str


class _Success(msgspec.Struct, frozen=True, tag=True):
    verdict: Verdict


def judge(case: Case) -> Verdict:
    """Ask a process. Raises SchemaError where it is no schema, or none that can be judged within the limits."""
    try:
        told = subprocess.run(
            [sys.executable, "-P", "-m", __name__],
            input=msgspec.json.encode(case),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=2 * TIMEOUT_S,  # of a machine that is busy with something else
            check=False,
        ).stdout
    except subprocess.TimeoutExpired as expired:
        told = expired.stdout or b""
    first, newline, rest = told.partition(b"\n")
    if not newline:
        raise SchemaError(
            f"it cannot be judged within {case.cpu_s} s and {MEMORY_BYTES >> 20} MiB; make it simpler"
        )
    answer = msgspec.json.decode(first, type=_Success | _Failure)
    if isinstance(answer, _Failure):
        raise SchemaError(answer.reason)
    return msgspec.structs.replace(answer.verdict, light=rest == _LIGHT)


def find(case: Case) -> Verdict:
    """Judge here and now. Raises SchemaError."""
    parse, why_not = kind(case.kind)
    parsed = parse(case.schema.text, case.schema.sources)
    conflicts = []
    for other in case.others:
        form = parse(other.text, other.sources).form
        reasons = []
        if case.reads:
            reasons += [f"cannot be read with this: {reason}" for reason in why_not(parsed.form, form)]
        if case.is_read:
            reasons += [f"cannot read this: {reason}" for reason in why_not(form, parsed.form)]
        conflicts.append(reasons)
    return Verdict(parsed.text, parsed.normal, parsed.identity, conflicts)


def main() -> None:
    """The process."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_PRIORITY)
    case = msgspec.json.decode(sys.stdin.buffer.read(), type=Case)
    resource.setrlimit(resource.RLIMIT_CPU, (case.cpu_s, TIMEOUT_S))
    answer: _Success | _Failure
    try:
        answer = _Success(find(case))
    except SchemaError as error:
        answer = _Failure(str(error).encode(errors="replace").decode())
    _tell(msgspec.json.encode(answer) + b"\n")
    if case.kind == "JSON" and isinstance(answer, _Success) and _is_light(case.schema):
        _tell(_LIGHT)


def _is_light(schema: Document) -> bool:
    from ingestd.schema import schema as json_schema
    from ingestd.schema import trial

    references = tuple((source.name, source.text) for source in schema.sources)
    return trial.is_light(json_schema.Source("", 0, schema.text, references), ())


def _tell(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
