from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.client.protocol import (
    MAX_LINE_BYTES,
    Acknowledged,
    Conversation,
    Event,
    Opened,
    ProtocolError,
    Refused,
    Rejected,
    batch_head,
    header_line,
)

TALK = b"ACK 7\nREJECT 8 2 invalid_json\nREJECT 8 1 too long, much\r\nACK 8\nERR shutting down\n"
EVENTS: list[Event] = [
    Acknowledged(7),
    Rejected(8, 2, "invalid_json"),
    Rejected(8, 1, "too long, much"),
    Acknowledged(8),
    Refused("shutting down"),
]


def conversation(sent: int = 9) -> Conversation:
    made = Conversation()
    made.feed(b"OK 5\n")
    made.sent(sent)
    return made


def test_the_header_names_what_is_given() -> None:
    line = header_line("json", "web-1", compression="zstd", schema=None, token="secret")
    assert line == b"INGEST/1 json ack=1 client=web-1 compression=zstd token=secret\n"


def test_a_header_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="512"):
        header_line("json", "web-1", token="x" * 500)


def test_a_batch_head_is_length_and_sequence() -> None:
    assert struct.unpack(">IQ", batch_head(2**63 - 1, 16)) == (16, 2**63 - 1)


@given(st.sets(st.integers(0, len(TALK))))
def test_every_line_becomes_its_event_however_it_is_cut(cuts: set[int]) -> None:
    talk = conversation()
    events: list[Event] = []
    for start, end in pairwise(sorted({0, len(TALK)} | cuts)):
        events += talk.feed(TALK[start:end])
    assert events == EVENTS


def test_ok_says_what_is_durable() -> None:
    talk = Conversation()
    assert talk.feed(b"O") == []
    assert not talk.opened
    assert talk.feed(b"K 5\n") == [Opened(5)]
    assert talk.opened


@pytest.mark.parametrize(
    "line",
    [
        b"ACK 10\n",  # never sent
        b"ACK 4\n",  # behind what was durable
        b"ACK\n",
        b"ACK x\n",
        b"ACK -1\n",
        b"ACK 99999999999999999999\n",
        b"OK 5\n",
        b"REJECT 10 1 never sent\n",
        b"REJECT 5 1 acknowledged before\n",
        b"REJECT 6 1\n",
        b"REJECT 6 x why\n",
        b"HTTP/1.1 400 Bad Request\n",
        b"\n",
        b"x" * (MAX_LINE_BYTES + 1),
    ],
)
def test_a_server_that_breaks_the_rules_is_not_believed(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        conversation().feed(line)


@pytest.mark.parametrize("line", [b"ACK 1\n", b"REJECT 1 1 why\n", b"OK\n", b"OK -1\n", b"hello\n"])
def test_ok_comes_first(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        Conversation().feed(line)


def test_err_may_come_first_and_is_the_last() -> None:
    talk = Conversation()
    assert talk.feed(b"ERR bad token\n") == [Refused("bad token")]
    with pytest.raises(ProtocolError):
        talk.feed(b"ACK 1\n")


def test_the_same_acknowledgement_again_is_no_fault() -> None:
    talk = conversation()
    assert talk.feed(b"ACK 6\nACK 6\nACK 9\n") == [Acknowledged(6), Acknowledged(6), Acknowledged(9)]


@given(st.binary(max_size=200))
def test_whatever_comes_only_the_documented_error_is_raised(data: bytes) -> None:
    try:
        conversation().feed(data)
    except ProtocolError as error:
        assert len(str(error)) < 500
