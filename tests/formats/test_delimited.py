"""Delimited: whole frames out of any pieces, in linear time, with bounded memory."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.delimited import Delimited, Frames, cut, read_length
from formats.errors import FrameError
from tests.formats.binary import frame, varint

pytestmark = pytest.mark.usefixtures("way")


def feed_all(framer: Delimited, data: bytes, piece_bytes: int) -> bytes:
    blocks = [framer.feed(data[start : start + piece_bytes]) for start in range(0, len(data), piece_bytes)]
    for block in filter(None, blocks):
        assert isinstance(block, Frames)
        again, rest = cut(bytes(block))
        assert rest == b""
        assert again.starts.tolist() == block.starts.tolist()
    return b"".join(blocks)


def test_an_unfinished_message_waits() -> None:
    framer = Delimited(1000)
    data = frame(b"one") + frame(b"x" * 200)
    assert framer.feed(data[:6]) == frame(b"one")
    assert framer.pending_bytes == 2
    assert framer.feed(data[6:-1]) == b""
    assert framer.feed(data[-1:] + b"\x00\x85") == frame(b"x" * 200) + b"\x00"
    assert framer.finish() == b"\x85"
    assert framer.pending_bytes == 0
    assert framer.finish() == b""


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 100, 10_000])
def test_a_message_over_the_limit_is_skipped(piece_bytes: int) -> None:
    framer = Delimited(10)
    messages = [b"a" * 10, b"b" * 11, b"", b"c" * 5000, b"d" * 200, b"end"]
    assert feed_all(framer, b"".join(map(frame, messages)), piece_bytes) == b"".join(
        map(frame, [b"a" * 10, b"", b"end"])
    )
    assert framer.oversize == [b"b" * 11, b"c" * 1024, b"d" * 200]
    assert framer.pending_bytes == 0


def test_a_message_over_the_limit_at_the_end_of_the_stream() -> None:
    framer = Delimited(10)
    assert framer.feed(frame(b"ok") + varint(2**63)) == frame(b"ok")
    assert framer.feed(b"x" * 5000) == b""
    assert framer.pending_bytes == 1024
    assert framer.finish() == b""
    assert framer.oversize == [b"x" * 1024]


@pytest.mark.parametrize("bad", [b"\x80" * 10 + b"\x01", b"\xff" * 9 + b"\x02", b"\xff" * 50])
def test_what_is_no_length_loses_the_boundary(bad: bytes) -> None:
    framer = Delimited(1000)
    assert framer.feed(frame(b"ok") + bad) == frame(b"ok")
    for _ in range(2):
        with pytest.raises(FrameError, match="invalid_frame"):
            framer.feed(frame(b"more"))
    assert framer.finish() == bad
    with pytest.raises(FrameError):
        Delimited(1000).feed(bad)


def test_what_is_no_length_behind_what_is_oversize_is_told_at_once() -> None:
    framer = Delimited(10)
    with pytest.raises(FrameError, match="invalid_frame"):
        framer.feed(frame(b"x" * 11) + b"\xff" * 11)
    assert framer.oversize == [b"x" * 11]


def test_lengths_of_any_width() -> None:
    for value in (0, 127, 128, 16383, 16384, 2**32, 2**64 - 1):
        assert read_length(varint(value), 0) == (value, len(varint(value)))
    assert read_length(b"\x81\x80\x00", 0) == (1, 3)
    with pytest.raises(IndexError):
        read_length(b"\x80", 0)


def test_single_bytes_cost_linear_time() -> None:
    """Quadratic, this would copy 10^12 bytes, and run into the time limit."""
    framer = Delimited(2_000_000)
    data = frame(b"x" * 1_500_000)
    assert feed_all(framer, data, 1) == data


@given(st.lists(st.binary(max_size=300)), st.integers(0, 200), st.integers(0, 2**32))
def test_any_messages_in_any_pieces(messages: list[bytes], limit_bytes: int, seed: int) -> None:
    data = b"".join(map(frame, messages))
    rng = random.Random(seed)
    framer = Delimited(limit_bytes)
    output, start = b"", 0
    while start < len(data):
        end = start + rng.randrange(1, 90)
        output += framer.feed(data[start:end])
        assert framer.pending_bytes <= limit_bytes + 1024
        start = end
    assert framer.finish() == b""
    assert output == b"".join(frame(message) for message in messages if len(message) <= limit_bytes)
    assert framer.oversize == [message for message in messages if len(message) > limit_bytes]
