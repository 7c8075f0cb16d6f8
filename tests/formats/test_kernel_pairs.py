"""Pairs of bytes of which messages that are searched have one: none is overlooked, and most others are left out."""

from __future__ import annotations

import json

import pytest

from formats import FORMATS, kernel
from formats.cores import Wanted
from formats.record import Enrichment
from tests.formats.harness import RECEIVED_AT
from tests.formats.test_kernel import line

pytestmark = pytest.mark.skipif(not kernel.COMPILED, reason="no C compiler when this was installed")

PAIRS = b"qz0-"

#: Around what is looked at in one step.
SIZES = (2, 3, 15, 16, 17, 18, 63, 64, 65, 66, 67, 127, 128, 129, 130, 131, 194, 300)


def searched(block: bytes, format_: str, pairs: bytes = PAIRS) -> list[str]:
    """The messages of a block that are searched."""
    found: list[bytes] = []

    def search(messages: memoryview) -> bool:
        found.append(bytes(messages))
        return False

    context = Enrichment({}).at(RECEIVED_AT, "unknown", Wanted(search=search, pairs=pairs))
    (encoded,) = FORMATS[format_].encode(block, context)
    assert not encoded.may_match
    return b"".join(found).decode().splitlines()


def block_of(messages: list[str], format_: str) -> bytes:
    if format_ == "json":
        return b"".join(line(message=message) for message in messages)
    return b"".join(f"{message}\n".encode() for message in messages)


@pytest.mark.parametrize("format_", ["json", "raw"])
@pytest.mark.parametrize("pair", ["qz", "QZ", "qZ", "0-"])
@pytest.mark.parametrize("size", SIZES)
def test_a_pair_is_found_wherever_it_is(format_: str, pair: str, size: int) -> None:
    messages = ["x" * start + pair + "x" * (size - start - 2) for start in range(size - 1)]
    assert searched(block_of(messages, format_), format_) == messages
    for message in (messages[0], messages[-1]):  # nothing stands behind it
        assert searched(block_of([message], format_), format_) == [message]


@pytest.mark.parametrize("format_", ["json", "raw"])
@pytest.mark.parametrize("size", SIZES[1:])
def test_one_without_is_left_out(format_: str, size: int) -> None:
    messages = ["q" * size, "z" * (size - 1) + "q", "q" + "x" * (size - 2) + "z", "-0"]
    assert searched(block_of(messages, format_), format_) == []
    assert searched(block_of(messages, format_), format_, b"") == messages


@pytest.mark.parametrize("start", [0, 1, 16, 62, 63, 64, 65, 128])
def test_an_escape_may_be_anything(start: int) -> None:
    for escaped in (r"q\u007a", r"\u0071z", r"\u0071\u007A"):
        text = "x" * start + escaped + "xx"
        meant = json.loads(f'"{text}"')
        written = line().replace(b'"m"', f'"{text}"'.encode())
        assert searched(written, "json") == searched(line() + written + line(), "json") == [meant]


def test_a_great_many_are_as_good_as_none() -> None:
    many = b"".join(f"{number}q".encode() for number in range(10)) * 4
    assert searched(line() * 3, "json", many) == ["m"] * 3
