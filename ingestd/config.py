"""The configuration: what may be set, in which unit, within which bounds, with which default.

One frozen Struct per section of the TOML file, the attribute named as the key: after `load`, sizes are
bytes (int) and durations seconds (float), so `config.segment.max_bytes == 50_000_000`. Every string value may
hold `${ENV}` or `${ENV:-default}`. Relative paths are taken from the working directory of the process.
Mistakes are collected, not met one by one: `ConfigError.problems` has all of them. Whether the files that are
named exist and fit each other is asked separately (`config_files`), since decoding touches nothing.
"""

import ipaddress
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from msgspec import Meta, field

from ingestd import config_alerts_check, config_decode
from ingestd import config_keys as keys
from ingestd.config_alerts import Alert, Alerts, Heartbeat, Notifier
from ingestd.config_decode import Key, toml_text
from ingestd.config_keys import Section
from ingestd.errors import ConfigError, Problem
from ingestd.identities import identity
from ingestd.units import GB, KB, MB

DEFAULT_PATHS: Final = (Path("conf/ingestd.toml"), Path("/etc/ingestd/ingestd.toml"))

RESERVED_FIELDS: Final = frozenset({"timestamp", "level", "service", "message", "format", "received_at"})
"""What every record has by itself; an enrichment field may not be named so."""

_INT_MAX: Final = 2**31 - 1  # the kernel takes socket buffer sizes and backlogs as a C int


class Server(Section, frozen=True):
    workers: Annotated[int, keys.count("worker processes; 0 is one per core", "processes", 0, 1024)] = 0
    data_dir: Annotated[str, Meta(description="folder of the segments", min_length=1)] = "data"
    state_dir: Annotated[str, Meta(description="folder of ingestd.json and the registry", min_length=1)] = (
        "state"
    )
    drain_timeout: Annotated[float, keys.duration("longest time a stop spends on what clients had sent")] = (
        10.0
    )
    reload_timeout: Annotated[float, keys.duration("longest time old connections go on after a reload")] = (
        3600.0
    )
    heartbeat_timeout: Annotated[float, keys.duration("a worker silent for so long is replaced", 0.1)] = 10.0
    client_ttl: Annotated[float, keys.duration("a client unseen for so long is forgotten", 60.0)] = (
        7 * 86_400.0
    )


class Tcp(Section, frozen=True):
    address: Annotated[str, keys.text("IP address to listen on; 0.0.0.0 or :: is every one")] = "127.0.0.1"
    port: Annotated[int, keys.count("TCP port; 0 takes a free one", "", 0, 65535)] = 3001
    cert: Annotated[str, keys.text("PEM file of the server certificate and its chain")] = "certs/server.crt"
    key: Annotated[str, keys.text("PEM file of the server's private key, without a passphrase")] = (
        "certs/server.key"
    )
    client_ca: Annotated[
        str, keys.text("PEM file of CAs; clients must then show a certificate of theirs")
    ] = ""
    plaintext: Annotated[bool, keys.text("listen without TLS")] = False
    backlog: Annotated[
        int, keys.count("connections the kernel queues per worker", "connections", 1, _INT_MAX)
    ] = 4096


class Udp(Section, frozen=True):
    address: Annotated[str, keys.text("IP address to listen on; 0.0.0.0 or :: is every one")] = "127.0.0.1"
    port: Annotated[int, keys.count("UDP port; 0 takes a free one", "", 0, 65535)] = 3002
    receive_buffer: Annotated[int, keys.size("kernel buffer (SO_RCVBUF) per worker", 4 * KB, _INT_MAX)] = (
        32 * MB
    )


class Listen(Section, frozen=True):
    tcp: Tcp = Tcp()
    udp: Udp = Udp()


class Http(Section, frozen=True):
    address: Annotated[str, keys.text("IP address of metrics, health and the dashboard")] = "127.0.0.1"
    port: Annotated[int, keys.count("TCP port; 0 takes a free one", "", 0, 65535)] = 8080
    cert: Annotated[str, keys.text("PEM file of a certificate and its chain; empty: without TLS")] = ""
    key: Annotated[str, keys.text("PEM file of its private key, without a passphrase")] = ""
    tokens_file: Annotated[str, keys.text("file of tokens: all but the health checks needs one of them")] = ""
    allow_anonymous: Annotated[bool, keys.text("answer other machines without a token")] = False


class Segment(Section, frozen=True):
    max_bytes: Annotated[int, keys.size("a segment is closed at this size on disk", KB)] = 50 * MB
    max_age: Annotated[float, keys.duration("a segment is closed at this age", 0.01)] = 3600.0
    # zstd's own range is wider; above 19 a worker's memory would grow by hundreds of megabytes.
    level: Annotated[int, keys.count("zstd level", "zstd level", -7, 19)] = 1
    flush_interval: Annotated[float, keys.duration("records reach the disk at least so often", 0.001)] = 1.0


class Buffer(Section, frozen=True):
    high_water: Annotated[int, keys.size("queued for the writer: TCP reading pauses above it", KB)] = 32 * MB
    low_water: Annotated[int, keys.size("queued for the writer: TCP reading resumes below it", 0)] = 16 * MB


class Retention(Section, frozen=True):
    max_total_bytes: Annotated[int, keys.size("oldest closed segments go above this; 0 is off", 0)] = 0
    max_age: Annotated[float, keys.duration("closed segments go at this age; 0 is off")] = 0.0
    min_free_bytes: Annotated[int, keys.size("oldest go while the disk has less free; 0 is off", 0)] = 0


class Limits(Section, frozen=True):
    max_record_bytes: Annotated[int, keys.size("a longer record is rejected, the stream goes on", 64, GB)] = (
        MB
    )
    max_batch_bytes: Annotated[
        int, keys.size("a larger batch of a client with acknowledgements is refused", KB, GB)
    ] = 16 * MB
    max_connections: Annotated[
        int, keys.count("open TCP connections over all", "connections", 1, _INT_MAX)
    ] = 10_000
    max_connections_per_source: Annotated[
        int,
        keys.count(
            "open TCP connections of one IP address, in each worker; 0 is off", "connections", 0, _INT_MAX
        ),
    ] = 0
    connection_rate: Annotated[
        int, keys.size("bytes per second of one TCP connection, read no faster; 0 is off", 0)
    ] = 0
    source_rate: Annotated[
        int,
        keys.size("bytes per second of one IP address, in each worker; UDP over it is dropped; 0 is off", 0),
    ] = 0
    rate_burst: Annotated[float, keys.duration("so many seconds' worth of a rate may come at once", 0.01)] = (
        1.0
    )
    memory_budget: Annotated[
        int, keys.size("held for all connections of a worker; over it those that hold most are closed", MB)
    ] = 256 * MB
    header_timeout: Annotated[float, keys.duration("for the TLS handshake and the first bytes", 0.01)] = 10.0
    idle_timeout: Annotated[float, keys.duration("a connection silent for so long is closed", 0.01)] = 3600.0
    rejects_max_bytes: Annotated[int, keys.size("size of a rejects file; one older is kept", KB)] = 10 * MB


class Auth(Section, frozen=True):
    networks: Annotated[tuple[str, ...], keys.text("networks that may send, TCP and UDP; none: all")] = ()
    clients: Annotated[
        tuple[str, ...], keys.text("client certificates that may send; none: all of client_ca")
    ] = ()
    tokens_file: Annotated[str, keys.text("file of tokens: each connection must show one of them")] = ""
    tokenless_networks: Annotated[tuple[str, ...], keys.text("networks that may send without a token")] = ()


class Enrich(Section, frozen=True):
    environment: Annotated[str, keys.text("field `environment` of every record; empty adds none")] = ""
    app_version: Annotated[str, keys.text("field `app_version` of every record; empty adds none")] = ""
    default_service: Annotated[str, Meta(description="service of a record with none", min_length=1)] = (
        "unknown"
    )
    fields: Annotated[dict[str, str], keys.text("further fields of every record, by name")] = field(
        default_factory=dict
    )


class Syslog(Section, frozen=True):
    timezone: Annotated[str, keys.text("zone of syslog times that name none, such as Europe/Berlin")] = "UTC"


class Schema(Section, frozen=True):
    max_future: Annotated[
        float, keys.duration("a record with a later timestamp is rejected, syslog or journal text put right")
    ] = 86_400.0
    min_timestamp: Annotated[
        str, keys.text("a record with an earlier timestamp is rejected, syslog or journal text put right")
    ] = "1970-01-01T00:00:00Z"
    max_message_chars: Annotated[int, keys.count("a longer message is rejected", "characters", 1, GB)] = (
        1_000_000
    )
    services: Annotated[
        dict[str, str], keys.text("JSON schema of a service's records, subject[@version]")
    ] = field(default_factory=dict)


class Registry(Section, frozen=True):
    token: Annotated[str, keys.text("secret that writing schemas needs; empty asks for none")] = ""
    max_body_bytes: Annotated[int, keys.size("a request with more is refused", KB, 64 * MB)] = MB


class Config(Section, frozen=True):
    """The whole configuration; `Config()` is the defaults."""

    server: Server = Server()
    listen: Listen = Listen()
    http: Http = Http()
    segment: Segment = Segment()
    buffer: Buffer = Buffer()
    retention: Retention = Retention()
    limits: Limits = Limits()
    auth: Auth = Auth()
    enrich: Enrich = Enrich()
    syslog: Syslog = Syslog()
    schema: Schema = Schema()
    registry: Registry = Registry()
    alerts: Alerts = Alerts()
    heartbeat: Heartbeat = Heartbeat()
    alert: tuple[Alert, ...] = ()
    notifier: tuple[Notifier, ...] = ()


_SCHEMA: Final = config_decode.Schema.of(Config)


def describe() -> tuple[Key, ...]:
    """Every key in the order of the file, for documentation and its tests; those of [[name]] as `name.key`."""
    return tuple(_SCHEMA.all_keys())


def default_path() -> Path | None:
    """The file taken when none is named: the first of `DEFAULT_PATHS` that is there, else none."""
    return next((path for path in DEFAULT_PATHS if _is_there(path)), None)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:  # a folder that only its group may enter, as that of an installed service
        return True


def load(
    path: Path | None = None, overrides: Sequence[str] = (), environ: Mapping[str, str] = os.environ
) -> Config:
    """The configuration of `path` (without one, the defaults) with `section.key=value` overrides applied.

    Raises ConfigError with every problem found, in the order of the file.
    """
    source = "built-in defaults" if path is None else str(path)
    if overrides:
        source += " with --set"
    document = {} if path is None else _read(path)
    problems = [wrong for text in overrides if (wrong := _SCHEMA.override(document, text)) is not None]
    config, wrong_values = _SCHEMA.decode(document, environ)
    problems += wrong_values
    # A key that could not be read holds its default now; a rule about it would accuse the wrong one.
    unread = {problem.key for problem in problems}
    problems += [p for p in _broken_rules(config) if unread.isdisjoint((p.key, *p.others))]
    if problems:
        raise ConfigError(source, problems)
    assert isinstance(config, Config)
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        reason = "no such file; name another with -c, or leave -c out for the defaults"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 at byte {error.start}; TOML files are UTF-8"
    except tomllib.TOMLDecodeError as error:
        reason = f"not TOML: {error}"
    raise ConfigError(str(path), [Problem("", "", reason)])


def _broken_rules(config: Config) -> Iterator[Problem]:
    """What no single key can tell: addresses, and keys that must agree with each other."""
    tcp, udp, http = config.listen.tcp, config.listen.udp, config.http
    for key, address in (
        ("listen.tcp.address", tcp.address),
        ("listen.udp.address", udp.address),
        ("http.address", http.address),
    ):
        if not _is_ip_address(address):
            yield Problem(key, toml_text(address), "must be an IP address such as 127.0.0.1, 0.0.0.0 or ::")
    if tcp.port == http.port != 0 and tcp.address == http.address:
        reason = "is the address and port of listen.tcp too; give one of them another port"
        yield Problem(
            "http.port", str(http.port), reason, ("listen.tcp.port", "listen.tcp.address", "http.address")
        )
    for key, file in (("listen.tcp.cert", tcp.cert), ("listen.tcp.key", tcp.key)):
        if not file and not tcp.plaintext:
            yield Problem(key, '""', "must name a PEM file, unless listen.tcp.plaintext = true")
    if tcp.client_ca and tcp.plaintext:
        reason = "has no effect without TLS; remove it, or set listen.tcp.plaintext = false"
        yield Problem("listen.tcp.client_ca", toml_text(tcp.client_ca), reason, ("listen.tcp.plaintext",))
    yield from _broken_auth_rules(config)
    yield from config_alerts_check.broken_rules(config.alert, config.notifier)
    batch, budget = config.limits.max_batch_bytes, config.limits.memory_budget
    if budget < batch:
        reason = f"must be at least limits.max_batch_bytes, which is {toml_text(batch, 'bytes')}"
        yield Problem("limits.memory_budget", toml_text(budget, "bytes"), reason, ("limits.max_batch_bytes",))
    low, high = config.buffer.low_water, config.buffer.high_water
    if low >= high:
        reason = f"must be below buffer.high_water, which is {toml_text(high, 'bytes')}"
        yield Problem("buffer.low_water", toml_text(low, "bytes"), reason, ("buffer.high_water",))
    if not _is_time_zone(config.syslog.timezone):
        reason = "is no zone of the IANA time zone database; for example UTC, Europe/Berlin, America/New_York"
        yield Problem("syslog.timezone", toml_text(config.syslog.timezone), reason)
    if not _is_timestamp(config.schema.min_timestamp):
        reason = 'must be a time of the years 1970 to 9999, written as "2000-01-01T00:00:00Z"'
        yield Problem("schema.min_timestamp", toml_text(config.schema.min_timestamp), reason)
    for service, subject in config.schema.services.items():
        if not subject:
            reason = "must name a subject of the schema registry, such as orders or orders@3"
            yield Problem(f"schema.services.{service}", toml_text(subject), reason)
    for name, value in config.enrich.fields.items():
        if not name or name in RESERVED_FIELDS:
            reason = f"must have another name than {', '.join(sorted(RESERVED_FIELDS))}, which records have"
            yield Problem(f"enrich.fields.{name}", toml_text(value), reason)


def _broken_auth_rules(config: Config) -> Iterator[Problem]:
    """The rules of who may send, and who may look."""
    auth, http = config.auth, config.http
    for key, networks in (
        ("auth.networks", auth.networks),
        ("auth.tokenless_networks", auth.tokenless_networks),
    ):
        for network in networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                yield Problem(
                    key, toml_text(network), f"must be a network such as 10.0.0.0/8 or ::1: {error}"
                )
    for client in auth.clients:
        try:
            identity(client)
        except ValueError as error:
            yield Problem("auth.clients", toml_text(client), str(error))
    if auth.clients and not config.listen.tcp.client_ca:
        reason = "has no effect without certificates of clients; set listen.tcp.client_ca to their CA's file"
        yield Problem("auth.clients", toml_text(auth.clients), reason, ("listen.tcp.client_ca",))
    if auth.tokenless_networks and not auth.tokens_file:
        reason = "has no effect where no tokens are asked for; set auth.tokens_file, or limit auth.networks"
        given = toml_text(auth.tokenless_networks)
        yield Problem("auth.tokenless_networks", given, reason, ("auth.tokens_file",))
    if bool(http.cert) != bool(http.key):
        reason = "must both be set, for TLS, or neither"
        yield Problem("http.cert and http.key", "", reason, ("http.cert", "http.key"))
    is_open = not http.tokens_file and not http.allow_anonymous
    if is_open and _is_ip_address(http.address) and not ipaddress.ip_address(http.address).is_loopback:
        reason = (
            "other machines would be answered without a token; set http.tokens_file (`ingestd token` makes tokens), "
            "or http.allow_anonymous = true where something else keeps strangers away"
        )
        others = ("http.tokens_file", "http.allow_anonymous")
        yield Problem("http.address", toml_text(http.address), reason, others)


def _is_timestamp(text: str) -> bool:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").year >= 1970
    except ValueError:
        return False


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # not there; a folder of zones; no name at all
        return False
    return True


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
