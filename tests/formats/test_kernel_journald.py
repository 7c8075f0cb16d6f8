"""The kernel of the journal's export format: what it takes and leaves, and that it makes the same as Python alone."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import journald, journald_export, kernel
from formats.cores import ALL_COLUMNS
from formats.errors import FrameError
from formats.journald_framing import Export
from formats.record import Context, Enrichment
from tests.formats.harness import CONTEXT, CORPORA, RECEIVED_AT, assert_same_both_ways, check

if kernel.COMPILED:
    from formats.kernel import journal_frames

pytestmark = pytest.mark.skipif(not kernel.COMPILED, reason="no C compiler when this was installed")

CORE = {
    "__REALTIME_TIMESTAMP": "1763640000000001",
    "_HOSTNAME": "web1",
    "PRIORITY": "3",
    "SYSLOG_IDENTIFIER": "api",
    "_SYSTEMD_UNIT": "api.service",
    "MESSAGE": "m",
}


def entry(**fields: str | bytes | None) -> bytes:
    """One of the fields of `CORE` and others; bytes are sent as binary data, and None is left out."""
    lines = []
    for name, value in (CORE | fields).items():
        if isinstance(value, bytes):
            lines.append(binary(name.encode(), value))
        elif value is not None:
            lines.append(f"{name}={value}\n".encode())
    return b"".join(lines) + b"\n"


def binary(name: bytes, data: bytes) -> bytes:
    return name + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"


def taken(block: bytes, context: Context = CONTEXT) -> int:
    """How many bytes of the block the kernel takes at once."""
    return journald_export.Compiled(context, block.startswith(b"{")).take(block, 0)[1]


RECEIVED = entry(__REALTIME_TIMESTAMP=None)
BEFORE_1971 = ("0", "7", "999999", "1000000", "0001500000", "86400000000")
WIDE = "\x80\u0800\ud7ff\ue000\U00010000\U0010ffff"  # the ends of what each number of bytes may stand for

TAKEN = {
    "the usual": entry() * 3,
    "fields of its own": entry(A="", _B_9="x=y", __CURSOR="s=1;i=2", X='\t\x7f\r \x00 \x1f\\ "'),
    "no core fields": b"A=1\n\n",
    "no fields of its own": b"MESSAGE=m\n\n",
    "a long name": b"A" * 64 + b"=1\n\n",
    "names by turns": (entry() + entry(A="1") + b"A=1\nMESSAGE=\n\n" + b"MESSAGE=\nA=1\n\n") * 5,
    "binary data": entry(MESSAGE=b"two\nlines\n\n", A=b"", B=b"\0" * 9, C=b"x" * 0x0A0A),
    "all of it binary": entry(**{name: value.encode() for name, value in CORE.items()}),
    "not ASCII": entry(MESSAGE="Übergröße 中文 🎉", SYSLOG_IDENTIFIER="dienst-ü", A=WIDE),
    "every priority": b"".join(entry(PRIORITY=str(priority)) for priority in range(10)),
    "no priority": b"".join(entry(PRIORITY=value) for value in ("", "06", "x", None)),
    "no service": entry(SYSLOG_IDENTIFIER="") + entry(SYSLOG_IDENTIFIER=None),
    "no service nor unit": entry(SYSLOG_IDENTIFIER=None, _SYSTEMD_UNIT="")
    + entry(SYSLOG_IDENTIFIER="", _SYSTEMD_UNIT=None),
    "no time": RECEIVED * 2,
    "no time in some": RECEIVED + entry(),
    "before the time of receipt and after": entry(__REALTIME_TIMESTAMP="1863640000000001")
    + RECEIVED
    + entry(),
    "only after it": RECEIVED + entry(__REALTIME_TIMESTAMP="1863640000000001"),
    "no host name": entry(_HOSTNAME=None) + entry(),
    "blank lines": b"\n\n" + entry() + b"\n\n\n" + entry() + b"\n",
    "no last empty line": entry() + entry()[:-1],
    "many hours": b"".join(
        entry(__REALTIME_TIMESTAMP=str(1763640000000000 + 3600_000000 * hour)) for hour in range(500)
    ),
    "old": b"".join(entry(__REALTIME_TIMESTAMP=digits) for digits in BEFORE_1971),
    "the last second": entry(__REALTIME_TIMESTAMP="253402300799999999"),
    "more services than the table holds": b"".join(
        entry(SYSLOG_IDENTIFIER=f"service-number-{i}-x") for i in range(300)
    ),
    "many names": b"".join(b"NAME_%d=1\n" % name for name in range(500)) + b"\n",
    "quotes alone": entry(MESSAGE='"' * 5000, A="\x01" * 5000, B=b"\n" * 5000),
}


@pytest.mark.parametrize("block", TAKEN.values(), ids=TAKEN.keys())
def test_what_is_common_is_taken(block: bytes) -> None:
    assert taken(block) == len(block)
    assert_same_both_ways("journald", block)


LEFT = {
    "a name twice": entry().replace(b"PRIORITY=3\n", b"PRIORITY=3\nPRIORITY=4\n"),
    "its like again": entry(A="1") + b"A=1\nA=1\n\n",
    "no name": b"=1\n\n",
    "a name of 65": b"A" * 65 + b"=1\n\n",
    "a name that begins with a digit": b"1A=1\n\n",
    "a small letter": b"Aa=1\n\n",
    "no field": entry(A="1").replace(b"A=1", b"A"),
    "not UTF-8": entry(A="x").replace(b"x", b"\xff"),
    "a service that is not": entry(SYSLOG_IDENTIFIER=b"\xc3"),
    "a message that is not": entry(MESSAGE=b"\xed\xa0\x80"),
    "a host name that is not": entry(_HOSTNAME=b"a\xc0\x80"),
    "no time that can be read": entry(__REALTIME_TIMESTAMP="soon"),
    "an empty time": entry(__REALTIME_TIMESTAMP=""),
    "a time after the year 9999": entry(__REALTIME_TIMESTAMP="253402300800000000"),
    "digits of another script": entry(__REALTIME_TIMESTAMP="١٧٦٣٦٤٠٠٠٠٩٩٩٩٠١"),
    "data over its end": entry(A=b"1234567").replace(b"\x07\0", b"\x09\0"),
    "data of more than there is": b"A\n\xff\xff\0\0\0\0\0\0x\n\n",
    "data of as much as there can be": b"A\n" + b"\xff" * 7 + b"\0x\n\n",
    "data of a length without a zero": b"A\n" + b"\xff" * 8 + b"x\n\n",
}


@pytest.mark.parametrize("block", LEFT.values(), ids=LEFT.keys())
def test_what_is_unusual_is_left(block: bytes) -> None:
    for before in (b"", entry() * 3):
        assert taken(before + block) < len(before + block)
        assert_same_both_ways("journald", before + block)
        assert_same_both_ways("journald", before + block + entry() * 3)


@pytest.mark.parametrize("cut", range(1, 250))
def test_a_block_that_is_cut_off(cut: int) -> None:
    block = entry(A=b"1234567", MESSAGE="ü", Z=b"")
    assert_same_both_ways("journald", block[:-cut] or b"\n")
    assert_same_both_ways("journald", block + block[:-cut])


@pytest.mark.parametrize("odd", [b"A=1\nA=2\n\n", b"A=\xff\n\n", b"A\n\n"])
@pytest.mark.parametrize("every", [1, 2, 9, 50])
def test_what_follows_the_unusual_is_taken_again(odd: bytes, every: int) -> None:
    block = (entry() * (every - 1) + odd) * (400 // every)
    assert_same_both_ways("journald", block)
    assert_same_both_ways("journald", b"\n" + block[:-1])


def test_only_what_is_unusual_goes_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journald_export, "_encode_any", None)
    block = (entry() * 20 + b"A=1\nA=2\n\n") * 20
    assert sum(len(check(encoded)) for encoded in journald.encode(block, CONTEXT)) == 420


@pytest.mark.parametrize("size", range(1, 40))
def test_what_must_be_escaped_at_any_place(size: int) -> None:
    texts = ["x" * place + odd + "x" * (size - place) for place in range(size) for odd in '"\\\x00\x1f\x7fü']
    for fields in ({"MESSAGE": text, "A": text} for text in texts):
        assert_same_both_ways("journald", entry(**fields))
    block = b"".join(entry(MESSAGE=text.encode(), A=text) for text in texts)
    assert taken(block) == len(block)
    assert_same_both_ways("journald", block)


@pytest.mark.parametrize("size", [1022, 1023, 1024, 1025, 2047, 2048, 100_000])
def test_long_values(size: int) -> None:
    for data in ("x" * size, "ü" * size, '"' * size, "x" + "é\n" * size):
        block = entry(MESSAGE=data.encode(), A=data.replace("\n", " "), B="1") * 2
        assert taken(block) == len(block)
        assert_same_both_ways("journald", block)


def test_utf8_is_judged_as_python_does() -> None:
    for lead in range(0x80, 0x100):
        for second in (b"", b"\x7f", b"\x80", b"\x8f", b"\x90", b"\x9f", b"\xa0", b"\xbf", b"\xc0"):
            for rest in (b"", b"\x80", b"\x80\x80", b"\x80\xc0", b"a\x80"):
                value = b"x" + bytes([lead]) + second + rest
                try:
                    value.decode()
                except UnicodeDecodeError:
                    is_utf8 = False
                else:
                    is_utf8 = True
                block = b"A=" + value + b"\n\n"
                assert (taken(block) == len(block)) == is_utf8


def test_times_are_those_of_the_calendar() -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    days = [
        *range(800),
        *range(10_000, 12_000),
        *range(46_000, 48_000),
        *range(0, 2_932_896, 997),
        2_932_896,
    ]
    block = b"".join(b"__REALTIME_TIMESTAMP=%d\n\n" % (86_400_000_000 * day + 12_345 * day) for day in days)
    context = Enrichment({}).at(RECEIVED_AT, "unknown")
    (encoded,) = journald.encode(block, context)
    moments = [epoch + timedelta(days=day, microseconds=12_345 * day) for day in days]
    stored = [moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for moment in moments]
    assert [record["timestamp"] for record in check(encoded)] == stored
    assert (encoded.first, encoded.last) == (min(stored), max(stored))


def test_a_field_of_the_enrichment_is_not_added_again() -> None:
    context = Enrichment({"hostname": b'"added"', "CLUSTER": b'"added"', "MESSAGE": b"1"}).at(
        RECEIVED_AT, "d"
    )
    for block in (entry(), entry(CLUSTER="own"), entry(_HOSTNAME=None), entry(CLUSTER=None, _HOSTNAME=None)):
        assert_same_both_ways("journald", entry() + block + entry(), context)


def test_a_default_service_is_escaped() -> None:
    context = Enrichment({}).at(RECEIVED_AT, 'a"ü', ALL_COLUMNS)
    assert_same_both_ways("journald", b"A=1\n\n" * 2, context)


def test_genuine_journals() -> None:
    found = sorted((CORPORA / "journald" / "real").glob("*.export"))
    for path in found:
        data = path.read_bytes()
        assert taken(data) == len(data)
        assert_same_both_ways("journald", data)


_names = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True) | st.sampled_from([*CORE, "A", "B"])
_values = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", "6", "1763640000000001", "99", "a=b", "x" * 40 + '"', "\\\t\r\x7f\x1f"]),
).map(lambda text: text.replace("\n", " "))
_data = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    st.sampled_from([b"", b"\n\n", b"a=b\n", b"\xff", b"6", b"A=1\n\nB\n", b"\0" * 9]),
)
_fields = st.dictionaries(_names, _values | _data, max_size=8)
_lists = st.lists(_fields.map(lambda fields: entry(**(dict.fromkeys(CORE) | fields))), min_size=1, max_size=8)


@given(_lists, st.integers(0, 2))
def test_both_ways_make_the_same_of_journals(entries: list[bytes], missing: int) -> None:
    block = b"".join(entries)
    assert_same_both_ways("journald", block[: len(block) - missing] or b"\n")


@given(_lists, st.integers(0, 2**32))
def test_both_ways_make_the_same_of_damaged_journals(entries: list[bytes], seed: int) -> None:
    rng = random.Random(seed)
    block = bytearray(entry() + b"".join(entries))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(block))
        what = rng.choice(
            (b"", b"\0", b"=", b"\n", b"\n\n", b"\xff", b"\xc3\xa4", b"A", b"1", b"\x01" + b"\0" * 7)
        )
        block[at : at + rng.randint(0, 2)] = what
    if block and block[0] not in b"{ \t\r":
        assert_same_both_ways("journald", bytes(block))


@given(
    st.lists(
        st.one_of(_lists, st.lists(st.sampled_from([b"A", b"A=", b"=", b"\n", b"\0" * 7, b"\1", b"x" * 70])))
    ),
    st.lists(st.integers(0, 2000), max_size=4),
    st.integers(1, 300),
)
def test_both_ways_cut_a_stream_the_same(parts: list[list[bytes]], cuts: list[int], limit_bytes: int) -> None:
    stream = b"".join(map(b"".join, parts))
    positions = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[start:end] for start, end in pairwise(positions)]
    compiled = framed(pieces, limit_bytes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "COMPILED", False)
        assert framed(pieces, limit_bytes) == compiled


def framed(pieces: list[bytes], limit_bytes: int) -> list[object]:
    """All that a framer says of a stream."""
    framer = Export(limit_bytes)
    said: list[object] = []
    try:
        for piece in pieces:
            said += [framer.feed(piece), framer.pending_bytes]
        framer.feed(b"")
    except FrameError as error:
        said.append(str(error))
    return [*said, framer.finish(), framer.oversize]


def test_a_walk_from_where_nothing_is() -> None:
    for entry_, at in ((-1, 0), (1, 0), (0, 9), (9, 9)):
        with pytest.raises(ValueError, match="no field"):
            journal_frames.walk(bytearray(b"A=1\n\n"), entry_, at, 100)


def test_a_walk_stops_where_something_is_missing() -> None:
    data = entry(A=b"\0\n\n", B=b"")
    whole = bytearray(data + data)
    assert journal_frames.walk(whole, 0, 0, len(data)) == (len(whole), len(whole))
    fields = {len(data) + match.start() for match in re.finditer(rb"^[A-Z_]+[=\n]|^\n\Z", data, re.MULTILINE)}
    for size in range(len(data), len(whole)):
        begun, at = journal_frames.walk(whole[:size], 0, 0, len(data))
        assert begun == len(data) and at == max(field for field in fields if field <= size)
    assert journal_frames.walk(whole, 0, 0, len(data) - 2) == (0, len(data) - 12)  # before its last field
    text = bytearray(entry())
    assert journal_frames.walk(text, 0, 0, len(text) - 2) == (0, len(text) - 1)  # before its end
