"""Twenty alert rules as an operator might have them, over what loadgen sends: some never hold, some always do."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ingestd.alerts.rules import conditions
from ingestd.config_alerts import Alert

_RATE: Final[dict[str, Any]] = {"kind": "rate", "more_than": 10_000_000, "window": 60.0}


def _match(name: str, **about: Any) -> Alert:
    return Alert(name=name, kind="match", **about)


def _rate(name: str, **about: Any) -> Alert:
    return Alert(name=name, **_RATE, **about)


TWENTY: Final = (
    _match("fatal", level="FATAL"),
    _match("mailer-fatal", level="FATAL", service="mailer"),
    _rate("errors", level="ERROR"),
    _rate("warnings", level="WARN"),
    _rate("gateway-warnings", level="WARN", service="gateway"),
    *(_rate(f"{name}-errors", level="ERROR", service=name) for name in ("api", "auth", "billing")),
    _rate("declined", level="ERROR", pattern="payment declined"),
    _match("db-1-lost", level="ERROR", pattern="connection to db-1 lost"),
    _match("memory", level="ERROR", pattern="out of memory"),
    _match("deadlock", level="ERROR", pattern="(?i)deadlock"),
    _match("disk", level="ERROR", pattern="no space left|disk .*full"),
    _match("certificate", level="ERROR", pattern="certificate .*expired"),
    _match("reset", level="ERROR", service="gateway", pattern="reset by peer|refused"),
    _match("brute-force", level="WARN", service="auth", pattern="login refused for user root"),
    _match("panic", pattern="panic:"),
    _match("oom-killer", pattern="(?i)oom.?kill"),
    _match("segfault", pattern=r"segfault at [0-9a-f]+"),
    _match("fatal-upstream", level="FATAL", field="upstream", pattern="^db-"),
)

CONDITIONS: Final = conditions(TWENTY)

_DEFAULTS: Final = msgspec.to_builtins(Alert())


def document() -> str:
    """The rules as a part of a configuration file."""
    return "\n".join(_table(rule) for rule in TWENTY)


def _table(rule: Alert) -> str:
    given = {key: value for key, value in msgspec.to_builtins(rule).items() if value != _DEFAULTS[key]}
    lines = [f"{key} = {_toml(key, value)}" for key, value in given.items()]
    return "\n".join(["[[alert]]", *lines, ""])


def _toml(key: str, value: object) -> str:
    """A string of JSON is one of TOML; durations are written with their unit."""
    if isinstance(value, float):
        return f'"{value:g}s"'
    return msgspec.json.encode(value).decode()
