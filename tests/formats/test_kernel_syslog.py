"""The syslog kernel beside the way in Python: it takes what most senders send, and makes the same of it."""

from __future__ import annotations

import base64
import json
import random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import kernel, syslog
from formats.cores import ALL_COLUMNS
from formats.record import Enrichment
from formats.syslog_framing import Frames
from tests.formats.harness import ADDED, CONTEXT, CORPORA, RECEIVED_AT, assert_same_both_ways

if kernel.COMPILED:
    from formats import syslog_compiled
    from formats.kernel import syslog_frames

pytestmark = pytest.mark.skipif(not kernel.COMPILED, reason="no C compiler when this was installed")

USUAL = b"<13>1 2026-11-20T12:00:00.123456Z web-1 api 17 ID47 - user 4 signed in\n"
BSD = b"<34>Nov 20 12:00:00 web-1 su[230]: user 4 signed in\n"


def is_taken(block: bytes) -> bool:
    """All of it, without a message read alone."""
    return syslog_compiled.encode(block, CONTEXT, lambda message: None) is not None


def counted(message: bytes) -> bytes:
    return b"%d %b" % (len(message), message)


def at(time: bytes) -> bytes:
    return b"<13>1 %b h a - - - m\n" % time


def behind(rest: bytes, time: bytes = b"Nov 20 12:00:00") -> bytes:
    return b"<13>%b %b\n" % (time, rest)


TAKEN = {
    "5424": USUAL,
    "without a last line feed": USUAL + USUAL[:-1],
    "CRLF": USUAL.replace(b"\n", b"\r\n") * 2,
    "CR inside and twice": b"<13>1 - - - - - - a\rb\r\r\n<13>1 - - - - - - a\r",
    "blank lines": b"\n\r\n" + USUAL + b"\n\n" + USUAL,
    "each origin": b"".join(
        b"<13>1 - %b %b %b %b - m\n" % (host, app, process, message_id)
        for host in (b"h", b"-")
        for app in (b"a", b"-")
        for process in (b"p", b"-")
        for message_id in (b"m", b"-")
    ),
    "each PRI": b"".join(b"<%d>1 - h a p m - t\n" % pri for pri in range(192)),
    "tokens that are escaped": b'<13>1 - h"\\ "a\\ -- "m - t\n',
    "long tokens": b"<13>1 - %b - - - - t\n" % (b"h" * 255),
    "no text": b"<13>1 - - - - - -\n<13>1 - - - - - - \n<13>1 - - - - - -  \n",
    "a byte order mark": "<13>1 - - - - - - \ufeff\ufefft\n<13>Nov 20 12:00:00 h t: \ufeffx\n".encode(),
    "not ASCII": "<13>1 - - - - - - Übergröße 中文 🎉\n".encode(),
    "escapes": b'<13>1 - - - - - - "quoted" \\ \t\b\f\x1f\x7f and a long rest of plain text, "\n',
    "fractions": b"".join(
        at(b"2026-11-20T12:00:00" + b".123456789"[:width] + b"Z") for width in (0, 2, 4, 6, 7, 10)
    ),
    "offsets": b"".join(
        at(b"2026-11-20T12:%02d:59.5%b" % (minute, offset))
        for minute in (0, 30, 59)
        for offset in (b"+00:00", b"-00:00", b"+05:45", b"-23:59", b"")
    ),
    "times out of order": at(b"2026-11-20T12:00:01Z") + at(b"2026-11-20T11:00:00Z") + at(b"-"),
    "more seconds than are remembered": b"".join(
        behind(b"h t: m", b"Nov 20 12:%02d:%02d" % divmod(second, 60)) for second in range(300)
    ),
    "structured data": b'<13>1 - h a p m [a@1 x="1" y=""][b][c z="\\"\\]\\\\\\n\\\xc3\xa4[ ="] text\n',
    "structured data alone": b'<13>1 - - - - - [a b="c"]\n<13>1 - - - - - [a]\n<13>1 - - - - - [a] \n',
    "names of structured data": b'<13>1 - - - - - [a[.\\@ x[.\\="1"] [t]\n',
    "the most parameters": b"<13>1 - - - - - [a %b] t\n" % b" ".join(b'p%d="1"' % i for i in range(32)),
    "3164": BSD + behind(b"h tag: m") + behind(b"h tag:") + behind(b"h tag: ") + behind(b"h a/b(c)[-]: m"),
    "3164 of the first days of a month": behind(b"h t: m", b"Nov  5 12:00:00"),
    "3164 with an ISO time": behind(b"h t[1]: m", b"2026-11-20T12:00:00.123456+01:00"),
    "3164 without a host": behind(b"tag[1]: m") + behind(b"tag: m") + behind(b"CRON[2]: m") + behind(b"t:"),
    "3164 without a tag": b"".join(
        behind(b"h " + text) for text in (b"some words: m", b"[x] m", b"word", b"http://a:1 m", b"a:b:c")
    ),
    "hosts": b"".join(
        behind(host + b" t: m") for host in (b"fe80::1%eth0", b"10.1.2.3", b"MAIL", b"a/b", b"h" * 128)
    ),
    "counted": counted(b"<13>1 - h a p m - two\nlines")
    + b"\n"
    + USUAL
    + counted(b"<13>1 - - - - - - a\0b\n\0\r"),
    "counted in structured data": counted(b'<13>1 - - - - - [a b="two\nlines"]') + b"\n",
    "counted in a row": counted(USUAL) * 3 + BSD,
    "services, too many to remember": b"".join(
        b"<13>1 - h service-number-%d - - - m\n" % i for i in range(300)
    ),
}


@pytest.mark.parametrize("block", TAKEN.values(), ids=TAKEN.keys())
def test_the_syslog_kernel_takes_what_is_common(block: bytes) -> None:
    assert is_taken(block)
    assert_same_both_ways("syslog", block)
    assert_same_both_ways("syslog", block * 20)  # in columns, where that can be


LEFT = {
    "neither": b"text\n",
    "no PRI": BSD.removeprefix(b"<34>"),
    "no time": b"<13>tag: text\n",
    "a PRI that is none": b"<192>1 - - - - - - m\n",
    "a PRI with a zero": b"<013>1 - - - - - - m\n",
    "another version": USUAL.replace(b">1 ", b">2 "),
    "a NUL": USUAL.replace(b"user", b"\0ser"),
    "not UTF-8": USUAL.replace(b"user", b"\xfcser"),
    "not UTF-8 by its count": b"21 <13>1 - - - - - - \xc3\xa4",
    "a count cut off": b"99 <13>1 - - - - - - m\n",
    "a count that cuts the header": b"9 " + USUAL,
    "no such day": at(b"2026-02-30T12:00:00Z"),
    "no such day, with an offset": at(b"2026-02-30T12:00:00+01:00"),
    "no such day of RFC 3164": behind(b"h t: m", b"Nov 31 12:00:00"),
    "a leap second": at(b"2026-12-31T23:59:60Z"),
    "before 1970": at(b"1970-01-01T00:30:00+01:00"),
    "very many digits": at(b"2026-11-20T12:00:00.1234567890Z"),
    "a space for the T": at(b"2026-11-20 12:00:00Z"),
    "a long token": b"<13>1 - %b - - - - t\n" % (b"h" * 256),
    "two spaces": USUAL.replace(b" api", b"  api"),
    "no structured data": b"<13>1 - - - - - m\n",
    "a parameter twice": b'<13>1 - - - - - [a b="1" b="2"] m\n',
    "a parameter of two spellings": b'<13>1 - - - - - [a.b c="1"][a b.c="2"] m\n',
    "an element twice": b"<13>1 - - - - - [a][a] m\n",
    "a bracket in a value": b'<13>1 - - - - - [a b="]"] m\n',
    "an open element": b'<13>1 - - - - - [a b="c" m\n',
    "an open value": b'<13>1 - - - - - [a b="c\\"] m\n',
    "an empty name": b'<13>1 - - - - - [a ="c"] m\n',
    "a name that is not ASCII": '<13>1 - - - - - [ä b="c"] m\n'.encode(),
    "many parameters": b"<13>1 - - - - - [a %b] t\n" % b" ".join(b'p%d="1"' % i for i in range(33)),
    "a zone": behind(b"EST: tag: m") + behind(b"EST:x t: m") + behind(b"EST 2026 h t: m"),
    "a year": behind(b"h t: m", b"Nov 20 2026 12:00:00"),
    "a fraction of RFC 3164": behind(b"h t: m", b"Nov 20 12:00:00.123"),
    "Cisco": behind(b"%SYS-5-CONFIG_I: m") + behind(b"h %SYS-5-CONFIG_I: m") + behind(b": %ASA-6-302013: m"),
    "a tag of two words": behind(b"h a:b: m"),
    "a tag without a colon": behind(b"h su[1] m"),
    "a tag that is not ASCII": behind("h tür: m".encode()),
    "a host and two spaces": behind(b"h  t: m"),
    "a host alone": behind(b"h") + behind(b"h "),
    "a host that a dot begins": behind(b".h t: m"),
    "very many hours": b"".join(at(b"2026-11-20T%02d:00:00Z" % hour) for hour in range(24)),
}


@pytest.mark.parametrize("block", LEFT.values(), ids=LEFT.keys())
def test_the_syslog_kernel_leaves_what_is_not(block: bytes) -> None:
    for blocks in (block, USUAL * 3 + block, USUAL * 3 + block * 10 + USUAL):
        assert not is_taken(blocks)
        assert_same_both_ways("syslog", blocks)


ALONE = [
    "Cisco",
    "a tag that is not ASCII",
    "a leap second",
    "another version",
    "not UTF-8",
    "a parameter twice",
]


@pytest.mark.parametrize("name", ALONE)
def test_few_messages_of_another_kind_are_read_alone(name: str) -> None:
    for block in (LEFT[name], (USUAL * 20 + LEFT[name]) * 5 + counted(LEFT[name])):
        assert syslog._take(block, CONTEXT) is not None
        assert_same_both_ways("syslog", block)


def test_many_are_not() -> None:
    assert syslog._take(USUAL * 4 + LEFT["a leap second"] * 30, CONTEXT) is None
    assert syslog._take(USUAL + LEFT["a PRI that is none"], CONTEXT) is None


def test_fields_that_the_enrichment_has_as_well() -> None:
    for name in ("hostname", "facility", "procid", "msgid", "sd.a.b", "level2"):
        context = Enrichment({name: b'"enriched"', "source_ip": b'"::1"'}).at(
            RECEIVED_AT, 'un"kno\\wn', ALL_COLUMNS
        )
        assert_same_both_ways("syslog", TAKEN["each origin"] + TAKEN["structured data alone"] + BSD, context)


def test_local_times_are_in_the_zone_of_the_settings() -> None:
    fields = {name: json.dumps(value).encode() for name, value in ADDED.items()}
    context = Enrichment(fields, ZoneInfo("Europe/Berlin")).at(RECEIVED_AT, "ünknown", ALL_COLUMNS)
    block = TAKEN["offsets"] + BSD + at(b"2026-10-25T02:30:00") + at(b"1971-07-01T00:00:00.25")
    assert_same_both_ways("syslog", block, context)


def test_messages_of_other_suites() -> None:
    path = CORPORA / "syslog" / "messages.jsonl"
    if not path.is_file():
        pytest.skip(f"no {path}")
    for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        message = base64.b64decode(row["raw_b64"])
        if message.strip(b"\r\n\0 "):
            assert_same_both_ways("syslog", message)
            assert_same_both_ways("syslog", counted(message) + b"\n" + USUAL)


_token = st.just(b"-") | st.text(
    st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=9
).map(str.encode)
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(str.encode)
_value = _text.map(lambda text: text.replace(b"\\", rb"\\").replace(b'"', rb"\"").replace(b"]", rb"\]"))
_name = st.sampled_from([b"a", b"a.b", b"b", b"b.c", b"ex@1", b"[", "ä".encode()])
_element = st.tuples(
    _name, st.lists(st.tuples(_name, _value).map(lambda pair: b' %b="%b"' % pair), max_size=3)
)
_data = st.lists(_element.map(lambda parts: b"[%b%b]" % (parts[0], b"".join(parts[1]))), max_size=3).map(
    b"".join
)
_iso = st.builds(
    lambda moment, digits, offset: (
        moment.strftime("%Y-%m-%dT%H:%M:%S.%f000")[: 19 + digits] + offset
    ).encode(),
    st.datetimes(),
    st.sampled_from([0, 2, 4, 7, 8, 10]),
    st.sampled_from(["Z", "Z", "", "+01:00", "-08:30", "+24:00"]),
)
_bsd = st.datetimes().map(lambda moment: moment.strftime("%b %e %H:%M:%S").encode())
_pri = st.integers(0, 192)
_5424 = st.builds(
    lambda *parts: b"<%d>1 %b %b %b %b %b %b %b" % parts,
    *(
        _pri,
        _iso | st.just(b"-"),
        _token,
        _token,
        _token,
        _token,
        _data.map(lambda data: data or b"-"),
        _text,
    ),
)
_3164 = st.builds(
    lambda *parts: b"<%d>%b %b%b%b%b%b" % parts,
    _pri,
    _iso | _bsd,
    st.sampled_from([b"h ", b"web-1.example ", b"MAIL ", b"EST ", b"fe80::1 ", b"", b"a: ", b"%x "]) | _token,
    st.sampled_from([b"", b"tag", b"CRON", b"a:b", b"2026", b"%A-5-B", b"h t"]) | _token,
    st.sampled_from([b"", b"[1]", b"[", b"]"]),
    st.sampled_from([b": ", b":", b" ", b""]),
    _text,
)
_message = (_5424 | _3164).map(lambda message: message.replace(b"\n", b" ").replace(b"\0", b" "))
_framed = (_5424 | _3164).map(lambda message: counted(message) + b"\n") | _message.map(
    lambda message: message + b"\n"
)


@given(st.lists(_framed, min_size=1, max_size=6), st.booleans())
def test_both_ways_make_the_same_of_syslog(messages: list[bytes], ended: bool) -> None:
    assert_same_both_ways("syslog", b"".join(messages)[: None if ended else -1])


@given(st.lists(_framed, min_size=1, max_size=3), st.integers(0, 2**32))
def test_both_ways_make_the_same_of_damaged_syslog(messages: list[bytes], seed: int) -> None:
    rng = random.Random(seed)
    block = bytearray(b"".join(messages))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(block))
        what = rng.choice(
            (
                b"",
                b"\0",
                b'"',
                b"\\",
                b"[",
                b"]",
                b"<",
                b">",
                b" ",
                b":",
                b"\n",
                b"\r",
                b"\xff",
                b"9",
                b"-",
                b"A",
            )
        )
        block[at : at + rng.randint(0, 2)] = what
    if block:
        assert_same_both_ways("syslog", bytes(block))


_piece = st.sampled_from(
    [b"1", b"12 ", b"9", b" ", b"0", b"\n", b"\0", b"\r", b"<13>x", b"999999999 ", b"3 a\nb"]
)
_sent = st.lists(
    _piece | st.binary(max_size=6) | st.binary(min_size=1, max_size=30).map(counted), max_size=20
)


@given(_sent.map(b"".join), st.integers(0, 300), st.integers(1, 40))
def test_both_ways_frame_the_same(data: bytes, cut: int, limit_bytes: int) -> None:
    found = []
    for is_compiled in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernel, "COMPILED", is_compiled)
            framer = Frames(limit_bytes)
            blocks = [framer.feed(data[:cut]), framer.feed(data[cut:])]
            found.append((blocks, framer.pending_bytes, framer.oversize, framer.finish()))
    assert found[0] == found[1]


def test_framing_from_a_position_that_is_not_there() -> None:
    for position in (-1, 4, 1 << 40):
        with pytest.raises(IndexError):
            syslog_frames.counted_lines(b"1 x", position, 10)
