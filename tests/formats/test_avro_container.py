"""Container: whole blocks behind their header out of any pieces, in linear time, with bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.avro_container import Container, Header, read_long
from formats.errors import FrameError
from tests.formats.binary import SYNC, block, header, zigzag

HEADER = header({"type": "string"})
BLOCKS = [block(1, b"a"), block(2, b"b" * 200), block(0, b""), block(3, b"c" * 90)]


def feed_all(framer: Container, data: bytes, piece_bytes: int) -> list[bytes]:
    blocks = [framer.feed(data[start : start + piece_bytes]) for start in range(0, len(data), piece_bytes)]
    return [block for block in blocks if block]


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 100, 10_000])
def test_whole_blocks_each_time_behind_the_header(piece_bytes: int) -> None:
    framer = Container(1000)
    returned = feed_all(framer, HEADER + b"".join(BLOCKS), piece_bytes)
    assert all(each.startswith(HEADER) for each in returned)
    assert b"".join(each.removeprefix(HEADER) for each in returned) == b"".join(BLOCKS)
    assert framer.pending_bytes == 0
    assert framer.finish() == b""


def test_what_is_unfinished_waits_and_is_returned_behind_the_header() -> None:
    framer = Container(1000)
    assert framer.feed(HEADER[:30]) == b""
    assert framer.pending_bytes == 30
    assert framer.feed(HEADER[30:] + BLOCKS[0] + BLOCKS[1][:50]) == HEADER + BLOCKS[0]
    assert framer.pending_bytes == 50
    assert framer.finish() == HEADER + BLOCKS[1][:50]
    assert framer.finish() == b""


def test_another_file_may_follow() -> None:
    other = header({"type": "int"}, "deflate")
    framer = Container(1000)
    data = HEADER + BLOCKS[0] + other + BLOCKS[1]
    assert framer.feed(data) == data
    assert framer.feed(BLOCKS[0]) == other + BLOCKS[0]


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 100, 10_000])
def test_a_block_over_the_limit_is_skipped(piece_bytes: int) -> None:
    framer = Container(100)
    data = HEADER + BLOCKS[0] + BLOCKS[1] + block(9, b"d" * 5000) + BLOCKS[3]
    returned = feed_all(framer, data, piece_bytes)
    assert b"".join(each.removeprefix(HEADER) for each in returned) == BLOCKS[0] + BLOCKS[3]
    assert framer.oversize == [b"b" * 200, b"d" * 1024]


def test_two_gigabytes_are_only_announced() -> None:
    framer = Container(100_000)
    framer.feed(HEADER + zigzag(1) + zigzag(1 << 31))
    for _ in range(100):
        assert framer.feed(b"x" * 65_536) == b""
        assert framer.pending_bytes <= 1024
    assert framer.finish() == b""
    assert framer.oversize == [b"x" * 1024]


def test_the_sync_marker_of_a_skipped_block_counts_too() -> None:
    framer = Container(10)
    framer.feed(HEADER + block(1, b"x" * 20)[:-1])
    with pytest.raises(FrameError, match="sync marker"):
        framer.feed(b"!")


@pytest.mark.parametrize(
    "bad",
    [
        block(1, b"b")[:-1] + b"!",
        zigzag(1) + zigzag(-1),
        zigzag(-1) + zigzag(1),
        zigzag(1) + b"\x80" * 10 + b"\x01",
        b"Obj\x02",
        b"Obj\x01" + zigzag(101),
        b"Obj\x01" + zigzag(1) + zigzag(2_000_000),
        b"Obj\x01" + zigzag(1) + zigzag(-5),
    ],
)
def test_a_lost_boundary(bad: bytes) -> None:
    framer = Container(1000)
    assert framer.feed(HEADER + BLOCKS[0] + bad) == HEADER + BLOCKS[0]
    for _ in range(2):
        with pytest.raises(FrameError, match="invalid_frame"):
            framer.feed(BLOCKS[0])
    assert framer.finish().startswith(HEADER + bad[:1])


def test_a_header_is_checked_before_its_blocks() -> None:
    def check(header: Header) -> None:
        raise FrameError("invalid_avro", header.codec)

    framer = Container(1000, check)
    framer.feed(HEADER[:-1])
    with pytest.raises(FrameError, match="invalid_avro: null"):
        framer.feed(HEADER[-1:])


def test_a_header_in_parts_with_their_sizes() -> None:
    entry = zigzag(11) + b"avro.schema" + zigzag(2) + b"{}"
    parts = zigzag(-1) + zigzag(len(entry)) + entry + zigzag(1) + zigzag(1) + b"x" + zigzag(0)
    found: list[Header] = []
    framer = Container(1000, found.append)
    framer.feed(b"Obj\x01" + parts + b"\0" + SYNC)
    assert [(each.schema, each.codec, each.sync) for each in found] == [(b"{}", "null", SYNC)]


def test_single_bytes_cost_linear_time() -> None:
    """Quadratic, this would copy 10^12 bytes, and run into the time limit."""
    framer = Container(2_000_000)
    data = HEADER + block(1, b"x" * 1_500_000)
    assert feed_all(framer, data, 1) == [data]


def test_a_header_of_single_bytes_costs_linear_time() -> None:
    framer = Container(1000)
    data = header({"type": "string", "doc": "x" * 900_000}) + BLOCKS[0]
    assert feed_all(framer, data, 1) == [data]


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_long(value: int) -> None:
    assert read_long(zigzag(value), 0) == (value, len(zigzag(value)))
