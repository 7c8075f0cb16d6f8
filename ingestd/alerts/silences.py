"""Silences: alerts that somebody knows of and does not want to be told of for a while.

A silence has matchers, a value for each of some labels; an alert that fits all of them is still shown and not told.
In a value, `*` stands for any text and `?` for any character (fnmatch, in linear time), so no pattern runs away.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import translate
from functools import lru_cache
from typing import Final

import msgspec

from ingestd.alerts.view import SilenceView, rfc3339

MAX_SILENCES: Final = 200
MAX_MATCHERS: Final = 16
MAX_CHARS: Final = 256
MAX_COMMENT_CHARS: Final = 1000
LONGEST_S: Final = 366 * 86_400.0

#: The end of the year 9999, behind which there is no way to write a time.
_LAST_S: Final = 253_402_300_799.0

#: One that is over is shown for so long.
KEPT_S: Final = 86_400.0


class SilenceError(ValueError):
    """Not a silence; `str()` says why."""


class Silence(msgspec.Struct, frozen=True):
    """Times are UNIX seconds."""

    id: str
    matchers: dict[str, str]
    starts_s: float
    until_s: float
    author: str
    comment: str


class Silences:
    """All of them, those that are over for a day as well."""

    def __init__(self) -> None:
        self._silences: dict[str, Silence] = {}
        self._epoch = 0
        self._epoch_ends_s = float("-inf")

    def __iter__(self) -> Iterator[Silence]:
        return iter(self._silences.values())

    def __len__(self) -> int:
        return len(self._silences)

    def add(
        self,
        matchers: Mapping[str, str],
        until_s: float,
        now_s: float,
        *,
        starts_s: float = 0.0,
        author: str,
        comment: str,
    ) -> Silence:
        """Begin one, now or later. Raises `SilenceError`."""
        if not matchers:
            raise SilenceError(
                'needs at least one label in "matchers"; {"rule": "*"} silences all, if that is meant'
            )
        if len(matchers) > MAX_MATCHERS:
            raise SilenceError(f"has more than {MAX_MATCHERS} matchers")
        starts_s = starts_s or now_s
        if not now_s < until_s <= min(starts_s + LONGEST_S, _LAST_S) or starts_s >= until_s:
            raise SilenceError("must end in the future, behind its start, and within a year of that")
        for text, most in (
            *((text, MAX_CHARS) for pair in matchers.items() for text in pair),
            (author, MAX_CHARS),
            (comment, MAX_COMMENT_CHARS),
        ):
            if len(text) > most:
                raise SilenceError(f"has a text of more than {most} characters")
        if not author.strip():
            raise SilenceError('needs an "author": others will want to know whom to ask')
        if len(self._silences) >= MAX_SILENCES:
            raise SilenceError(f"there are {MAX_SILENCES} silences already; delete some")
        silence = Silence(secrets.token_hex(8), dict(matchers), starts_s, until_s, author, comment)
        self._silences[silence.id] = silence
        self.turn()
        return silence

    def end(self, id_: str, now_s: float) -> bool:
        """End it now; whether there was one that had not ended."""
        silence = self._silences.get(id_)
        if silence is None or silence.until_s <= now_s:
            return False
        self._silences[id_] = msgspec.structs.replace(silence, until_s=now_s)
        self.turn()
        return True

    def adopt(self, silences: Iterable[Silence]) -> None:
        """Go on with those of an earlier process."""
        self._silences = {silence.id: silence for silence in silences}
        self.turn()

    def turn(self) -> None:
        """They are others, or the clock was set: what was found before may not hold."""
        self._epoch += 1
        self._epoch_ends_s = float("-inf")

    def epoch(self, now_s: float) -> int:
        """The same as long as `of` answers the same for the same labels."""
        if now_s >= self._epoch_ends_s:
            self._epoch += 1
            self._epoch_ends_s = self.turns_s(now_s)
        return self._epoch

    def of(self, labels: Mapping[str, str], now_s: float) -> list[str]:
        """The ids of those that hold back an alert with these labels."""
        return [
            silence.id
            for silence in self._silences.values()
            if silence.starts_s <= now_s < silence.until_s and fits(silence.matchers, labels)
        ]

    def tick(self, now_s: float) -> None:
        """Forget those that are long over."""
        if any(silence.until_s + KEPT_S < now_s for silence in self._silences.values()):
            self.adopt([each for each in self._silences.values() if each.until_s + KEPT_S >= now_s])

    def turns_s(self, after_s: float) -> float:
        """When the next one begins or ends."""
        times = (time_s for each in self for time_s in (each.starts_s, each.until_s) if time_s > after_s)
        return min(times, default=float("inf"))


def fits(matchers: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether each label has the value; one that is not there is empty."""
    for name, value in matchers.items():
        label = labels.get(name, "")
        if label != value and not (("*" in value or "?" in value) and _pattern(value).match(label)):
            return False
    return True


@lru_cache(maxsize=MAX_SILENCES)
def _pattern(value: str) -> re.Pattern[str]:
    return re.compile(translate(value.replace("[", "[[]")))  # no classes: what is no wildcard is itself


def view(silence: Silence, now_s: float) -> SilenceView:
    """How a silence is shown."""
    return SilenceView(
        silence.id,
        silence.matchers,
        rfc3339(silence.starts_s),
        rfc3339(silence.until_s),
        silence.author,
        silence.comment,
        silence.starts_s <= now_s < silence.until_s,
    )
