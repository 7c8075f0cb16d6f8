"""What a client is told when it is made: plain values, checked once, so that nothing behind them needs to ask again.

Sizes in bytes, times in seconds. `Tls` names files and is read at every connect, so that renewed certificates are used
without a restart; who needs more gives an `ssl.SSLContext`.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Final, Literal, Required, TypedDict

from ingestd.client.errors import ConfigurationError
from ingestd.client.protocol import header_line

Compression = Literal["zstd", "none"]
WhenFull = Literal["block", "drop"]
SpoolSync = Literal["batch", "interval"]

MAX_ID_BYTES: Final = 64
#: The rest is for the suffix that tells two histories of one client apart (see state.py).
MAX_CLIENT_ID_BYTES: Final = MAX_ID_BYTES - 9
_CLIENT_ID: Final = re.compile(rf"[A-Za-z0-9._:-]{{1,{MAX_CLIENT_ID_BYTES}}}")
_WORD: Final = re.compile(r"[!-~]{1,400}")

_MAX_HEARTBEAT_INTERVAL_S: Final = 86_400.0
_MAX_NAME_CHARS: Final = 255  # what the server takes of a heartbeat

#: A batch may be no larger than this part of the spool, or one would fill it.
_SPOOL_PARTS: Final = 4


@dataclass(frozen=True, slots=True)
class Address:
    """One place to connect to."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """`host:port`, `[::1]:port`. Raises ConfigurationError."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigurationError(f"address {text!r}: give host:port, an IPv6 address as [::1]:port")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Tls:
    """How to speak TLS: PEM files, and the name the server's certificate must have (None: the host connected to).

    `ca` None trusts the system's CAs. `cert` and `key` are the client's own, where the server asks for one.
    """

    ca: str | PathLike[str] | None = None
    cert: str | PathLike[str] | None = None
    key: str | PathLike[str] | None = None
    server_name: str | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files. Raises ConfigurationError that names the one at fault."""
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"ca {self.ca}: not a PEM file of certificates ({error})") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert is not None:
            try:
                context.load_cert_chain(self.cert, self.key)
            except (OSError, ssl.SSLError) as error:
                raise ConfigurationError(f"cert {self.cert} with key {self.key}: {error}") from error
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All options but the addresses; docs/client.md has a table of them."""

    client_id: str
    spool_dir: str | PathLike[str]
    tls: Tls | ssl.SSLContext | None = None
    format: str = "json"
    schema: str | None = None
    token: str | None = field(default=None, repr=False)
    compression: Compression = "zstd"
    compression_level: int = 1
    batch_records: int = 1_000
    batch_bytes: int = 1 << 20
    max_batch_bytes: int = 16 << 20
    linger_s: float = 0.05
    memory_bytes: int = 16 << 20
    spool_bytes: int = 1 << 30
    spool_sync: SpoolSync = "batch"
    spool_sync_interval_s: float = 1.0
    when_full: WhenFull = "block"
    block_timeout_s: float | None = None
    window_batches: int = 256
    window_bytes: int = 8 << 20
    connect_timeout_s: float = 10.0
    ack_timeout_s: float = 60.0
    max_backoff_s: float = 30.0
    heartbeat_interval_s: float = 10.0
    service: str | None = None
    node: str | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        if not _CLIENT_ID.fullmatch(self.client_id):
            raise ConfigurationError(
                f"client_id {self.client_id!r}: 1 to {MAX_CLIENT_ID_BYTES} of letters, digits and ._:-"
            )
        for name in ("schema", "token"):
            value = getattr(self, name)
            if value is not None and not _WORD.fullmatch(value):
                raise ConfigurationError(f"{name}: 1 to 400 printable ASCII characters without spaces")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ConfigurationError(f"{name} {getattr(self, name)!r}: one of {', '.join(allowed)}")
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigurationError(f"{name} {value}: more than 0")
        if not 0 <= self.heartbeat_interval_s <= _MAX_HEARTBEAT_INTERVAL_S:
            raise ConfigurationError(f"heartbeat_interval_s {self.heartbeat_interval_s}: 0 (off) to a day")
        for name in ("service", "node", "version"):
            value = getattr(self, name)
            if value is not None and not 0 < len(value) <= _MAX_NAME_CHARS:
                raise ConfigurationError(f"{name}: 1 to {_MAX_NAME_CHARS} characters")
        try:
            header_line(
                self.format, "x" * MAX_ID_BYTES, compression="zstd", schema=self.schema, token=self.token
            )
        except ValueError as error:
            raise ConfigurationError(f"schema and token are too long together: {error}") from error
        if not self.batch_bytes <= self.max_batch_bytes <= 1 << 30:
            raise ConfigurationError("batch_bytes may be at most max_batch_bytes, and that at most 1 GiB")
        if self.batch_bytes * _SPOOL_PARTS > self.spool_bytes:
            raise ConfigurationError(
                f"spool_bytes {self.spool_bytes}: at least {_SPOOL_PARTS} times batch_bytes {self.batch_bytes}"
            )

    @property
    def record_limit_bytes(self) -> int:
        """The largest record, or block that cannot be divided."""
        return min(self.max_batch_bytes, self.spool_bytes // _SPOOL_PARTS)

    @property
    def spool_path(self) -> Path:
        return Path(self.spool_dir)


class Settings(TypedDict, total=False):
    """The keyword arguments that `Options` takes, for signatures."""

    client_id: Required[str]
    spool_dir: Required[str | PathLike[str]]
    tls: Tls | ssl.SSLContext | None
    format: str
    schema: str | None
    token: str | None
    compression: Compression
    compression_level: int
    batch_records: int
    batch_bytes: int
    max_batch_bytes: int
    linger_s: float
    memory_bytes: int
    spool_bytes: int
    spool_sync: SpoolSync
    spool_sync_interval_s: float
    when_full: WhenFull
    block_timeout_s: float | None
    window_batches: int
    window_bytes: int
    connect_timeout_s: float
    ack_timeout_s: float
    max_backoff_s: float
    heartbeat_interval_s: float
    service: str | None
    node: str | None
    version: str | None


_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "format": ("json", "raw", "syslog", "journald", "protobuf", "avro"),
    "compression": ("zstd", "none"),
    "when_full": ("block", "drop"),
    "spool_sync": ("batch", "interval"),
}
_POSITIVE: Final = (
    "batch_records",
    "batch_bytes",
    "linger_s",
    "memory_bytes",
    "spool_sync_interval_s",
    "block_timeout_s",
    "window_batches",
    "window_bytes",
    "connect_timeout_s",
    "ack_timeout_s",
    "max_backoff_s",
)


def parse_addresses(addresses: str | Sequence[str]) -> tuple[Address, ...]:
    """One or several `host:port`. Raises ConfigurationError."""
    given = [addresses] if isinstance(addresses, str) else list(addresses)
    if not given:
        raise ConfigurationError("addresses: at least one host:port")
    return tuple(map(Address.parse, given))
