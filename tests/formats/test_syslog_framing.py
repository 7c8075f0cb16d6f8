"""RFC 6587 framing: limits, mixtures, and the cost of senders of single bytes."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.syslog_framing import Frames, join, split
from tests.formats.harness import CORPORA

pytestmark = pytest.mark.usefixtures("way")


def _feed(framer: Frames, data: bytes, size: int) -> bytes:
    return b"".join(framer.feed(data[at : at + size]) for at in range(0, len(data), size))


def test_lines_pass_as_they_were_read() -> None:
    block = b"<13>one\n<13>two\n"
    framer = Frames(100)
    assert framer.feed(block) is block


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_counted_messages_become_lines(size: int) -> None:
    framer = Frames(100)
    assert _feed(framer, b"7 <13>one7 <13>two", size) == b"<13>one\n<13>two\n"
    assert framer.pending_bytes == 0
    assert _feed(framer, b"7 <13>one", size) == b"<13>one\n"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_message_of_lines_stays_counted(size: int) -> None:
    framer = Frames(100)
    block = _feed(framer, b"8 <13>a\n\nb8 1 counts4 \0\n\0\n7 <13>two", size)
    messages, rest = split(block) or ([], b"")
    assert [message for message in messages if message] == [b"<13>a\n\nb", b"1 counts", b"<13>two"]
    assert rest == b""


@pytest.mark.parametrize("size", [1, 3, 1000, 10_000])
def test_oversize_is_skipped_and_the_stream_goes_on(size: int) -> None:
    framer = Frames(2000)
    data = b"5000 " + b"x" * 5000 + b"7 <13>one" + b"y" * 3000 + b"\n2000 " + b"z" * 2000 + b"<13>two\n"
    assert _feed(framer, data, size) == b"<13>one\n" + b"z" * 2000 + b"\n<13>two\n"
    assert framer.oversize == [b"x" * 1024, b"y" * 1024]
    assert framer.pending_bytes == 0


def test_what_waits_is_bounded() -> None:
    framer = Frames(2000)
    for data in (b"999999999 ", *[b"x" * 4000] * 20):
        assert framer.feed(data) == b""
        assert framer.pending_bytes <= 2000
    assert framer.finish() == b""
    assert framer.oversize == [b"x" * 1024]
    assert framer.feed(b"<13>new\n") == b"<13>new\n"


@pytest.mark.parametrize(
    "line", [b"1234567890 <13>x", b"0 <13>x", b"12x", b"2026-11-20 x", b"-1 x", b"1", b"123456789"]
)
def test_no_count(line: bytes) -> None:
    framer = Frames(1000)
    assert _feed(framer, line + b"\n<13>next\n", 1) == line + b"\n<13>next\n"


def test_the_end_of_a_stream() -> None:
    for data, rest in (
        (b"<13>x", b"<13>x"),
        (b"12", b"12"),
        (b"12 <13>", b"12 <13>"),
        (b"7 <13>one", b""),
        (b"", b""),
    ):
        framer = Frames(1000)
        framer.feed(data)
        assert framer.finish() == rest
        assert framer.pending_bytes == 0
    assert split(b"12 <13>") == ([], b"12 <13>")


@pytest.mark.parametrize(
    "data", [b"200000 " + b"x" * 200_000, b"x" * 200_000 + b"\n", b"5 <13>x" * 20_000], ids=len
)
def test_single_bytes_take_linear_time(data: bytes) -> None:
    framer = Frames(1_000_000)
    assert len(_feed(framer, data, 1)) > 100_000  # quadratic, it would run into the time-out of the tests


@given(st.lists(st.binary(max_size=20), max_size=20))
def test_datagrams_are_told_apart(datagrams: list[bytes]) -> None:
    block = join(datagrams)
    messages, rest = split(block) or (block.split(b"\n"), b"")
    assert rest == b""
    wanted = [datagram.rstrip(b"\r\n\0") for datagram in datagrams]
    assert [message for message in messages if message] == [message for message in wanted if message]


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=20), st.integers(1, 30))
def test_counted_messages_of_any_bytes(messages: list[bytes], size: int) -> None:
    stream = b"".join(b"%d %b" % (len(message), message) for message in messages)
    block = _feed(framer := Frames(100), stream, size)
    found, rest = split(block) or (block.split(b"\n"), b"")
    wanted = [message.rstrip(b"\r\n\0") for message in messages]
    assert [message for message in found if message.rstrip(b"\r")] == [m for m in wanted if m]
    assert rest == framer.finish() == b""


def test_streams_of_other_suites() -> None:
    path = CORPORA / "syslog" / "framing.jsonl"
    if not path.is_file():
        pytest.skip(f"no {path}")
    for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        if "expect_frames" not in row:
            continue
        stream = base64.b64decode(row["raw_b64"])
        for size in (1, 5, 10**6):
            framer = Frames(100_000)
            block = _feed(framer, stream, size) + framer.finish()
            messages, _ = split(block) or (block.split(b"\n"), b"")
            found = [message.decode().rstrip("\r") for message in messages if message]
            wanted = [one.rstrip("\r\n\0") for one in row["expect_frames"]]
            assert found[: len(wanted)] == wanted, row["id"]  # ours goes on where theirs give up
