"""Auto: runs of one kind, in order, and nothing that looked like JSON lost."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import auto
from tests.formats.harness import CONTEXT, RECEIVED_AT, check, encode, own, parse, run

pytestmark = pytest.mark.usefixtures("way")

RECORD = b'{"timestamp":"2026-11-20T12:00:00.000000Z","level":"INFO","service":"api","message":"m"}\n'


def runs(block: bytes) -> list[tuple[str, int, int]]:
    """Format, records and rejects of each `Encoded`."""
    found = auto.encode(block, CONTEXT)
    for encoded in found:
        check(encoded)
    return [(encoded.format, encoded.records, len(encoded.rejects)) for encoded in found]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"", []),
        (b"\n\n", []),
        (RECORD * 3, [("json", 3, 0)]),
        ((RECORD * 3).replace(b"\n", b"\r\n"), [("json", 3, 0)]),
        (RECORD + b'{"msg":1}\n' + RECORD, [("json", 3, 0)]),
        (b"text\nmore\n", [("raw", 2, 0)]),
        (RECORD + b"text\n" + RECORD[:-1], [("json", 1, 0), ("raw", 1, 0), ("json", 1, 0)]),
        (b"[ERROR] text\n", [("raw", 1, 0)]),
        (b'[{"a":1},{"b":2}]\n', [("json", 2, 0)]),
        (b'  [ {"a":1} ]\n\t{"a":1}\n', [("json", 2, 0)]),
        (b'[{"a":1},2]\n', [("raw", 1, 0)]),
        (b'[{"a":1}\n', [("raw", 1, 0)]),
        (b"[]\n[1]\n", [("raw", 2, 0)]),
        (b'[{"a":' + b"[" * 100_000 + b"\n", [("raw", 1, 0)]),
        (b'{"a":' * 100_000 + b"\n", [("raw", 1, 0)]),
        (RECORD + b"{\n" + RECORD, [("json", 1, 0), ("raw", 1, 0), ("json", 1, 0)]),
        (b"text\n{\n[x\n", [("raw", 3, 0)]),
        (RECORD + b"\n" + RECORD, [("json", 2, 0)]),
        (b"text\n\nmore\n", [("raw", 2, 0)]),
        (b'{"a":"\xff"}\n', [("json", 0, 1)]),
        (b"\xff\n", [("raw", 0, 1)]),
        (b'\xff\n{"a":1}\n', [("raw", 0, 1), ("json", 1, 0)]),
        (b'{"level":"loud"}\n', [("raw", 1, 0)]),
        (b'[{"a":1},{"level":"loud"},{"b":1}]\n', [("json", 1, 0), ("raw", 1, 0), ("json", 1, 0)]),
        (b"\x0c{}\n", [("raw", 1, 0)]),
        (b"<14>1 2026-11-20T12:00:00Z host app - - - text\n" + RECORD, [("syslog", 1, 0), ("json", 1, 0)]),
        (b"<14>1 2026-11-20T12:00:00Z nothing more\n<html>\n", [("raw", 2, 0)]),
        (
            b'{"__CURSOR":"c","MESSAGE":"m"}\n{"__CURSOR":"c","message":"m"}\n',
            [("journald", 1, 0), ("json", 1, 0)],
        ),
    ],
)
def test_runs(block: bytes, expected: list[tuple[str, int, int]]) -> None:
    assert runs(block) == expected
    if len(block) < 10_000:
        run("auto", block)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a":', "invalid_json: "),
        (b'{"a":1} {"b":2}', "invalid_json: "),
        (b'{"level":"loud"}', "invalid_level: "),
        (b'{"timestamp":"soon"}', "invalid_timestamp: "),
        (b"{" * 2000, "invalid_json: "),
        (b'{"a":' * 2000, "too_deep: "),
    ],
)
def test_what_looked_like_json_is_kept_whole(line: bytes, reason: str) -> None:
    (record,) = encode("auto", line + b"\n").records
    assert record["format"] == "raw"
    assert record["message"] == line.decode()
    assert record["parse_error"].startswith(reason)
    assert len(record["parse_error"]) <= 200
    assert (record["timestamp"], record["level"], record["service"]) == (RECEIVED_AT, "INFO", "unknown")


def test_order_is_kept_where_there_are_few_runs() -> None:
    kinds = [b'{"message":"%d"}\n', b"%d\n", b'{"bad":%d\n', b'[{"message":"%d"}]\n', b"\n%d\r\n"]
    kinds += [b'{"MESSAGE":"%d","__CURSOR":"c"}\n', b"<13>Nov 20 12:00:00 host app: %d\n"]
    block = b"".join(kinds[index // 20 % len(kinds)] % index for index in range(300))
    messages = [record["message"].removeprefix('{"bad":') for record in encode("auto", block).records]
    assert messages == [str(index) for index in range(300)]


def test_order_is_kept_within_a_kind_where_there_are_many() -> None:
    kinds = [
        b'{"message":"%d"}\n',
        b"%d\n",
        b'{"MESSAGE":"%d","__CURSOR":"c"}\n',
        b"<13>Nov 20 12:00:00 h a: %d\n",
    ]
    found = runs(block := b"".join(kinds[index % 4] % index for index in range(300)))
    assert found == [("json", 75, 0), ("raw", 75, 0), ("journald", 75, 0), ("syslog", 75, 0)]
    messages = [int(record["message"]) for record in encode("auto", block).records]
    assert messages == [index for kind in range(4) for index in range(kind, 300, 4)]


_lines = st.one_of(
    st.just(RECORD[:-1]),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=3).map(
        lambda value: json.dumps(value).encode()
    ),
    st.text(max_size=20).map(str.encode),
    st.sampled_from(
        [
            b"<13>Nov 20 12:00:00 host app: text",
            b'{"__CURSOR":"c","MESSAGE":"m"}',
            b"{",
            b"[",
            b"[{}]",
            b"[{},1]",
            b" {}",
            b"\t[ {} ]",
            b"\xff",
            b'{"a":"\xff"}',
            b"",
            b" ",
            b"\r",
        ]
    ),
)


@given(st.lists(_lines, max_size=16))
def test_each_line_gives_what_it_gives_alone(lines: list[bytes]) -> None:
    block = b"\n".join(lines)
    whole = encode("auto", block)
    alone = [encode("auto", line) for line in block.split(b"\n")]
    assert whole.records == [record for one in alone for record in one.records]
    assert whole.rejects == [reject for one in alone for reject in one.rejects]
    assert len(whole.records) + len(whole.rejects) == sum(1 for line in block.split(b"\n") if line.strip())
    formats = [encoded.format for encoded in auto.encode(block, CONTEXT)]
    assert all(one != next_ for one, next_ in pairwise(formats))


def test_pure_blocks_are_what_their_format_makes_of_them() -> None:
    text = b"2026-11-20 12:00:00,123 ERROR api: text\nplain\n"
    assert encode("auto", RECORD * 2) == encode("json", RECORD * 2)
    assert encode("auto", text) == encode("raw", text)
    assert own(parse(json.dumps({"format": "raw"}).encode())) == {}


@pytest.mark.parametrize(
    ("sent", "block"),
    [
        (b"<13>a[1]: b\0<13>a[1]: c\0", b"<13>a[1]: b\0\n<13>a[1]: c\0\n"),
        (b"<13>a[1]: b\0<13>a[1]: c\n\0", b"<13>a[1]: b\0\n<13>a[1]: c\0\n\n"),
        (b'<13>\0{"a":1}\0<14> b\0', b'<13>\0\n{"a":1}\n<14> b\0\n'),
        (b"<13>a[1]: b\n<13>a[1]: c\0d\n", b"<13>a[1]: b\n<13>a[1]: c\0d\n"),
        (b"text\0more\n", b"text\0more\n"),
        (b"<b>\0more\n", b"<b>\0more\n"),
        (b"\0<13>a\n", b"\0<13>a\n"),
        (b'{"a":1}\n<13>a\0b\n', b'{"a":1}\n<13>a\0b\n'),
    ],
)
def test_nul_ends_lines_of_a_stream_of_syslog_that_begins_so(sent: bytes, block: bytes) -> None:
    """Python's SysLogHandler ends messages with NUL over TCP, and nothing else."""
    for size in (len(sent), 1, 5):
        stream = auto.Stream(100)
        parts = [sent[start : start + size] for start in range(0, len(sent), size)]
        assert b"".join(map(stream.feed, parts)) == block
        assert stream.finish() == b""


def test_a_line_over_the_limit_that_nul_ends_costs_only_itself() -> None:
    stream = auto.Stream(20)
    assert stream.feed(b"<13>" + b"x" * 50) == b""
    assert stream.feed(b"\0<13>a\0") == b"<13>a\0\n"
    assert stream.oversize == [b"<13>" + b"x" * 50]


def test_messages_without_a_tag_in_a_stream_that_nul_ends() -> None:
    stream = auto.Stream(1000)
    block = stream.feed(b'<12>low disk\0<11> a\tb\0{"message":"m"}\0<192>text\0plain\0' + b"<12>more\0" * 20)
    found = [
        (record["message"], record.get("level"), record.get("facility"))
        for record in encode("auto", block).records
    ]
    assert found[:5] == [
        ("low disk", "WARN", "user"),
        (" a\tb", "ERROR", "user"),
        ("m", "INFO", None),
        ("<192>text", "INFO", None),
        ("plain", "INFO", None),
    ]
    assert found[5:] == [("more", "WARN", "user")] * 20
