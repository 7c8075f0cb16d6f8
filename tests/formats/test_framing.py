"""Lines: whole lines out of any pieces, in linear time, with bounded memory."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.framing import Lines


def feed_all(framer: Lines, data: bytes, piece_bytes: int) -> bytes:
    blocks = [framer.feed(data[start : start + piece_bytes]) for start in range(0, len(data), piece_bytes)]
    assert all(block.endswith(b"\n") for block in blocks if block)
    return b"".join(blocks)


def test_data_that_ends_with_a_line_is_returned_itself() -> None:
    data = b"one\ntwo\n"
    assert Lines(100).feed(data) is data


def test_an_unfinished_line_waits() -> None:
    framer = Lines(100)
    assert framer.feed(b"one\ntw") == b"one\n"
    assert framer.pending_bytes == 2
    assert framer.feed(b"o") == b""
    assert framer.feed(b"\nthree") == b"two\n"
    assert framer.finish() == b"three"
    assert framer.pending_bytes == 0
    assert framer.finish() == b""


def test_nothing_comes_of_nothing() -> None:
    framer = Lines(100)
    assert framer.feed(b"") == b""
    assert framer.finish() == b""


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 1000])
def test_a_line_over_the_limit_is_skipped(piece_bytes: int) -> None:
    framer = Lines(10)
    data = b"a" * 10 + b"\n" + b"b" * 11 + b"\nshort\n" + b"c" * 5000 + b"\n\nend\n"
    assert feed_all(framer, data, piece_bytes) == b"a" * 10 + b"\nshort\n\nend\n"
    assert framer.oversize == [b"b" * 11, b"c" * 1024]
    assert framer.pending_bytes == 0


def test_a_line_over_the_limit_at_the_end_of_the_stream() -> None:
    framer = Lines(10)
    assert framer.feed(b"ok\n" + b"x" * 11) == b"ok\n"
    assert framer.finish() == b""
    assert framer.oversize == [b"x" * 11]
    assert framer.feed(b"next\n") == b"next\n"


def test_an_endless_line_takes_no_memory() -> None:
    framer = Lines(100_000)
    for _ in range(1000):
        assert framer.feed(b"x" * 65_536) == b""
        assert framer.pending_bytes <= 100_000
    assert framer.feed(b"\nok\n") == b"ok\n"
    assert framer.oversize == [b"x" * 1024]


def test_single_bytes_cost_linear_time() -> None:
    """Quadratic, this would copy 10^12 bytes, and run into the time limit."""
    framer = Lines(2_000_000)
    data = b"x" * 1_500_000 + b"\n"
    assert feed_all(framer, data, 1) == data


@given(st.lists(st.binary(max_size=40)), st.integers(0, 20), st.integers(0, 2**32))
def test_any_lines_in_any_pieces(lines: list[bytes], limit_bytes: int, seed: int) -> None:
    data = b"\n".join(lines)
    rng = random.Random(seed)
    framer = Lines(limit_bytes)
    output = b""
    start = 0
    while start < len(data):
        end = start + rng.randrange(1, 30)
        output += framer.feed(data[start:end])
        assert framer.pending_bytes <= max(limit_bytes, 1024)
        start = end
    output += framer.finish()
    *ended, rest = data.split(b"\n")
    kept = [line for line in ended if len(line) <= limit_bytes]
    assert output == b"".join(line + b"\n" for line in kept) + (rest if len(rest) <= limit_bytes else b"")
    assert framer.oversize == [line for line in [*ended, rest] if len(line) > limit_bytes]
