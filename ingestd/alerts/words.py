"""What an alert is called: its labels, and one line for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ingestd.alerts.rules import threshold
from ingestd.alerts.series import Series
from ingestd.config_alerts import Alert

_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_SHARES: Final = ("disk_used", "rejects_ratio", "queue")

_OF_CHECK: Final = {
    "disk_used": "the disk of data_dir is {value} full, more than {threshold}",
    "disk_full_in": "the disk of data_dir is full in {value} if it goes on like this",
    "drops": "{records} dropped within {window}",
    "rejects_ratio": "{value} of the records within {window} were rejected, more than {threshold}",
    "queue": "the queue to the disk is {value} full, more than {threshold}",
    "worker_restarts": "workers died and were replaced {value} times within {window}",
    "certificate_expiry": "the certificate {certificate} expires in {value}",
    "udp_kernel_drops": "datagrams dropped by the kernel within {window}: {value}",
    "not_ready": "{worker} is not ready: {sample}",
}


def labels(rule: Alert | None, series: Series) -> dict[str, str]:
    """All labels; those of its own go over the rule's."""
    given = {} if rule is None else rule.labels | {"severity": rule.severity}
    return {**given, "rule": series.rule, **dict(series.labels)}


def summary(rule: Alert, series: Series) -> str:
    """One line: the rule's own words, else what fits its kind."""
    about = labels(rule, series)
    fields = {
        **about,
        "count": str(series.count),
        "value": _value(rule, series.value),
        "records": _records(series.count if rule.kind == "match" else series.value),
        "threshold": _value(rule, _threshold(rule)),
        "window": duration(rule.window),
        "pattern": rule.pattern,
        "sample": series.sample,
    }
    text = _FIELD.sub(lambda field: fields.get(field[1], ""), rule.summary or _default(rule, about))
    return " ".join(text.split())


def _default(rule: Alert, about: Mapping[str, str]) -> str:
    of = " of {service}" if "service" in about else ""
    match rule.kind:
        case "match":
            return "{records}" + of + " matched"
        case "rate":
            return "{records}" + of + " matched within {window}, more than {threshold}"
        case "absence" if "node" in about:
            return "no heartbeat of {node}" + (" ({service})" if of else "") + " for {value}"
        case "absence":
            return "no record" + of + " for {value}"
    return _OF_CHECK[rule.check]


def _threshold(rule: Alert) -> float:
    match rule.kind:
        case "rate":
            return rule.more_than
        case "absence":
            return rule.silent_for
        case "system":
            return threshold(rule)
    return 0.0


def _value(rule: Alert, value: float) -> str:
    if rule.kind == "absence" or rule.check in ("disk_full_in", "certificate_expiry"):
        return duration(value)
    if rule.check in _SHARES:
        return f"{100 * value:.3g} %"
    return f"{value:,.0f}"


def _records(count: float) -> str:
    return "1 record" if round(count) == 1 else f"{count:,.0f} records"


def duration(seconds: float) -> str:
    """Two units at most: `3d 4h`, `2m 5s`, `0s`."""
    left = max(0, round(seconds))
    if seconds < 0:
        return "the past"
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number or (unit == "s" and not parts):
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2])
