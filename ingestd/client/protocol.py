"""The client's side of an acknowledged connection, without I/O: fed bytes, it answers events; asked, it gives bytes.

    client:  INGEST/1 <format> ack=1 client=<id> [key=value …] LF           at most 512 bytes
    server:  OK <last> LF                                                   highest durable sequence, 0: none known
    client:  u32 length | u64 sequence | payload                            big-endian; sequences rise by one
    server:  ACK <sequence> LF   REJECT <sequence> <n> <reason> LF   ERR <reason> LF

Rules: `OK` comes first and once; `ACK` is cumulative, never goes back behind one before and never exceeds what was sent
on this connection or was durable before it. A server that breaks them is not trusted with more: `ProtocolError`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

MAX_HEADER_BYTES: Final = 512
MAX_LINE_BYTES: Final = 4096
MAX_SEQUENCE: Final = 2**63 - 1

_HEAD: Final = struct.Struct(">IQ")


class ProtocolError(Exception):
    """The other side does not speak this protocol."""


@dataclass(frozen=True, slots=True)
class Opened:
    """`OK`: batches may be sent; those up to `last` are durable."""

    last: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """`ACK`: all up to `sequence` is durable."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """`REJECT`: `records` of batch `sequence` were refused; the others of it are stored with it."""

    sequence: int
    records: int
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """`ERR`: the server closes after this."""

    reason: str


Event = Opened | Acknowledged | Rejected | Refused


def header_line(format_: str, client: str, **keys: str | None) -> bytes:
    """The first line of a connection with acknowledgements; keys that are None are left out. Raises ValueError if it is
    too long."""
    return stream_header_line(format_, ack="1", client=client, **keys)


def stream_header_line(format_: str, **keys: str | None) -> bytes:
    """The first line of a plain stream. Raises ValueError likewise."""
    words = [f"INGEST/1 {format_}"]
    words += [f"{key}={value}" for key, value in keys.items() if value is not None]
    line = " ".join(words).encode("ascii") + b"\n"
    if len(line) > MAX_HEADER_BYTES:
        raise ValueError(f"the header line takes {len(line)} bytes, {MAX_HEADER_BYTES} are allowed")
    return line


def batch_head(sequence: int, length: int) -> bytes:
    """What goes before a payload of so many bytes."""
    return _HEAD.pack(length, sequence)


class Conversation:
    """One connection, after its header line was sent."""

    def __init__(self) -> None:
        self._pending = b""
        self.opened = False
        self._ended = False
        self._acknowledged = 0
        self._sent = 0

    def sent(self, sequence: int) -> None:
        """Note that batch `sequence` is on its way."""
        self._sent = sequence

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes of the server. Raises ProtocolError; what was said before it is lost with it."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) > MAX_LINE_BYTES:
            raise ProtocolError(f"a line longer than {MAX_LINE_BYTES} bytes")
        return [self._event(line.removesuffix(b"\r")) for line in lines]

    def _event(self, line: bytes) -> Event:
        if self._ended:
            raise ProtocolError(f"a line after ERR: {_shown(line)}")
        word, _, rest = line.partition(b" ")
        if word == b"ERR":
            self._ended = True
            return Refused(rest.decode("utf-8", "replace"))
        if word == b"OK" and not self.opened:
            self.opened = True
            self._acknowledged = self._sent = _number(rest, line)
            return Opened(self._acknowledged)
        if self.opened:
            if word == b"ACK":
                return self._acknowledge(_number(rest, line), line)
            if word == b"REJECT":
                return self._reject(rest, line)
        raise ProtocolError(f"not expected here: {_shown(line)}")

    def _acknowledge(self, sequence: int, line: bytes) -> Event:
        if not self._acknowledged <= sequence <= max(self._sent, self._acknowledged):
            raise ProtocolError(
                f"{_shown(line)}, where {self._acknowledged} was acknowledged and {self._sent} was sent"
            )
        self._acknowledged = sequence
        return Acknowledged(sequence)

    def _reject(self, rest: bytes, line: bytes) -> Event:
        fields = rest.split(b" ", 2)
        if len(fields) != 3 or not fields[2]:
            raise ProtocolError(f"not a REJECT: {_shown(line)}")
        sequence, records = _number(fields[0], line), _number(fields[1], line)
        if not self._acknowledged < sequence <= self._sent:
            raise ProtocolError(f"{_shown(line)}, where {self._sent} was sent")
        return Rejected(sequence, records, fields[2].decode("utf-8", "replace"))


def _number(text: bytes, line: bytes) -> int:
    if not text.isdigit() or len(text) > 19 or (number := int(text)) > MAX_SEQUENCE:
        raise ProtocolError(f"not a number: {_shown(line)}")
    return number


def _shown(line: bytes) -> str:
    return ascii(line[:80].decode("latin-1"))[1:-1]
