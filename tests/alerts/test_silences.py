"""Silences: what fits, what is refused, when they end."""

from __future__ import annotations

import time

import pytest

from ingestd.alerts.silences import MAX_SILENCES, SilenceError, Silences, fits

NOW_S = 1.8e9
LABELS = {"rule": "disk-full", "node": "db[1]"}


@pytest.mark.parametrize(
    ("matchers", "fitting"),
    [
        ({"rule": "disk-full"}, True),
        ({"rule": "disk"}, False),
        ({"rule": "disk-*"}, True),
        ({"rule": "d?sk-full"}, True),
        ({"rule": "*"}, True),
        ({"rule": "Disk-full"}, False),
        ({"rule": "disk-full", "node": "db[1]"}, True),
        ({"rule": "disk-full", "node": "db1"}, False),
        ({"node": "[d]b*"}, False),
        ({"team": "*"}, True),
        ({"team": ""}, True),
        ({"team": "core"}, False),
        ({"rule": ".*"}, False),
        ({"rule": "disk-full\n"}, False),
    ],
)
def test_what_fits(matchers: dict[str, str], fitting: bool) -> None:
    assert fits(matchers, LABELS) is fitting


def test_no_pattern_runs_away() -> None:
    began_s = time.thread_time()
    assert not fits({"rule": "*a" * 120 + "b"}, {"rule": "a" * 5000})
    assert time.thread_time() - began_s < 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"matchers": {}}, "at least one label"),
        ({"matchers": {f"l{n}": "x" for n in range(17)}}, "more than 16 matchers"),
        ({"matchers": {"rule": "x" * 257}}, "more than 256 characters"),
        ({"until_s": NOW_S}, "must end in the future"),
        ({"until_s": NOW_S + 400 * 86400}, "within a year"),
        ({"starts_s": NOW_S + 100}, "behind its start"),
        ({"until_s": float("nan")}, "must end in the future"),
        ({"author": "  "}, 'needs an "author"'),
        ({"comment": "x" * 1001}, "more than 1000 characters"),
    ],
)
def test_what_is_no_silence(changes: dict[str, object], said: str) -> None:
    given = {"matchers": {"rule": "x"}, "until_s": NOW_S + 60, "author": "ann", "comment": ""} | changes
    with pytest.raises(SilenceError, match=said):
        Silences().add(now_s=NOW_S, **given)  # type: ignore[arg-type]


def test_they_hold_from_their_start_to_their_end_and_are_forgotten_a_day_later() -> None:
    silences = Silences()
    made = silences.add({"rule": "x"}, NOW_S + 100, NOW_S, starts_s=NOW_S + 50, author="ann", comment="c")
    held = [bool(silences.of({"rule": "x"}, NOW_S + s)) for s in (0, 50, 99, 100)]
    assert held == [False, True, True, False]
    assert [silences.turns_s(NOW_S + s) - NOW_S for s in (0, 50)] == [50, 100]
    silences.tick(NOW_S + 100 + 86_000)
    assert len(silences) == 1
    silences.tick(NOW_S + 100 + 86_500)
    assert len(silences) == 0
    assert not silences.end(made.id, NOW_S)


def test_there_is_a_bound() -> None:
    silences = Silences()
    for n in range(MAX_SILENCES):
        silences.add({"rule": str(n)}, NOW_S + 60, NOW_S, author="ann", comment="")
    with pytest.raises(SilenceError, match="already"):
        silences.add({"rule": "x"}, NOW_S + 60, NOW_S, author="ann", comment="")
