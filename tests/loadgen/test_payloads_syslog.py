"""RFC 5424: the header, the severity of each level, the marker at the end of the text."""

import re

import pytest

from tests.loadgen.rendered import CARRIES, NOW, RUN, rendered
from tools.loadgen.payloads import FIRST_SEQ

MESSAGE = re.compile(
    r"<(\d+)>1 (\S+) web1 ([a-z]+) - - - ([^=]+) in \d+us run=ab12cd34 seq=(\d{10})", re.ASCII
)
PRIS = {"131", "132", "134", "135"}


def messages(first_seq: int, records: int) -> list[re.Match[str]]:
    """Each message of a block, LF between them."""
    found = [MESSAGE.fullmatch(line) for line in rendered("syslog", first_seq, records).decode().splitlines()]
    assert all(found)
    return [match for match in found if match]


def test_messages_are_of_rfc_5424() -> None:
    made = messages(FIRST_SEQ, 2_000)
    assert {match[1] for match in made} == PRIS
    assert [int(match[5]) for match in made] == list(range(FIRST_SEQ, FIRST_SEQ + 2_000))
    assert made[-1][2] == NOW
    assert len({match[2] for match in made}) == 2_000


def test_they_weigh_about_120_bytes() -> None:
    block = rendered("syslog", FIRST_SEQ, 2_200)
    assert len(block) / 2_200 == pytest.approx(120, abs=5)


@pytest.mark.parametrize("first", CARRIES)
def test_sequences_carry(first: int) -> None:
    assert [int(match[5]) for match in messages(first, 20)] == list(range(first, first + 20))


def test_the_run_is_in_each() -> None:
    assert rendered("syslog", FIRST_SEQ, 100).count(f"run={RUN} ".encode()) == 100
