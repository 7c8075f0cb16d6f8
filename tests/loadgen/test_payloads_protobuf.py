"""Protobuf: read by the library, with the schema that the daemon ships."""

import io

import pytest
from google.protobuf import proto, unknown_fields

from formats.schemas.log_entry_pb2 import LogEntry
from tests.loadgen.rendered import CARRIES, NOW, RUN, rendered
from tools.loadgen.fields import varint
from tools.loadgen.payloads import FIRST_SEQ


def entries(data: bytes) -> list[LogEntry]:
    """All entries of a stream, which must end where one does."""
    stream = io.BytesIO(data)
    found = []
    while stream.tell() < len(data):
        entry = proto.parse_length_prefixed(LogEntry, stream)
        assert entry is not None
        assert not len(unknown_fields.UnknownFieldSet(entry))
        found.append(entry)
    return found


def test_every_field_of_an_entry_is_there() -> None:
    made = entries(rendered("protobuf", FIRST_SEQ, 2_000))
    assert [entry.seq for entry in made] == list(range(FIRST_SEQ, FIRST_SEQ + 2_000))
    assert {entry.run for entry in made} == {RUN}
    assert {entry.level for entry in made} == {"ERROR", "WARN", "INFO", "DEBUG"}
    assert all(entry.service and entry.message.endswith("us") for entry in made)
    assert made[-1].timestamp == NOW
    assert not any(entry.attributes for entry in made)


@pytest.mark.parametrize("first", [*CARRIES, (1 << 21) * 500 - 7])
def test_sequences_carry(first: int) -> None:
    assert [entry.seq for entry in entries(rendered("protobuf", first, 20))] == list(range(first, first + 20))


@pytest.mark.parametrize("run", ["r", "sixteen-letters-"])
def test_entries_may_be_longer_than_one_byte_of_length_says(run: str) -> None:
    made = entries(rendered("protobuf", FIRST_SEQ, 500, run))
    assert {entry.run for entry in made} == {run}
    assert [entry.seq for entry in made] == list(range(FIRST_SEQ, FIRST_SEQ + 500))


def test_blocks_follow_each_other() -> None:
    made = entries(rendered("protobuf", FIRST_SEQ, 700, calls=5))
    assert [entry.seq for entry in made] == list(range(FIRST_SEQ, FIRST_SEQ + 3_500))


@pytest.mark.parametrize("number", [1, 127, 128, 300, 2**28 - 1, 2**28, 2**35 - 1])
def test_varints_are_those_of_the_library(number: int) -> None:
    assert b"\x38" + varint(number) == LogEntry(seq=number).SerializeToString()
