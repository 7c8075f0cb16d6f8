"""Where the lines of a block are."""

import pytest

from formats import lines


@pytest.mark.parametrize(
    ("block", "count", "ends"),
    [(b"", 0, []), (b"\n", 1, [1]), (b"a", 0, [1]), (b"a\nb", 1, [2, 3]), (b"a\n\nb\n", 3, [2, 3, 5])],
)
def test_lines(block: bytes, count: int, ends: list[int]) -> None:
    assert lines.count(block) == count
    assert lines.ends(block).tolist() == ends
