"""The kernels of Protobuf beside the way in Python: they take what most senders send, and make the same of it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import delimited, kernel, protobuf
from formats.cores import ALL_COLUMNS, NOTHING
from formats.delimited import cut
from formats.levels import LEVELS, NAMES
from formats.record import Context, Enrichment
from formats.schemas.log_entry_pb2 import LogEntry
from tests.formats.binary import frame, varint
from tests.formats.harness import CONTEXT, RECEIVED_AT, assert_same_both_ways

if kernel.COMPILED:
    from formats.kernel import log_entries

pytestmark = pytest.mark.skipif(not kernel.COMPILED, reason="no C compiler when this was installed")

ENTRY: dict[str, Any] = {
    "timestamp": "2026-11-20T12:00:00.000000Z",
    "level": "INFO",
    "service": "api",
    "message": "m",
    "run": "r",
    "seq": 1,
}
NAMED_LIKE_ENTRIES = Enrichment({"run": b'"own"', "x": b"[1]", "seq": b"7", 'odd "\u00fc': b"null"})


def entry(**fields: Any) -> bytes:
    return frame(LogEntry(**ENTRY | fields).SerializeToString())


def text(number: int, data: bytes) -> bytes:
    """A field as it travels."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def is_taken(block: bytes, context: Context = CONTEXT) -> bool:
    whole, rest = cut(block)
    return not rest and protobuf._encode_compiled(whole, context) is not None


PLAIN = LogEntry(**ENTRY).SerializeToString()
ATTRIBUTE = text(1, b"name") + text(2, b"value")

TAKEN = {
    "without level": entry(level=""),
    "without service": entry(service=""),
    "without time": entry(timestamp=""),
    "without message": entry(message=""),
    "without run": entry(run=""),
    "without seq": entry(seq=0),
    "without run and seq": entry(run="", seq=0),
    "nothing": frame(b""),
    "fields that are there and empty": frame(b"".join(text(number, b"") for number in (1, 2, 3, 4, 6)) + b"\x38\x00"),
    "the greatest seq": entry(seq=2**64 - 1),
    "another order": frame(b"\x38\x05" + text(6, b"r") + text(4, b"m") + text(2, b"WARN") + text(3, b"s")),
    "escapes": entry(message='a "quoted"\n\ttext \\ \b\f\r/ \x00\x1f\x7f', service='"\\', run="\n"),
    "escapes at every place": b"".join(entry(message="." * at + '"' + "." * (20 - at)) for at in range(21)),
    "all bytes of ASCII": entry(message="".join(map(chr, range(128))) * 3),
    "not ASCII": entry(message="Übergröße 中文 🎉 " * 5, service="dienst-ü", run="ñ"),
    "ends of what UTF-8 has": entry(message="\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"),
    "long": entry(message="x" * 200) + entry(message="y" * 20_000) + entry(message='"' * 20_000),
    "every level": b"".join(entry(level=level) for level in LEVELS),
    "every other word for a level": b"".join(entry(level=word) for name in NAMES for word in (name, name.lower())),
    "levels by number": entry(level="7") + entry(level="30") + entry(level="INFO3") + entry(level=" info\n"),
    "milliseconds": entry(timestamp="2026-11-20T12:00:00.123Z"),
    "nanoseconds": entry(timestamp="2026-11-20T12:00:00.123456789Z"),
    "a comma": entry(timestamp="2026-11-20T12:00:00,123456Z"),
    "seconds": entry(timestamp="2026-11-20T12:00:00Z") + entry(),
    "no zone": entry(timestamp="2026-11-20T12:00:00") + entry(timestamp="2026-11-20T12:00:00.5"),
    "UTC as an offset": entry(timestamp="2026-11-20T12:00:00.5+00:00") + entry(timestamp="2026-11-20T12:00:00+00:00"),
    "more services than its table holds": b"".join(entry(service=f"service-number-{i}-x") for i in range(300)),
    "several hours": b"".join(entry(timestamp=f"2026-11-20T{hour:02}:59:59.999999Z") for hour in range(16)),
    "an attribute": entry(attributes={"a": "b"}),
    "attributes": entry(attributes={name: name * 3 for name in "zaybxc\u00fc"} | {"": "", "aa": "", 'b"': "\n"}),
    "as many attributes as it reads": entry(attributes={f"name{i * 7 % 32}": "v" for i in range(32)}),
    "an attribute of the enrichment": entry(attributes={"hostname": "own"}) + entry(),
    "all that the enrichment has": entry(
        attributes=dict.fromkeys(("hostname", "source_ip", "format", "received_at"), "own")
    ),
    "a kind": entry(attributes={"kind": "metric"}) + entry(attributes={"kind": ""}),
    "the word in another attribute": entry(attributes={"king": "heartbeat", "heartbeat": "kind"}),
    "names that only begin like a field's": entry(attributes={"levels": "1", "leve": "2", "ru": "3", "runs": "4"}),
    "an attribute without value": frame(PLAIN + text(5, text(1, b"n")) + text(5, text(2, b"v"))),
    "an attribute with its value first": frame(PLAIN + text(5, text(2, b"v") + text(1, b"n"))),
    "fields of a later schema": frame(
        b"\x40\xff\x01" + PLAIN + b"\x49" + b"\xff" * 8 + b"\x52\x02\xff\xff" + b"\x5d" + b"\xff" * 4 + b"\xc2\x3e\x01z"
    ),
}  # fmt: skip


@pytest.mark.parametrize("block", TAKEN.values(), ids=TAKEN.keys())
def test_the_kernel_takes_what_is_common(block: bytes) -> None:
    for blocks in (block, entry() * 100 + block, block + entry() * 100):
        assert is_taken(blocks)
        assert_same_both_ways("protobuf", blocks)


LEFT = {
    "a field twice": frame(PLAIN + text(2, b"WARN")),
    "seq twice": frame(PLAIN + b"\x38\x02"),
    "a packed seq": frame(text(4, b"m") + text(7, b"\x05")),
    "a level as a number": frame(text(4, b"m") + b"\x10\x01"),
    "field 0": frame(b"\x02\x00" + PLAIN),
    "a field in a group": frame(PLAIN + b"\x43\x44"),
    "an attribute twice": frame(PLAIN + text(5, ATTRIBUTE) + text(5, ATTRIBUTE)),
    "an attribute with two names": frame(PLAIN + text(5, text(1, b"a") + text(1, b"b") + text(2, b"c"))),
    "an attribute with something else": frame(PLAIN + text(5, ATTRIBUTE + b"\x18\x01")),
    "very many attributes": entry(attributes={f"name{i}": "v" for i in range(33)}),
    "a heartbeat": entry(attributes={"kind": "heartbeat"}),
    "no UTF-8": frame(text(4, b"m\xff")),
    "no UTF-8 in the run": frame(text(6, b"\xc3")),
    "no UTF-8 in the service": frame(text(3, b"\x80")),
    "no UTF-8 in the level": frame(text(2, b"\xe4INFO")),
    "no UTF-8 in an attribute": frame(text(5, text(1, b"\xed\xa0\x80"))) + frame(text(5, text(2, b"\xf5"))),
    "no such level": entry(level="loud"),
    "no such day": entry(timestamp="2026-02-30T12:00:00.000000Z"),
    "no such day, in milliseconds": entry(timestamp="2026-02-30T12:00:00.000Z"),
    "no such minute": entry(timestamp="2026-11-20T12:60:00Z"),
    "before 1970": entry(timestamp="1969-12-31T23:59:59.999999Z"),
    "a leap second": entry(timestamp="2016-12-31T23:59:60.000000Z"),
    "an offset": entry(timestamp="2026-11-20T12:00:00+01:00"),
    "a time in digits": entry(timestamp="1763640000"),
    "a time without digits behind the point": entry(timestamp="2026-11-20T12:00:00.Z"),
    "a time and more": entry(timestamp="2026-11-20T12:00:00.000000Zx"),
    "a day": entry(timestamp="2026-11-20"),
    "very many hours": b"".join(entry(timestamp=f"2026-11-20T{hour:02}:00:00.000000Z") for hour in range(24)),
    "a length of two bytes where one would do": b"\x83\x00" + text(4, b"a"),
    "a tag of two bytes where one would do": frame(b"\xa2\x00\x01a"),
    "a text behind the end": frame(b"\x22\x02a"),
    "a text far behind the end": frame(b"\x22\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a"),
    "a text without length": frame(b"\x22"),
    "a tag cut off": frame(PLAIN + b"\x80"),
    "a number cut off": frame(text(4, b"m") + b"\x38\x80"),
    "a number above 64 bits": frame(text(4, b"m") + b"\x38" + b"\xff" * 9 + b"\x02"),
    "an attribute that ends in the next field": frame(b"\x2a\x02\x0a\x04name" + PLAIN),
    "an unknown field behind the end": frame(PLAIN + b"\x41" + b"\0" * 7),
    "another behind the end": frame(PLAIN + b"\x45" + b"\0" * 3),
} | {
    f"an attribute named {name}": entry(attributes={name: "v"})
    for name in ("timestamp", "level", "service", "message", "run", "seq")
}


@pytest.mark.parametrize("block", LEFT.values(), ids=LEFT.keys())
def test_the_kernel_leaves_what_is_not(block: bytes) -> None:
    for blocks in (block, entry() * 100 + block, block + entry() * 100):
        assert not is_taken(blocks)
        assert_same_both_ways("protobuf", blocks)


@pytest.mark.parametrize("rest", [b"\x05\x22", b"\x80", b"\xff" * 10])
def test_a_stream_that_is_cut_off(rest: bytes) -> None:
    assert_same_both_ways("protobuf", entry() * 3 + rest)
    assert_same_both_ways("protobuf", rest)


def test_other_enrichment() -> None:
    block = b"".join(
        entry(run=run, seq=seq, attributes=attributes)
        for run in ("", "r")
        for seq in (0, 5)
        for attributes in ({}, {"x": "own"}, {'odd "ü': "own", "format": ""}, {"y": "z"})
    )
    for wanted in (NOTHING, ALL_COLUMNS):
        context = NAMED_LIKE_ENTRIES.at(RECEIVED_AT, 'a "default"', wanted)
        assert is_taken(block + entry(service=""), context)
        assert_same_both_ways("protobuf", block + entry(service=""), context)
        assert_same_both_ways("protobuf", block, Enrichment({}).at(RECEIVED_AT, "", wanted))


def test_very_many_fields_of_enrichment() -> None:
    for number, taken in ((62, True), (63, False)):  # `format` and `received_at` beside them
        context = Enrichment({f"x{index}": b"1" for index in range(number)}).at(
            RECEIVED_AT, "unknown", ALL_COLUMNS
        )
        block = entry(attributes={"x0": "own", f"x{number - 1}": "own"})
        assert is_taken(block, context) == taken
        assert_same_both_ways("protobuf", block, context)


def test_a_time_of_receipt_of_another_width() -> None:
    context = Enrichment({}).at("2026-11-20T12:34:56Z", "unknown", ALL_COLUMNS)
    assert not is_taken(entry(), context)


def test_the_kernel_trusts_nobody() -> None:
    """Neither a number of frames nor the size of what goes behind each record."""
    added = log_entries.Added({"x": 6})
    arguments = (b"unknown", RECEIVED_AT.encode(), b',"x":1}\n', added, ALL_COLUMNS)
    lines = log_entries.encode(entry() * 3, 3, *arguments)
    assert lines is not None
    assert lines[0].endswith(b',"seq":1,"x":1}\n')
    for number in (-1, 0, 2, 4, 1000, 2**62):
        assert log_entries.encode(entry() * 3, number, *arguments) is None
    with pytest.raises(ValueError, match="size"):
        log_entries.encode(entry(), 1, b"", b"", b"}\n", added, ALL_COLUMNS)
    with pytest.raises(TypeError, match="not bytes"):
        log_entries.encode(bytearray(entry()), 1, *arguments)  # type: ignore[arg-type]


def test_lines_that_become_much_longer() -> None:
    assert_same_both_ways("protobuf", entry(message="\x01" * 300_000) + entry(message="\x02" * 1000) * 50)


_text = st.text(max_size=10) | st.text(min_size=100, max_size=150) | st.sampled_from(["\x1f" * 9, '"' * 9])
_name = st.sampled_from(["a", "hostname", "kind", "format", "received_at", "level", "seq"]) | _text
_time = st.datetimes().map(lambda time: time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")) | st.from_regex(
    r"2026-1[0-9]-[0-3][0-9]T[0-3][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,9})?(Z|z|\+00:00|-00:00|)",
    fullmatch=True,
)
_entry = st.fixed_dictionaries(
    {},
    optional={
        "timestamp": st.sampled_from(["2026-11-20T12:00:00.000001Z", "1763640000", ""]) | _time,
        "level": st.sampled_from([*LEVELS, "warning", "info", "", "7"]),
        "service": _text,
        "message": _text,
        "run": _text,
        "seq": st.integers(0, 2**64 - 1),
        "attributes": st.dictionaries(_name, _text | st.just("heartbeat"), max_size=4),
    },
)
_message = _entry.map(lambda fields: LogEntry(**fields).SerializeToString())


@given(st.lists(_message, min_size=1, max_size=6), st.booleans())
def test_both_ways_make_the_same_of_protobuf(messages: list[bytes], many: bool) -> None:
    block = b"".join(map(frame, messages)) * (1 + many * (protobuf._FEW // len(messages)))
    assert_same_both_ways("protobuf", block)
    assert_same_both_ways("protobuf", block, NAMED_LIKE_ENTRIES.at(RECEIVED_AT, "unknown"))


@given(st.lists(_message, min_size=1, max_size=3), st.integers(0, 2**32), st.booleans())
def test_both_ways_make_the_same_of_damaged_protobuf(messages: list[bytes], seed: int, framed: bool) -> None:
    """Damaged within their frames, so that more than one length is wrong, or as a whole."""
    rng = random.Random(seed)
    if not framed:
        messages = [_damaged(message, rng) for message in messages]
    block = b"".join(map(frame, messages))
    assert_same_both_ways("protobuf", _damaged(block, rng) if framed else block)


def _damaged(data: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(damaged) + 1)
        what = rng.choice(
            (b"", b"\0", b"\x7f", b"\x80", b"\xff", b"\x01", b"\x22", b"\x2a", b"\x38", b"\x80\x00")
        )
        damaged[at : at + rng.randint(0, 2)] = what
    return bytes(damaged)


@given(st.lists(st.binary(max_size=40).map(frame) | st.binary(max_size=12), max_size=20))
def test_both_walks_find_the_same_frames(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    starts, end = delimited._walk(data)
    assert (starts.tolist(), end) == delimited._walked(data)


@pytest.mark.parametrize(
    ("data", "frames"),
    [
        (b"", 0),
        (b"\0" * 5, 5),
        (b"\x80" * 9 + b"\0", 1),
        (b"\x80" * 10 + b"\0", 0),
        (b"\xff" * 9 + b"\x01", 0),
        (b"\xff" * 8 + b"\x7f", 0),
        (b"\0\x01", 1),
        (b"\x80\x01" + b"x" * 128, 1),
        (b"\x80\x01" + b"x" * 127, 0),
    ],
)
def test_lengths_that_lead_to_the_end_or_behind_it(data: bytes, frames: int) -> None:
    starts, end = delimited._walk(data)
    assert (starts.tolist(), end) == delimited._walked(data)
    assert len(starts) == frames
