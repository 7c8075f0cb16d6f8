"""The sections on alerts and heartbeats: `[[alert]]`, `[[notifier]]`, `[alerts]`, `[heartbeat]`.

A rule is of one kind, and so is a notifier, and takes the keys of that kind: `config_alerts_check` says which. These
structs are values that are handed on as they are.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from ingestd import config_keys as keys
from ingestd.config_keys import Section

#: Labels that alerts have by themselves, by what their rule is about.
OWN_LABELS: Final = ("rule", "severity", "service", "node", "check", "worker", "certificate")

#: What a summary may name in braces, beside labels.
SUMMARY_FIELDS: Final = (*OWN_LABELS, "count", "value", "threshold", "window", "pattern", "sample")


class Alert(Section, frozen=True, rename={"for_": "for"}):
    """One rule. Every default is a key that is not set."""

    name: Annotated[str, keys.text("what the rule is called; unique")] = ""
    kind: Annotated[
        Literal["", "match", "rate", "absence", "system"], keys.text("what the rule is about; see below")
    ] = ""
    severity: Annotated[Literal["info", "warning", "critical"], keys.text("label of its alerts")] = "warning"
    summary: Annotated[str, keys.text("one line for people, may name fields in braces; empty: a default")] = (
        ""
    )
    labels: Annotated[dict[str, str], keys.text("further labels of its alerts, by name")] = msgspec.field(
        default_factory=dict
    )
    level: Annotated[
        Literal["", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"],
        keys.text("match, rate: records of at least this level"),
    ] = ""
    service: Annotated[
        str, keys.text("match, rate: of this service; absence: silence of this one, * of any seen")
    ] = ""
    node: Annotated[str, keys.text("absence: silence of this node, * of any seen")] = ""
    field: Annotated[str, keys.text("match, rate: the field that the pattern is looked for in")] = "message"
    pattern: Annotated[str, keys.text("match, rate: regular expression found anywhere in the field")] = ""
    more_than: Annotated[
        int, keys.count("rate: so many within the window are no alert", "records", 0, 10**12)
    ] = 0
    window: Annotated[float, keys.duration("rate, system: the time that is counted over", 1.0)] = 300.0
    per_service: Annotated[bool, keys.text("rate: count each service for itself")] = False
    silent_for: Annotated[
        float,
        keys.duration("absence: such a silence is an alert; 0 of a node: as heartbeats are missed"),
    ] = 0.0
    check: Annotated[
        Literal[
            "",
            "disk_used",
            "disk_full_in",
            "drops",
            "rejects_ratio",
            "queue",
            "worker_restarts",
            "certificate_expiry",
            "udp_kernel_drops",
            "not_ready",
        ],
        keys.text("system: what is looked at, each second"),
    ] = ""
    above: Annotated[float, keys.number("system: an alert above this; unset: the check's own")] | None = None
    within: (
        Annotated[float, keys.duration("system: an alert if it is sooner; unset: the check's own")] | None
    ) = None
    for_: Annotated[float, keys.duration("it must hold for so long before it fires")] = 0.0
    repeat: Annotated[float, keys.duration("told again while it fires, this often", 1.0)] = 4 * 3600.0
    resolve_after: (
        Annotated[float, keys.duration("over once it has not held for so long; unset: by kind")] | None
    ) = None
    group_by: Annotated[tuple[str, ...], keys.text("alerts that agree in these labels share a notice")] = (
        "rule",
    )
    notify: Annotated[tuple[str, ...], keys.text("names of notifiers; none: all")] = ()


class Notifier(Section, frozen=True):
    """One way to tell people."""

    name: Annotated[str, keys.text("what the notifier is called; unique")] = ""
    kind: Annotated[
        Literal["", "webhook", "alertmanager", "email", "command", "log"],
        keys.text("how it tells; see below"),
    ] = ""
    url: Annotated[str, keys.text("webhook: where to POST; alertmanager: its base URL")] = ""
    secret: Annotated[str, keys.text("webhook: key of the HMAC-SHA256 signature; empty signs nothing")] = ""
    headers: Annotated[
        dict[str, str], keys.text("webhook, alertmanager: further request headers, by name")
    ] = msgspec.field(default_factory=dict)
    server: Annotated[str, keys.text("email: host:port of the SMTP server")] = ""
    security: Annotated[
        Literal["starttls", "tls", "none"], keys.text("email: how the connection is protected")
    ] = "starttls"
    username: Annotated[str, keys.text("email: name to log in with; empty does not")] = ""
    password: Annotated[str, keys.text("email: password to log in with")] = ""
    sender: Annotated[str, keys.text("email: address that it comes from")] = ""
    recipients: Annotated[tuple[str, ...], keys.text("email: addresses that it goes to")] = ()
    command: Annotated[tuple[str, ...], keys.text("command: program and arguments, run without a shell")] = ()
    ca: Annotated[
        str, keys.text("webhook, alertmanager, email: PEM file of CAs to trust; empty: the system's")
    ] = ""
    timeout: Annotated[float, keys.duration("longest time of one attempt", 0.1)] = 10.0
    resolved: Annotated[bool, keys.text("tell also that an alert is over")] = True


class Alerts(Section, frozen=True):
    builtin: Annotated[bool, keys.text("have the built-in rules about the daemon itself")] = True
    group_interval: Annotated[
        float, keys.duration("a group that changes all the time is told of this often", 1.0)
    ] = 10.0


class Heartbeat(Section, frozen=True):
    store: Annotated[bool, keys.text("keep heartbeats as records too")] = False
    interval_missed: Annotated[
        int, keys.count("a node silent for so many of its intervals has failed", "intervals", 1, 1000)
    ] = 3
    alert: Annotated[bool, keys.text("have the built-in rule node-failed")] = True
    forget_after: Annotated[float, keys.duration("a node unseen for so long is forgotten", 60.0)] = (
        7 * 86_400.0
    )


def place(url: str) -> str:
    """The server of a URL; what stands behind or before it may be a secret."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
