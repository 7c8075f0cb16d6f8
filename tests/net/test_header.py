"""The header line: every branch, each case fed whole, byte by byte, and with data behind it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import FORMATS
from ingestd.net.header import MAX_HEADER_BYTES, Header, HeaderError, read_header

NAMED = [
    (b"INGEST/1 json\n", "json"),
    (b"INGEST/1 raw\n", "raw"),
    (b"INGEST/1 auto\n", "auto"),
    (b"INGEST/1 json\r\n", "json"),
    (b"INGEST/1  \t json  \n", "json"),
    (b"INGEST/1 json" + b" " * (MAX_HEADER_BYTES - 14) + b"\n", "json"),
]

REFUSED = [
    (b"INGEST/2 json\n", "unsupported version 2, this is INGEST/1"),
    (b"INGEST/1.0 json\n", "unsupported version 1.0, this is INGEST/1"),
    (b"INGEST/1/1 json\n", "unsupported version 1/1, this is INGEST/1"),
    (b"INGEST/\n", "unsupported version"),
    (b"INGEST/ 1 json\n", "unsupported version"),
    (b"INGEST/1\n", "no format, one of json"),
    (b"INGEST/1 \r\n", "no format, one of json"),
    (b"INGEST/1 xml\n", "unsupported format xml, one of json"),
    (b"INGEST/1 gelf\n", "unsupported format gelf, one of json"),
    (b"INGEST/1 JSON\n", "unsupported format JSON, one of json"),
    (b"INGEST/1 json ack\n", "ack is not key=value"),
    (b"INGEST/1 json ack=1\n", "ack=1 and client=<id> go together"),
    (b"INGEST/1 json client=a\n", "ack=1 and client=<id> go together"),
    (b"INGEST/1 json ack=2 client=a\n", "ack=2: ack is 1 or not given"),
    (b"INGEST/1 json ack=1 ack=1 client=a\n", "ack=1: ack is 1"),
    (b"INGEST/1 json ack=1 client=\n", "client is 1 to 64 of letters"),
    (b"INGEST/1 json ack=1 client=a/b\n", "client=a/b: client is 1 to 64 of letters"),
    (b"INGEST/1 json ack=1 client=" + b"a" * 65 + b"\n", "client is 1 to 64 of letters"),
    (b"INGEST/1 json compression=gzip\n", "compression=gzip: compression is zstd"),
    (b"INGEST/1 json token=\n", "token is one secret"),
    (b"INGEST/1 json token=hunter2 token=hunter2\n", "token...: token is one secret"),
    (b"INGEST/1 json Token=hunter2\n", "unknown key Token"),
    (b"INGEST/1 json token:hunter2\n", "token... is not key=value"),
    (b"INGEST/1 json ingestd_hunter2\n", "ingestd_... is not key=value"),
    (b"INGEST/1 token=hunter2\n", "unsupported format token..., one of"),
    (b"INGEST/1 json color=red\n", "unknown key color, one of compression schema token ack client"),
    (b"INGEST/1 json schema=\n", "schema names one subject"),
    (b"INGEST/1 json schema=a schema=b\n", "schema names one subject"),
    (b"INGEST/1 json =x\n", "unknown key"),
    (b"INGEST/1 j\xc3\xb6son\n", "not ASCII"),
    (b"INGEST/1 \xff\n", "not ASCII"),
    (b"INGEST/1 json" + b" " * (MAX_HEADER_BYTES - 13) + b"\n", "header longer than 512 bytes"),
]

NO_HEADER = [
    b'{"message":"hi"}\n',
    b"plain text\n",
    b"\n",
    b"\0",
    b"ingest/1 json\n",
    b" INGEST/1 json\n",
    b"INGESTION/1\n",
    b"INGEST 1 json\n",
    b"IN a log line\n",
    b"34 bottles\n",
    b"__init__ called\n",
    b"Objects\n",
]

SNIFFED = [
    (b"__CURSOR=s=1\nMESSAGE=m\n\n", "journald"),
    (b"48 <34>Oct 11 22:14:15 host su: 'su root' failed", "syslog"),
    (b"Obj\x01\x04\x14avro.codec", "avro"),
]


def byte_by_byte(data: bytes) -> Header:
    """As a connection does with a sender of single bytes: gather until it can be told."""
    for end in range(len(data) + 1):
        assert end <= MAX_HEADER_BYTES, "more than a header's length was buffered"
        if header := read_header(data[:end]):
            return header._replace(rest=header.rest + data[end:])
    raise AssertionError("never told")


@pytest.mark.parametrize(("data", "format_"), SNIFFED)
def test_what_needs_a_framing_of_its_own_needs_no_header(data: bytes, format_: str) -> None:
    assert read_header(data) == byte_by_byte(data) == Header(format_, False, data)


@pytest.mark.parametrize("rest", [b"", b'{"a":1}\n', b"INGEST/1 raw\n", b"\n", b"x" * 100_000])
@pytest.mark.parametrize(("line", "format_"), NAMED)
def test_a_header_names_the_format(line: bytes, format_: str, rest: bytes) -> None:
    assert read_header(line + rest) == Header(format_, True, rest)
    assert byte_by_byte(line + rest) == Header(format_, True, rest)


@pytest.mark.parametrize("rest", [b"", b'{"a":1}\n' * 1000])
@pytest.mark.parametrize(("line", "reason"), REFUSED)
def test_a_bad_header_is_refused_with_a_reason(line: bytes, reason: str, rest: bytes) -> None:
    with pytest.raises(HeaderError, match=reason):
        read_header(line + rest)
    with pytest.raises(HeaderError, match=reason):
        byte_by_byte(line + rest)


@pytest.mark.parametrize("data", NO_HEADER)
def test_what_is_no_header_is_auto_and_keeps_every_byte(data: bytes) -> None:
    assert read_header(data) == Header("auto", False, data)
    assert byte_by_byte(data) == Header("auto", False, data)


@pytest.mark.parametrize("end", range(len(b"INGEST/1 json")))
def test_a_beginning_tells_nothing_yet(end: int) -> None:
    assert read_header(b"INGEST/1 json"[:end]) is None


def test_an_endless_header_is_refused_at_its_limit() -> None:
    endless = b"INGEST/1 json " + b"x" * 10_000
    assert read_header(endless[: MAX_HEADER_BYTES - 1]) is None
    for length in (MAX_HEADER_BYTES, MAX_HEADER_BYTES + 1, len(endless)):
        with pytest.raises(HeaderError, match="header longer than 512 bytes"):
            read_header(endless[:length])


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_that_is_served_can_be_named(name: str) -> None:
    assert read_header(b"INGEST/1 %b\n" % name.encode()) == Header(name, True, b"")


@given(
    st.binary(max_size=MAX_HEADER_BYTES * 2), st.sampled_from([b"INGEST/", b"INGEST/1 ", b"INGEST/1 json "])
)
def test_hostile_bytes_are_told_back_as_one_printable_line(tail: bytes, start: bytes) -> None:
    data = start + tail.replace(b"\n", b"") + b"\n"
    try:
        header = read_header(data)
    except HeaderError as error:
        text = str(error)
        assert text.isascii()
        assert text.isprintable()
        assert len(text) < 200
    else:
        assert header is not None
        assert header.named


@given(st.binary(max_size=100))
def test_any_bytes_whole_and_byte_by_byte_are_told_the_same(data: bytes) -> None:
    try:
        whole = read_header(data)
    except HeaderError as error:
        with pytest.raises(HeaderError) as other:
            byte_by_byte(data)
        assert str(other.value) == str(error)
    else:
        assert whole is None or byte_by_byte(data) == whole


@pytest.mark.parametrize("schema", ["orders", "orders@3", "a=b@latest", "x" * 490])
def test_a_header_names_a_schema(schema: str) -> None:
    data = f"INGEST/1 json schema={schema}\n".encode()
    assert byte_by_byte(data + b"rest") == Header("json", True, b"rest", schema)
