"""What `[[alert]]` and `[[notifier]]` must hold that no single key can tell.

What a kind needs, what has no effect on it, and names that must be there. Whether a pattern is one that is matched in
linear time is asked elsewhere (`config_patterns`), since that takes the engine that matches it.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from ingestd.config_alerts import OWN_LABELS, SUMMARY_FIELDS, Alert, Notifier
from ingestd.config_decode import table_label, toml_text
from ingestd.errors import Problem

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", re.ASCII)
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_SERVER: Final = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})", re.ASCII)

_RECORD_KEYS: Final = ("level", "service", "field", "pattern")
_KIND_KEYS: Final = {
    "match": _RECORD_KEYS,
    "rate": (*_RECORD_KEYS, "more_than", "window", "per_service"),
    "absence": ("service", "node", "silent_for"),
    "system": ("check", "above", "within", "window"),
}
_NOTIFIER_KEYS: Final = {
    "webhook": ("url", "secret", "headers", "ca"),
    "alertmanager": ("url", "headers", "ca"),
    "email": ("server", "security", "username", "password", "sender", "recipients", "ca"),
    "command": ("command",),
    "log": (),
}
#: What a check is compared with: `above` or `within`.
_ABOVE: Final = ("disk_used", "drops", "rejects_ratio", "queue", "worker_restarts", "udp_kernel_drops")
_WITHIN: Final = ("disk_full_in", "certificate_expiry")
_WINDOWED: Final = ("disk_full_in", "drops", "rejects_ratio", "worker_restarts", "udp_kernel_drops")


def broken_rules(alerts: Iterable[Alert], notifiers: Iterable[Notifier]) -> Iterator[Problem]:
    """What no single key can tell: what a kind needs, what has no effect, names that are not there."""
    notifiers = tuple(notifiers)
    yield from _names("notifier", notifiers)
    for number, notifier in enumerate(notifiers, 1):
        where = table_label("notifier", number, notifier.name)
        for key, given, reason in (*_kind(notifier, _NOTIFIER_KEYS), *_notifier(notifier)):
            yield Problem(f"{where}: {key}", given, reason, _all_of(where, notifier))
    alerts = tuple(alerts)
    known = [notifier.name for notifier in notifiers]
    yield from _names("alert", alerts)
    for number, alert in enumerate(alerts, 1):
        where = table_label("alert", number, alert.name)
        for key, given, reason in (*_kind(alert, _KIND_KEYS), *_alert(alert), *_routes(alert, known)):
            yield Problem(f"{where}: {key}", given, reason, _all_of(where, alert))


def _all_of(where: str, table: Alert | Notifier) -> tuple[str, ...]:
    """Where one key could not be read, it would be idle to judge what another makes of its default."""
    return tuple(f"{where}: {name}" for name in table.__struct_encode_fields__)


_Found = Iterator[tuple[str, str, str]]
"""Key, value as TOML, what is wrong with it."""


def _names(array: str, tables: Sequence[Alert | Notifier]) -> Iterator[Problem]:
    times = Counter(table.name for table in tables)
    for number, table in enumerate(tables, 1):
        where = table_label(array, number, table.name)
        if not _NAME.fullmatch(table.name):
            reason = "must be a name of 1 to 64 letters, digits and _.:-, such as disk-full"
            yield Problem(f"{where}: name", toml_text(table.name) if table.name else "", reason)
        elif times[table.name] > 1:
            times[table.name] = 0  # told once
            yield Problem(
                f"{where}: name", toml_text(table.name), f"is given twice; each {array} has its own name"
            )


def _kind(table: Alert | Notifier, kinds: dict[str, tuple[str, ...]]) -> _Found:
    """The kind is given, and no key of another kind."""
    if not table.kind:
        yield "kind", "", f"must be given: one of {', '.join(map(toml_text, kinds))}"
        return
    own = kinds[table.kind]
    foreign = dict.fromkeys(key for names in kinds.values() for key in names if key not in own)
    defaults = type(table)()
    for key in foreign:
        if getattr(table, key) != getattr(defaults, key):
            of = " or ".join(toml_text(kind) for kind, names in kinds.items() if key in names)
            yield key, "", f"has no effect with kind = {toml_text(table.kind)}; it is for {of}"


def _alert(alert: Alert) -> _Found:
    match alert.kind:
        case "match" | "rate":
            if not (alert.level or alert.service or alert.pattern):
                yield (
                    "kind",
                    toml_text(alert.kind),
                    "would match every record; give a level, a service or a pattern",
                )
            if alert.field != "message" and not alert.pattern:
                yield "field", toml_text(alert.field), "has no effect without a pattern to look for in it"
            if alert.kind == "rate" and not alert.more_than:
                yield "more_than", "", 'must be given, at least 1; for a single record write kind = "match"'
        case "absence":
            if bool(alert.service) == bool(alert.node):
                yield "service", "", 'give either a service or a node, "*" for each that was seen'
            if alert.service and not alert.silent_for:
                yield "silent_for", "", 'must be given, a duration such as "5m"'
        case "system":
            yield from _system(alert)
    for name, value in alert.labels.items():
        if not _LABEL.fullmatch(name) or name in OWN_LABELS:
            reason = f"must be letters, digits and _, and none of {', '.join(OWN_LABELS)}, which alerts have"
            yield f"labels.{name}", toml_text(value), reason
    fields = (*SUMMARY_FIELDS, *alert.labels)
    for field in _FIELD.findall(alert.summary):
        if field not in fields:
            yield "summary", toml_text(alert.summary), f"{{{field}}} is nothing known; {_near(field, fields)}"
    for label in alert.group_by:
        if label not in (*OWN_LABELS, *alert.labels):
            yield (
                "group_by",
                toml_text(label),
                f"is no label of this rule; {_near(label, (*OWN_LABELS, *alert.labels))}",
            )


def _system(alert: Alert) -> _Found:
    check = alert.check
    if not check:
        yield "check", "", f"must be given: one of {', '.join((*_ABOVE, *_WITHIN, 'not_ready'))}"
        return
    if alert.above is not None and check not in _ABOVE:
        yield "above", str(alert.above), f"has no effect on {check}" + _instead(check in _WITHIN, "within")
    if alert.within is not None and check not in _WITHIN:
        given = toml_text(alert.within, "seconds")
        yield "within", given, f"has no effect on {check}" + _instead(check in _ABOVE, "above")
    if alert.window != Alert().window and check not in _WINDOWED:
        yield (
            "window",
            toml_text(alert.window, "seconds"),
            f"has no effect on {check}, which is of the moment",
        )


def _instead(applies: bool, key: str) -> str:
    return f"; write {key}" if applies else ""


def _routes(alert: Alert, known: list[str]) -> _Found:
    for name in alert.notify:
        if name not in known:
            yield "notify", toml_text(name), f"is the name of no notifier; {_near(name, known)}"


def _notifier(notifier: Notifier) -> _Found:
    match notifier.kind:
        case "webhook" | "alertmanager":
            if not _is_http_url(notifier.url):
                # A URL may hold a secret: that of a chat's webhook is one.
                yield (
                    "url",
                    "",
                    "must be given, such as http://127.0.0.1:9093 or https://hooks.example.org/logs",
                )
        case "email":
            port = _SERVER.fullmatch(notifier.server)
            if port is None or not 0 < int(port[1]) < 65536:
                given = toml_text(notifier.server) if notifier.server else ""
                yield "server", given, "must be host:port, such as smtp.example.org:587"
            if "@" not in notifier.sender:
                yield "sender", toml_text(notifier.sender), "must be an address such as logs@example.org"
            if not notifier.recipients:
                yield "recipients", "", 'must be given, such as ["ops@example.org"]'
            for address in notifier.recipients:
                if "@" not in address:
                    yield "recipients", toml_text(address), "must be an address such as ops@example.org"
            if bool(notifier.username) != bool(notifier.password):
                yield "username", "", "username and password must both be set, or neither"
            if notifier.password and notifier.security == "none":
                reason = 'would send the password in the clear; write security = "starttls" or "tls"'
                yield "security", '"none"', reason
        case "command":
            if not notifier.command or not notifier.command[0]:
                yield "command", "", 'must be given, such as ["/usr/local/bin/page", "--urgent"]'


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _near(word: str, known: Iterable[str]) -> str:
    known = tuple(known)
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"known are {', '.join(known)}" if known else "none is configured"
