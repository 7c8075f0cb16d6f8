"""What a rule would make of records: `ingestd alerts test`.

The records go through the same formats, the same matcher and the same engine as in a daemon; only the clock is that of
their timestamps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from formats import FORMATS
from formats.record import Encoded, Enrichment
from ingestd.alerts.engine import Engine
from ingestd.alerts.rules import condition
from ingestd.alerts.settings import EngineSettings
from ingestd.alerts.view import AlertView
from ingestd.config_alerts import Alert
from ingestd.observe.block import Block
from ingestd.observe.condition import Condition
from ingestd.observe.matcher import PatternMatcher, from_level
from ingestd.observe.messages import Match, Observation

#: The time of receipt that is given to records; one with this timestamp had none.
_NO_TIME: Final = "1970-01-01T00:00:00.000000Z"

#: A pause of the records is gone through in at most so many steps.
_STEPS: Final = 3600

#: Of a value that is quoted.
_SHOWN_CHARS: Final = 80


class Record(NamedTuple):
    """One record as it would be stored."""

    line: bytes
    time_s: float
    """By its timestamp, UNIX seconds; 0 without one."""
    level: str
    service: str
    fields: dict[str, object]


class Verdict(NamedTuple):
    """What a rule says of one record: `failed` has a reason for each part that does not hold."""

    number: int
    """The line of the input, counted from 1."""
    failed: dict[str, str]


class Outcome(NamedTuple):
    """All that was found."""

    records: int
    rejected: int
    fitting: int
    failed: Counter[str]
    """Records by the part of the rule that did not hold; one may fail several."""
    events: list[AlertView]
    """Each alert as it fires, and as it is over."""


class Explanation:
    """One rule, to be given lines. Raises ValueError for a rule that no record says anything of."""

    def __init__(self, rule: Alert, default_service: str, now_s: float) -> None:
        """`now_s`: the time of records that have none, until one with a timestamp came. UNIX seconds."""
        if rule.kind == "system" or rule.node:
            raise ValueError(f"is about {rule.check or 'nodes'}, of which records say nothing")
        self._rule = rule
        self._context = Enrichment({}).at(_NO_TIME, default_service)
        self._parts = _parts(rule)
        self._patterns = PatternMatcher(part for part in self._parts if part.pattern)
        self._engine: Engine | None = None
        self._now_s = now_s
        self._lines = self.records = self.rejected = self.fitting = 0
        self.failed: Counter[str] = Counter()
        self._firing: dict[str, AlertView] = {}
        self.events: list[AlertView] = []

    def feed(self, line: bytes) -> Iterator[Verdict]:
        """The verdicts of the records on one line."""
        self._lines += 1
        for encoded in FORMATS["auto"].encode(line, self._context):
            self.rejected += len(encoded.rejects)
            for record in _records(encoded):
                yield Verdict(self._lines, self._judge(record))

    def _judge(self, record: Record) -> dict[str, str]:
        self.records += 1
        failed = {part.rule: _why(part, record) for part in self._parts if not self._holds(part, record)}
        self.failed.update(failed.keys())
        self.fitting += not failed
        self._play(record, fits=not failed)
        return failed

    def _holds(self, part: Condition, record: Record) -> bool:
        match part.rule:
            case "level":
                return record.level in from_level(part.level)
            case "service":
                return record.service == part.service
        levels, services = {record.level: 1}, {record.service}
        block = Block([Encoded("json", [record.line], len(record.line), 1, levels, services)])
        return any(self._patterns.look(block, lambda *_: frozenset()))

    def _play(self, record: Record, *, fits: bool) -> None:
        """Let the engine hear of it at its time."""
        time_s = record.time_s or self._now_s
        if self._engine is None:
            self._now_s = time_s
            self._engine = Engine(EngineSettings((self._rule,)), self._now_s)
        self._pass_until(self._engine, time_s)
        matches = []
        if fits and self._rule.kind != "absence":
            line = record.line.decode("utf-8", "replace").rstrip("\n")
            matches = [Match(self._rule.name, record.service, 1, int(self._now_s * 1e9), line)]
        services = {record.service: 1}
        self._engine.hear(Observation(0, matches=matches, services=services), self._now_s)
        self._watch(self._engine)

    def _pass_until(self, engine: Engine, time_s: float) -> None:
        step_s = max(0.0, time_s - self._now_s) / _STEPS
        while engine.due_s < time_s:
            self._now_s = max(engine.due_s, self._now_s + step_s)
            engine.tick(self._now_s)
            engine.notices(self._now_s)
            self._watch(engine)
        self._now_s = max(self._now_s, time_s)  # records may be out of order; time is not

    def _watch(self, engine: Engine) -> None:
        alerts = [engine.show(series, self._now_s) for series in engine.roster]
        firing = {alert.fingerprint: alert for alert in alerts if alert.state == "firing"}
        over = {alert.fingerprint: alert for alert in engine.history}
        self.events += [over[print_] for print_ in self._firing if print_ not in firing and print_ in over]
        self.events += [alert for print_, alert in firing.items() if print_ not in self._firing]
        self._firing = firing

    def still_firing(self) -> list[AlertView]:
        """Those that fire at the last record's time, as they stand then."""
        return list(self._firing.values())

    def outcome(self) -> Outcome:
        """What came of all lines."""
        return Outcome(self.records, self.rejected, self.fitting, self.failed, self.events)


def _parts(rule: Alert) -> list[Condition]:
    """Each part of the rule as a condition of its own, called as its key."""
    if rule.kind == "absence":
        return [Condition("service", service=rule.service)] if rule.service != "*" else []
    whole = condition(rule)
    parts = []
    if whole.level:
        parts.append(Condition("level", level=whole.level))
    if whole.service:
        parts.append(Condition("service", service=whole.service))
    if whole.pattern:
        parts.append(Condition("pattern", field=whole.field, pattern=whole.pattern))
    return parts


def _why(part: Condition, record: Record) -> str:
    match part.rule:
        case "level":
            return f"level {record.level} is below {part.level}"
        case "service":
            return f"service is {_shown(record.service)}"
    if part.field not in record.fields:
        return f"there is no field {part.field}"
    return f"{part.field} is {_shown(record.fields[part.field])}"


def _shown(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _records(encoded: Encoded) -> Iterable[Record]:
    for line in b"".join(encoded.chunks).splitlines(keepends=True):
        fields = msgspec.json.decode(line)
        timestamp = fields["timestamp"]
        time_s = 0.0 if timestamp == _NO_TIME else datetime.fromisoformat(timestamp).timestamp()
        yield Record(line, time_s, fields["level"], fields["service"], fields)
