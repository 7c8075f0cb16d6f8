"""The clock, as the kernel tells of it."""

from __future__ import annotations

import pytest

from ingestd.doctor import clock
from ingestd.doctor.clock import Discipline


@pytest.mark.parametrize(
    ("discipline", "verdict", "words"),
    [
        (Discipline(True, 0.004), "ok", "off by 4 ms at most"),
        (Discipline(True, 2.5), "warn", "off by 2500 ms at most"),
        (Discipline(False, 16.0), "warn", "nobody keeps it right"),
        (None, "warn", "does not say"),
    ],
)
def test_what_is_said_of_it(discipline: Discipline | None, verdict: str, words: str) -> None:
    finding = clock.examine(discipline)
    assert (finding.verdict, words in finding.says) == (verdict, True)
    assert bool(finding.do) == (verdict != "ok")


def test_this_kernel_answers() -> None:
    discipline = clock.read()
    assert discipline is None or discipline.most_off_s >= 0
