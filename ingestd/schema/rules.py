"""What a door asks of each block before it is counted: the records that break a rule become rejects.

    check(encoded) -> encoded       the same object where all is well

A block is looked at line by line only where it failed as a whole. All rules of a door must hold: the default rules
(record.py), those of a record's service, and those of the schema that the connection named. A schema that changes is
taken between two blocks.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from formats.record import DETAIL_LIMIT, Encoded, Reject, Row
from ingestd.ratelog import RateLog
from ingestd.schema.schema import Schema

REASON: Final = "schema"

log = RateLog(logging.getLogger("ingestd.schema"))


class Rules(Protocol):
    """Judges blocks."""

    def check(self, encoded: Encoded) -> Encoded:
        """What is left of a block, with a reject for each record that is not."""
        ...


class Unchecked:
    """No rules."""

    def check(self, encoded: Encoded) -> Encoded:
        return encoded


UNCHECKED: Final = Unchecked()


class All:
    """Several rules, each of which must hold."""

    def __init__(self, rules: Sequence[Rules]) -> None:
        self._rules = rules

    def check(self, encoded: Encoded) -> Encoded:
        for rules in self._rules:
            encoded = rules.check(encoded)
        return encoded


class Current(Protocol):
    """A name, and the schema that it stands for now; None where there was none yet."""

    name: str

    def __call__(self) -> Schema | None: ...


class OwnRules:
    """The rules of one schema, for every record."""

    def __init__(self, current: Current) -> None:
        self._current = current

    def check(self, encoded: Encoded) -> Encoded:
        schema = self._schema()
        if schema is None or not encoded.records:
            return encoded
        block = b"".join(encoded.chunks)
        if schema.admits(block):
            return encoded
        lines = split(block)
        return sift(encoded, lines, failures(schema, lines))

    def failures(self, lines: Sequence[bytes]) -> dict[int, str]:
        """Why which of these lines break a rule, by their number."""
        schema = self._schema()
        return {} if schema is None or schema.admits(b"".join(lines)) else failures(schema, lines)

    def _schema(self) -> Schema | None:
        schema = self._current()
        if schema is None:
            name = self._current.name
            log.warning(name, "no JSON schema %s in the registry: its records are stored unchecked", name)
        return schema


class ServiceRules:
    """The rules of a schema for each service that has one."""

    def __init__(self, schemas: Mapping[str, Current]) -> None:
        self._rules = {service: OwnRules(current) for service, current in schemas.items()}

    def check(self, encoded: Encoded) -> Encoded:
        concerned = encoded.services & self._rules.keys()
        if not concerned:
            return encoded
        if len(encoded.services) == 1:
            return self._rules[concerned.pop()].check(encoded)
        block = b"".join(encoded.chunks)
        lines = split(block)
        by_service: dict[str, list[int]] = {}
        for number, head in enumerate(heads(block)):
            by_service.setdefault(head.service, []).append(number)
        wrong: dict[int, str] = {}
        for service in concerned:
            numbers = by_service[service]
            found = self._rules[service].failures([lines[number] for number in numbers])
            wrong |= {numbers[at]: why for at, why in found.items()}
        return sift(encoded, lines, wrong)


class Head(msgspec.Struct, gc=False):
    """What is counted of a record."""

    timestamp: str
    level: str
    service: str


_HEADS: Final = msgspec.json.Decoder(Head)


def split(block: bytes) -> list[bytes]:
    """The lines of a block of stored records, each with its LF."""
    return [line + b"\n" for line in block.split(b"\n")[:-1]]


def heads(block: bytes) -> list[Head]:
    """What is counted of each record."""
    return _HEADS.decode_lines(block)


def failures(schema: Schema, lines: Sequence[bytes]) -> dict[int, str]:
    """Why which of these lines are not as the schema wants them, by their number."""
    return {number: why[:DETAIL_LIMIT] for number, line in enumerate(lines) if (why := schema.why_not(line))}


def sift(
    encoded: Encoded,
    lines: Sequence[bytes],
    failures: Mapping[int, str],
    mended: Mapping[int, bytes] = MappingProxyType({}),
) -> Encoded:
    """The block with the lines in `mended` as they are there, and without the lines in `failures`.

    These become rejects with the reason given there.
    """
    if not failures and not mended:
        return encoded
    rows = []
    rejects = list(encoded.rejects)
    for number, line in enumerate(lines):
        if number in failures:
            rejects.append(Reject(REASON, line[:-1], failures[number]))
        else:
            line = mended.get(number, line)
            head = _HEADS.decode(line)
            rows.append(Row(line, head.timestamp, head.level, head.service))
    left = Encoded(encoded.format, rejects=rejects, heartbeats=encoded.heartbeats)
    left.extend(rows)
    return left
