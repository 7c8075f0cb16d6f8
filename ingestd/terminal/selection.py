"""Which records are wanted, asked first of the description of a frame and then of each of its lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from ingestd.store.segment import Description

# As in `formats`, which would load numpy and every decoder before the first line is printed; a test compares them.
CORE_FIELDS: Final = ("timestamp", "level", "service", "message")
LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
FORMATS: Final = ("json", "raw", "syslog", "journald", "protobuf", "avro")

RANKS: Final = {level: rank for rank, level in enumerate(LEVELS)}


class Head(msgspec.Struct, gc=False):
    """What of a record is asked for. `format` and `received_at` may be the sender's own, and then of any type."""

    timestamp: str = ""
    level: str = ""
    service: str = ""
    message: str = ""
    format: Any = ""
    received_at: Any = ""


class Line(NamedTuple):
    """One record: when it was received (RFC 3339; empty where it does not say) and its JSON as it is stored."""

    received_at: str
    data: bytes


class Selection(NamedTuple):
    """What is wanted; what is empty asks for nothing. All that is not must hold."""

    level: str = ""
    """At least this one of `LEVELS`."""
    services: Sequence[str] = ()
    """Any of these; `*`, `?` and `[…]` are wild."""
    formats: Sequence[str] = ()
    since: str = ""
    """A `timestamp` not before this one, written as records have it: RFC 3339, microseconds, Z."""
    search: Callable[[str], object] | None = None
    """Says whether a message is wanted."""

    def may_hold(self, frame: Description) -> bool:
        """Whether one of the frame's records can be wanted."""
        return bool(
            frame.records
            and (not self.since or frame.last >= self.since)
            and (not self.level or any(self._wants_level(level) for level in frame.levels))
            and (not self.services or not frame.services or any(map(self._wants_service, frame.services)))
            and (not self.formats or any(name.partition("/")[0] in self.formats for name in frame.sources))
        )

    def pick(self, content: bytes) -> list[Line]:
        """The wanted lines of a frame, in their order."""
        lines = content.removesuffix(b"\n").split(b"\n")  # a sender's own CR may stand between tokens
        try:
            heads = _decode_lines(content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            heads = []
        if len(heads) != len(lines):
            return self._pick_one_by_one(lines)
        pairs = zip(heads, lines, strict=True)
        if not any(self):
            return [_line(head, data) for head, data in pairs]
        wants = self._test()
        return [_line(head, data) for head, data in pairs if wants(head)]

    def _pick_one_by_one(self, lines: list[bytes]) -> list[Line]:
        """Where some line is no record: those are wanted only by who wants all."""
        wants = self._test()
        found = []
        for data in lines:
            try:
                head = _decode(data)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                if not any(self):
                    found.append(Line("", data))
                continue
            if wants(head):
                found.append(_line(head, data))
        return found

    def _test(self) -> Callable[[Head], bool]:
        """One question for all that is asked of a line; cheap ones first."""
        tests: list[Callable[[Head], object]] = []
        if self.since:
            tests.append(lambda head: head.timestamp >= self.since)
        if self.level:
            wanted = {level for level in LEVELS if self._wants_level(level)}
            tests.append(lambda head: head.level in wanted)
        if self.services:
            wants_service = lru_cache(4096)(self._wants_service)
            tests.append(lambda head: wants_service(head.service))
        if self.formats:
            tests.append(lambda head: head.format in self.formats)
        if search := self.search:
            tests.append(lambda head: search(head.message))
        return lambda head: all(test(head) for test in tests)

    def _wants_level(self, level: str) -> bool:
        return RANKS.get(level, -1) >= RANKS[self.level]

    def _wants_service(self, service: str) -> bool:
        return any(fnmatchcase(service, pattern) for pattern in self.services)


_decode: Final = msgspec.json.Decoder(Head).decode
_decode_lines: Final = msgspec.json.Decoder(Head).decode_lines
received: Final = attrgetter("received_at")


def _line(head: Head, data: bytes) -> Line:
    return Line(head.received_at if isinstance(head.received_at, str) else "", data)


def compile_pattern(text: str) -> Callable[[str], object]:
    """The search of a pattern as `[[alert]]` takes them, in linear time whatever the message.

    Raises ValueError that says what is wrong with it.
    """
    from ingestd.observe import patterns  # loads the engine, which nothing else here needs

    if why := patterns.check_pattern(text):
        raise ValueError(f"{text!r}: {why}")
    scan = patterns.compile_patterns([text.encode()]).scan

    def search(message: str) -> bool:
        found: list[int] = []
        scan(message.encode(), match_event_handler=lambda pattern, *_: found.append(pattern))
        return bool(found)

    return search
