"""What a frame's description says is what is in the frame."""

from __future__ import annotations

import pytest
import zstandard

from formats.record import Encoded
from ingestd.store.frame import FRAME_BYTES, Frame, FrameBuilder
from ingestd.store.recovery import MAX_DESCRIPTION_BYTES
from ingestd.store.segment import DESCRIPTION_MAGIC, HEADER, Description, decode_description
from tests.fakes import batch, records


def unpacked(frame: Frame) -> tuple[Description, bytes]:
    """The description and the lines of a frame as it stands in a file."""
    magic, length = HEADER.unpack_from(frame.data)
    assert magic == DESCRIPTION_MAGIC
    description = decode_description(frame.data[HEADER.size : HEADER.size + length])
    data = frame.data[HEADER.size + length :]
    assert description.frame_bytes == len(data)
    return description, zstandard.decompress(data)


def with_services(services: set[str]) -> Encoded:
    encoded = records(0, 1)
    encoded.services = services
    return encoded


@pytest.fixture
def builder() -> FrameBuilder:
    return FrameBuilder("run-1", worker=3, level=1, frame=41)


def test_the_description_says_what_is_in_the_frame(builder: FrameBuilder) -> None:
    blocks = [
        batch(records(10, 2, level="ERROR", service="web")),
        batch(records(0, 3), "udp"),
        batch(records(20, 4, service="db", format_="raw")),
        batch(records(30, 1)),
    ]
    for block in blocks:
        builder.add(block)
    frame = builder.finish()
    description, lines = unpacked(frame)
    assert lines == b"".join(chunk for block in blocks for chunk in block.encoded.chunks)
    assert description == Description(
        v=1,
        instance="run-1",
        worker=3,
        frame=42,
        frame_bytes=description.frame_bytes,
        lines_bytes=len(lines),
        records=10,
        first="2026-11-20T12:00:00.000000Z",
        last="2026-11-20T12:00:30.000030Z",
        levels={"ERROR": 2, "INFO": 8},
        services=["api", "db", "web"],
        sources={"json/tcp": 3, "json/udp": 3, "raw/tcp": 4},
    )
    assert frame.lines_bytes == len(lines)
    assert [entry[:3] for entry in frame.durable] == [
        ("json", "tcp", 2),
        ("json", "udp", 3),
        ("raw", "tcp", 4),
        ("json", "tcp", 1),
    ]
    assert [entry.received_ns for entry in frame.durable] == [block.received_ns for block in blocks]


def test_the_data_frame_tells_its_size_and_has_a_checksum(builder: FrameBuilder) -> None:
    builder.add(batch(records(0, 5)))
    frame = builder.finish()
    _, length = HEADER.unpack_from(frame.data)
    parameters = zstandard.get_frame_parameters(frame.data[HEADER.size + length :])
    assert parameters.has_checksum
    assert parameters.content_size == frame.lines_bytes


def test_a_builder_begins_anew(builder: FrameBuilder) -> None:
    builder.add(batch(records(0, 2)))
    builder.finish()
    assert not builder
    assert list(builder.received_ns()) == []
    builder.add(batch(records(2, 1)))
    description, lines = unpacked(builder.finish())
    assert (description.frame, description.records, lines.count(b"\n")) == (43, 1, 1)


def test_a_builder_is_full_at_its_size(builder: FrameBuilder) -> None:
    encoded = Encoded("json", [b"x" * (FRAME_BYTES - 1)], FRAME_BYTES - 1, 1)
    builder.add(batch(encoded))
    assert not builder.full
    builder.add(batch(Encoded("json", [b"\n"], 1, 0)))
    assert builder.full


@pytest.mark.parametrize(
    ("services", "listed"),
    [
        ({f"service-{number:03}" for number in range(256)}, 256),
        ({f"service-{number:03}" for number in range(257)}, 0),
        ({"s" * (1 << 16)}, 1),
        ({"s" * (1 << 15), "t" * (1 << 15), "u"}, 0),
    ],
)
def test_services_are_listed_while_they_are_few_and_short(
    builder: FrameBuilder, services: set[str], listed: int
) -> None:
    builder.add(batch(with_services(services)))
    description, _ = unpacked(builder.finish())
    assert len(description.services) == listed


@pytest.mark.parametrize("character", ["s", "\0", '"', "é", "\U0001f600"])
def test_no_service_makes_a_description_that_recovery_would_refuse(
    builder: FrameBuilder, character: str
) -> None:
    builder.add(batch(with_services({character * (1 << 16)})))
    builder.add(batch(with_services({character * (1 << 20)})))
    _, length = HEADER.unpack_from(builder.finish().data)
    assert length < MAX_DESCRIPTION_BYTES / 2
    builder.add(batch(with_services({character * (1 << 16)})))
    _, length = HEADER.unpack_from(builder.finish().data)
    assert length < MAX_DESCRIPTION_BYTES / 2
