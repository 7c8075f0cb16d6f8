from __future__ import annotations

import pytest

from benchmarks import validation
from benchmarks.corpus import BLOCK_RECORDS
from tools.loadgen.layouts import LAYOUTS


@pytest.mark.parametrize("format_", LAYOUTS)
def test_what_is_timed_are_all_records_of_good_blocks(format_: str) -> None:
    made = validation.encoded_blocks(format_, 2)
    assert {encoded.format for encoded in made} == {format_}
    records = min(BLOCK_RECORDS, LAYOUTS[format_].block_records)
    assert sum(encoded.records for encoded in made) == 2 * records
    rules = validation.default_rules()
    assert all(rules.check(encoded) is encoded and not encoded.rejects for encoded in made)
    assert validation.time_alone(format_, blocks=1, rounds=1) > 0
