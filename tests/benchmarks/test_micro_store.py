from __future__ import annotations

from benchmarks.corpus import Block, json_blocks
from benchmarks.micro_store import CASES, frames_of, measure


def test_frames_hold_every_chunk_and_end_where_they_are_full() -> None:
    blocks = [Block(b"", [b"x" * 40, b"y" * 20], 1) for _ in range(5)]
    frames = frames_of(blocks, 100)
    assert [nbytes for _, nbytes in frames] == [120, 120, 60]
    assert sum(len(chunks) for chunks, _ in frames) == 10


def test_every_case_compresses_the_standard_lines() -> None:
    results = measure(CASES, level=1, blocks=json_blocks(2), rounds=1)
    assert [result.name for result in results] == [case.name for case in CASES]
    assert all(result.ratio > 4 for result in results)
