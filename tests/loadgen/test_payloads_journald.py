"""The journal export format: twelve fields an entry, the marker at the end of MESSAGE."""

import pytest

from tests.loadgen.rendered import CARRIES, NOW_US, RUN, rendered
from tools.loadgen.payloads import FIRST_SEQ


def entries(first_seq: int, records: int) -> list[dict[str, str]]:
    """Each entry of a block by its fields, none of which may come twice."""
    block = rendered("journald", first_seq, records).decode()
    assert block.endswith("\n\n")
    found = []
    for entry in block.removesuffix("\n\n").split("\n\n"):
        fields = [line.split("=", 1) for line in entry.split("\n")]
        found.append(dict(fields))
        assert len(found[-1]) == len(fields)
    return found


def test_entries_have_twelve_fields() -> None:
    made = entries(FIRST_SEQ, 2_000)
    assert {len(entry) for entry in made} == {12}
    assert {entry["PRIORITY"] for entry in made} == {"3", "4", "6", "7"}
    assert all(entry["_SYSTEMD_UNIT"] == f"{entry['SYSLOG_IDENTIFIER']}.service" for entry in made)
    assert made[-1]["__REALTIME_TIMESTAMP"] == str(NOW_US)
    assert len({entry["__CURSOR"] for entry in made}) > 1_900


@pytest.mark.parametrize("first", CARRIES)
def test_run_and_sequence_end_the_message(first: int) -> None:
    for number, entry in enumerate(entries(first, 20)):
        assert entry["MESSAGE"].endswith(f"us run={RUN} seq={first + number}")


def test_times_count_up_to_now() -> None:
    times = [int(entry["__REALTIME_TIMESTAMP"]) for entry in entries(FIRST_SEQ, 100)]
    assert times == list(range(NOW_US - 99, NOW_US + 1))
