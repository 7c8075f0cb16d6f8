"""Which alerts are told together, and when.

Alerts whose rules name the same notifiers and that agree in the labels of `group_by` are a group. What happens in it is
told at once while little happens: a group may send `BURST` notices back to back and then one each `group_interval`, so
a storm of a thousand alerts is a dozen notices, each of which says how the whole group stands. A group whose alerts go
on firing is told again each `repeat`.

Silenced alerts stay in their group, and are told when their silence ends before they do. A silence holds back alarms:
the end of an alert that was told as firing is always told, so that nobody waits for it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from ingestd.alerts.notices import Notice, Reason
from ingestd.alerts.series import NEVER, Series
from ingestd.alerts.view import AlertView
from ingestd.config_alerts import Alert

#: Notices of one group that may follow each other at once.
BURST: Final = 10


class Memory(msgspec.Struct):
    """What must not be forgotten of a group: whom it told of what, and when."""

    labels: dict[str, str]
    notify: tuple[str, ...]
    told: list[str] = []
    """The fingerprints of the firing alerts that were told."""
    told_s: float = 0.0
    resolved: list[Series] = []
    """Those that are over and not told as such yet."""


class Group:
    """Alerts that are told together."""

    def __init__(self, memory: Memory, interval_s: float) -> None:
        self.memory = memory
        self.firing: dict[str, Series] = {}
        self.resolved: dict[str, Series] = {each.fingerprint: each for each in memory.resolved}
        self._interval_s = interval_s
        self._tokens = float(BURST)
        self._tokens_s = 0.0

    def may_tell_s(self, now_s: float) -> float:
        """When the next notice may go: now, or later."""
        self._tokens = min(BURST, self._tokens + (now_s - self._tokens_s) / self._interval_s)
        self._tokens_s = now_s
        # Rounding must not make it wait for the last millionth of a token.
        return now_s if self._tokens >= 1 - 1e-6 else now_s + (1 - self._tokens) * self._interval_s

    def skip(self, by_s: float) -> None:
        self._tokens_s += by_s
        self.memory.told_s += by_s

    def spend(self) -> None:
        self._tokens = max(0.0, self._tokens - 1)

    @property
    def idle(self) -> bool:
        """Nothing in it is of any more use."""
        return not self.firing and not self.resolved and self._tokens >= BURST - 1


class Groups:
    """All groups. `turned` is told of each alert that fires or is over; `due` answers the notices of a moment."""

    def __init__(
        self,
        rules: Mapping[str, Alert],
        interval_s: float,
        labels_of: Callable[[Series], dict[str, str]],
        show: Callable[[Series], AlertView],
        silenced_by: Callable[[Series, float], Sequence[str]],
        turns_s: Callable[[float], float],
    ) -> None:
        """`labels_of`: all labels of an alert, its rule's included; `show`: how it is shown in a notice;
        `silenced_by`: what holds it back; `turns_s`: when a silence begins or ends next."""
        self._rules = rules
        self._silenced_by = silenced_by
        self._turns_s = turns_s
        self._interval_s = interval_s
        self._labels_of = labels_of
        self._show = show
        self._groups: dict[str, Group] = {}
        self._looks: dict[str, float] = {}  # when each group is to be looked at, those that are of a moment

    def turned(self, series: Series, now_s: float) -> None:
        """An alert fires, or is over."""
        key, labels, notify = self._key(series)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(Memory(labels, notify), self._interval_s)
        if series.state == "firing":
            group.firing[series.fingerprint] = series
            group.resolved.pop(series.fingerprint, None)
        else:
            group.firing.pop(series.fingerprint, None)
            if series.fingerprint in group.memory.told:
                group.resolved[series.fingerprint] = series
        self._looks[key] = now_s

    def wake(self, now_s: float) -> None:
        """Silences have changed: look at all of them."""
        self._looks.update(dict.fromkeys(self._groups, now_s))

    def skip(self, by_s: float, now_s: float) -> None:
        """The clock was moved by so much, to `now_s`."""
        for group in self._groups.values():
            group.skip(by_s)
        self.wake(now_s)

    @property
    def due_s(self) -> float:
        return min(self._looks.values(), default=NEVER)

    def due(self, now_s: float) -> list[Notice]:
        """What is to be told now."""
        notices = []
        for key in [key for key, look_s in self._looks.items() if look_s <= now_s]:
            notice, next_s = self._look(key, self._groups[key], now_s)
            if notice is not None:
                notices.append(notice)
            if next_s < NEVER:
                self._looks[key] = next_s
            else:
                del self._looks[key], self._groups[key]
        return notices

    def _look(self, key: str, group: Group, now_s: float) -> tuple[Notice | None, float]:
        """What to tell of a group, and when to look again; never: it is no more."""
        may_s = group.may_tell_s(now_s)
        if may_s > now_s:
            return None, may_s
        shown: list[Series] = []
        held: list[Series] = []
        for series in group.firing.values():
            (held if self._silenced_by(series, now_s) else shown).append(series)
        told = {each for each in group.memory.told if each in group.firing}
        news = [series for series in shown if series.fingerprint not in told]
        again_s = min((self._repeat_s(each) for each in shown), default=NEVER)
        notice = None
        if news or group.resolved or now_s >= group.memory.told_s + again_s:
            notice = self._notice(key, group, shown, news, now_s)
            told |= {series.fingerprint for series in news}
        group.memory.told = list(told)
        if not group.firing:
            return notice, NEVER if group.idle else now_s + self._interval_s
        return notice, min(group.memory.told_s + again_s, self._turns_s(now_s))

    def _notice(
        self, key: str, group: Group, shown: list[Series], news: list[Series], now_s: float
    ) -> Notice:
        group.spend()
        group.memory.told_s = now_s
        over = tuple(group.resolved.values())
        group.resolved.clear()
        reason: Reason = "firing" if news else "resolved" if over else "repeated"
        caused = [series.caused_s for series in news] or [series.resolved_s for series in over]
        return Notice(
            id=secrets.token_hex(8),
            group=key,
            labels=group.memory.labels,
            notify=group.memory.notify,
            reason=reason,
            firing=tuple(map(self._show, shown)),
            resolved=tuple(map(self._show, over)),
            caused_s=min(caused, default=now_s),
        )

    def standing(self, now_s: float) -> list[Notice]:
        """How every group with alerts that fire stands, for who must be told all the time."""
        found = []
        for key, group in self._groups.items():
            shown = [each for each in group.firing.values() if not self._silenced_by(each, now_s)]
            if shown:
                memory = group.memory
                alerts = tuple(map(self._show, shown))
                found.append(
                    Notice(
                        f"{key}@{now_s:.0f}", key, memory.labels, memory.notify, "repeated", alerts, (), now_s
                    )
                )
        return found

    def _repeat_s(self, series: Series) -> float:
        rule = self._rules.get(series.rule)
        return rule.repeat if rule else NEVER

    def _key(self, series: Series) -> tuple[str, dict[str, str], tuple[str, ...]]:
        rule = self._rules[series.rule]
        every = self._labels_of(series)
        labels = {name: every.get(name, "") for name in rule.group_by}
        return group_key(labels, rule.notify), labels, rule.notify

    def memories(self) -> Iterator[Memory]:
        """What the next process must know."""
        for group in self._groups.values():
            group.memory.resolved = list(group.resolved.values())
            yield group.memory

    def adopt(self, memories: list[Memory], alerts: list[Series], now_s: float) -> None:
        """Go on with the groups of an earlier process and the alerts that fire."""
        for memory in memories:
            key = group_key(memory.labels, memory.notify)
            self._groups[key] = Group(memory, self._interval_s)
            self._looks[key] = now_s
        for series in alerts:
            self.turned(series, now_s)

    def orphan(self, series: Series, now_s: float) -> None:
        """An alert of an earlier process is over since there is no rule for it any more: tell whom it was told."""
        for key, group in self._groups.items():
            if series.fingerprint in group.memory.told:
                group.resolved[series.fingerprint] = series
                self._looks[key] = now_s


def group_key(labels: Mapping[str, str], notify: tuple[str, ...]) -> str:
    """A short name of a group, the same in every process."""
    digest = hashlib.sha256(json.dumps([labels, notify], sort_keys=True).encode()).hexdigest()[:12]
    text = ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items())
    return f"{{{text}}}:{digest}"
