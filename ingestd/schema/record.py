"""The default rules: record.schema.json, and a window that timestamps must lie in.

What is counted of a block anyway tells whether all of it is well: its least and greatest timestamp, its services, and
its size, since no message in it can be longer. So a good block costs the same whatever its number of records. Only a
block that this cannot clear is decoded again. Types and levels need no look: the formats have made them. Text of
syslog and of journals is not rejected, but mended (mend.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, Final, NamedTuple

from formats.record import DETAIL_LIMIT, Encoded
from ingestd.schema.mend import KEPT_FORMATS, mended
from ingestd.schema.rules import Head, failures, heads, sift, split
from ingestd.schema.schema import Schema

#: How long the end of the window is taken as it was computed.
_STEP_S: Final = 1.0

_END_OF_TIME: Final = "9999-12-31T23:59:59.999999Z"


class Limits(NamedTuple):
    """What the default rules leave to the configuration."""

    min_timestamp: str
    """In the stored form."""
    max_future_s: float
    """How far a timestamp may lie ahead of this machine's clock."""
    max_message_chars: int


def record_schema(max_message_chars: int) -> dict[str, Any]:
    """The default schema of a record, as JSON Schema 2020-12."""
    schema: dict[str, Any] = json.loads(files(__package__).joinpath("record.schema.json").read_bytes())
    schema["properties"]["message"]["maxLength"] = max_message_chars
    return schema


class RecordRules:
    """What holds for every record."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        value = record_schema(limits.max_message_chars)
        self._schema = Schema("record", value)
        self._limits = limits
        self._max_service_chars = int(value["properties"]["service"]["maxLength"])
        self._clock = clock
        self._computed_s = float("-inf")
        self._latest = ""

    def check(self, encoded: Encoded) -> Encoded:
        if not encoded.records:
            return encoded
        if abs(self._clock() - self._computed_s) > _STEP_S:
            self._compute()
        in_window = encoded.first >= self._limits.min_timestamp and encoded.last <= self._latest
        if (
            in_window
            and encoded.nbytes <= self._limits.max_message_chars
            and max(map(len, encoded.services)) <= self._max_service_chars
        ):
            return encoded
        block = b"".join(encoded.chunks)
        if in_window and self._schema.admits(block):
            return encoded
        lines = split(block)
        wrong = {} if self._schema.admits(block) else failures(self._schema, lines)
        counted = heads(block)
        for number, head in enumerate(counted):
            if not self._is_in_window(head.timestamp):
                wrong[number] = self._out_of_window(head.timestamp)
        if encoded.format not in KEPT_FORMATS:
            return sift(encoded, lines, wrong)
        kept = self._mend(lines, counted, wrong)
        return sift(encoded, lines, {number: wrong[number] for number in wrong.keys() - kept}, kept)

    def _mend(
        self, lines: Sequence[bytes], counted: Sequence[Head], wrong: Iterable[int]
    ) -> dict[int, bytes]:
        """Of the lines that are wrong those that can be put right, so that they break no rule."""
        kept = {}
        for number in wrong:
            faults = self._faults(counted[number])
            if not faults:
                continue
            line = mended(lines[number], faults, self._max_service_chars)
            if not self._schema.why_not(line):
                kept[number] = line
        return kept

    def _faults(self, head: Head) -> dict[str, str]:
        """What is wrong with the time and the service of a record, by field."""
        faults = {}
        if not self._is_in_window(head.timestamp):
            faults["timestamp"] = self._out_of_window(head.timestamp)
        if len(head.service) > self._max_service_chars:
            rule = f"{len(head.service)} characters are more than {self._max_service_chars}"
            faults["service"] = f"record /service: rule /properties/service/maxLength: {rule}"
        return faults

    def _is_in_window(self, timestamp: str) -> bool:
        return self._limits.min_timestamp <= timestamp <= self._latest

    def _compute(self) -> None:
        self._computed_s = self._clock()
        try:
            latest = datetime.fromtimestamp(self._computed_s, UTC) + timedelta(
                seconds=self._limits.max_future_s
            )
            self._latest = f"{latest:%Y-%m-%dT%H:%M:%S.%f}Z"
        except OverflowError:
            self._latest = _END_OF_TIME

    def _out_of_window(self, timestamp: str) -> str:
        if timestamp > self._latest:
            rule = f"schema.max_future: {timestamp} is later than {self._latest}"
        else:
            rule = f"schema.min_timestamp: {timestamp} is before {self._limits.min_timestamp}"
        return f"record /timestamp: rule {rule}"[:DETAIL_LIMIT]
