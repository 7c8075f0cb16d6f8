"""What a read may cost, counted and not timed: calls of functions for a block of what costs a format most.

An algorithm that is not linear makes hundreds of calls for a byte of these. benchmarks/micro_stalls.py tells the time.
"""

import sys
from typing import Any

import pytest

from benchmarks.micro_stalls import CONTEXT, blocks, encode
from formats import FORMATS, Format

_BLOCK_BYTES = 8 << 10
_CALLS_PER_BYTE = 24  # of Python and C functions; the dearest records, of two bytes each, make 20
_CALLS_PER_BLOCK = 1_000
_BLOCKS = blocks(_BLOCK_BYTES)


def calls(format: Format, block: bytes) -> int:
    number = 0

    def count(_frame: object, event: str, _argument: Any) -> None:
        nonlocal number
        number += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        encode(format, block)
    finally:
        sys.setprofile(before)
    return number


@pytest.mark.parametrize("name", FORMATS)
def test_the_work_for_a_block_is_linear_and_bounded(name: str) -> None:
    made = {kind: calls(FORMATS[name], block) for kind, block in _BLOCKS.items()}
    dear = {
        kind: number
        for kind, number in made.items()
        if number > _CALLS_PER_BLOCK + _CALLS_PER_BYTE * len(_BLOCKS[kind])
    }
    assert not dear


@pytest.mark.parametrize("kind", ["text", "objects, text", "objects, open objects", "many kinds"])
def test_what_takes_turns_becomes_few_pieces(kind: str) -> None:
    encoded = FORMATS["auto"].encode(_BLOCKS[kind], CONTEXT)
    assert sum(len(each.chunks) for each in encoded) <= 100
    assert len(encoded) <= 20


def test_blocks_have_their_size() -> None:
    assert all(_BLOCK_BYTES // 2 < len(block) < _BLOCK_BYTES * 2 for block in _BLOCKS.values())
