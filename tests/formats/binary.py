"""The binary formats in tests: cases as text, run through framer and encoder whole, byte by byte and cut at random.

A case file has a line for each thing that is sent, and `#` before a remark:

    bytes 05 22 03 "abc"            hexadecimal, and text in quotes
    frame 22 03 "abc"               the same behind its length (Protobuf)
    schema {"type": …}              an Avro header; `codec deflate` before it names one
    block 2 06 "abc"                an Avro block of two records

`<case>.out` has one JSON line for each record (without what enrichment adds), then for each reject `{"reason": …,
"data": …}`, where data that is not UTF-8 has surrogates; and `{"error": reason}` if the boundary is lost.
"""

import json
import random
import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

from formats import Format
from formats.errors import FrameError
from tests.formats.harness import CONTEXT, DATA, Record, check, own, parse

SYNC = b"0123456789abcdef"
LIMIT_BYTES = 300_000
_TOKEN = re.compile(r'"[^"]*"|\S+')
_COMPRESS = {
    "null": bytes,
    "deflate": lambda data: zlib.compress(data)[2:-4],
    "zstandard": zstandard.compress,
}


class Outcome(NamedTuple):
    records: list[Record]
    rejects: list[tuple[str, bytes]]
    oversize: list[bytes]
    error: str  # the reason of a FrameError


def run(format: Format, data: bytes) -> Outcome:
    """Encode whole, byte by byte and cut at random; all must agree."""
    whole = run_cut(format, data, [])
    rng = random.Random(len(data))
    cuts = [sorted(rng.sample(range(len(data) + 1), k=min(4, len(data)))) for _ in range(5)]
    for positions in [*cuts, list(range(1, len(data)))] if len(data) < 20_000 else cuts:
        assert run_cut(format, data, positions) == whole
    return whole


def run_cut(format: Format, data: bytes, cuts: list[int], limit_bytes: int = LIMIT_BYTES) -> Outcome:
    """Feed `data` in pieces through the framer, as a connection does."""
    framer = format.framer(limit_bytes)
    records: list[Record] = []
    rejects: list[tuple[str, bytes]] = []
    error = ""

    def encode(block: bytes) -> None:
        for encoded in format.encode(block, CONTEXT):
            check(encoded)
            records.extend(map(parse, b"".join(encoded.chunks).splitlines()))
            rejects.extend((reject.reason, reject.data) for reject in encoded.rejects)

    try:
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            if block := framer.feed(data[start:end]):
                encode(block)
        framer.feed(b"")  # says what it kept to itself for the sake of the last block
    except FrameError as caught:
        error = caught.reason
    rest = framer.finish()
    if rest and not error:
        encode(rest)
    assert framer.pending_bytes == 0
    return Outcome(records, rejects, list(framer.oversize), error)


def run_case(format: Format, case: Path) -> None:
    """Run a case file and compare."""
    outcome = run(format, read_case(case))
    assert all(record.pop("format") == format.name for record in outcome.records)
    lines = [json.dumps(own(record)) for record in outcome.records]
    lines += [
        json.dumps({"reason": reason, "data": data.decode("utf-8", "surrogateescape")})
        for reason, data in outcome.rejects
    ]
    lines += [json.dumps({"oversize": data.decode("utf-8", "surrogateescape")}) for data in outcome.oversize]
    lines += [json.dumps({"error": outcome.error})] if outcome.error else []
    expected = case.with_suffix(".out").read_text().splitlines()
    assert [parse(line.encode()) for line in lines] == [parse(line.encode()) for line in expected]


def cases(format: str, kind: str) -> list[Path]:
    """The case files of tests/data/<format>/<kind>."""
    found = sorted((DATA / format / kind).glob("*.in"))
    assert found, f"no cases in {DATA / format / kind}"
    return found


def read_case(case: Path) -> bytes:
    """The bytes a case stands for."""
    sent = b""
    codec = "null"
    for line in case.read_text().splitlines():
        word, _, rest = line.partition(" ")
        match word:
            case "bytes":
                sent += _tokens(rest)
            case "frame":
                sent += frame(_tokens(rest))
            case "codec":
                codec = rest
            case "schema":
                sent += header(json.loads(rest), codec)
            case "block":
                count, _, tokens = rest.partition(" ")
                sent += block(int(count), _tokens(tokens), codec)
            case _:
                assert not line.strip() or line.startswith("#"), line
    return sent


def varint(value: int) -> bytes:
    """An unsigned varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def zigzag(value: int) -> bytes:
    """A signed varint as Avro has it."""
    return varint(value * 2 if value >= 0 else -value * 2 - 1)


def frame(message: bytes) -> bytes:
    """A Protobuf message behind its length."""
    return varint(len(message)) + message


def header(schema: Any, codec: str = "null") -> bytes:
    """The header of an Avro container file."""
    entries = {"avro.schema": json.dumps(schema), "avro.codec": codec}
    texts = [text.encode() for entry in entries.items() for text in entry]
    return b"Obj\x01" + zigzag(len(entries)) + b"".join(zigzag(len(it)) + it for it in texts) + b"\0" + SYNC


def block(count: int, data: bytes, codec: str = "null") -> bytes:
    """A block of an Avro container file."""
    data = _COMPRESS[codec](data)
    return zigzag(count) + zigzag(len(data)) + data + SYNC


def _tokens(text: str) -> bytes:
    return b"".join(
        token[1:-1].encode() if token[0] == '"' else bytes.fromhex(token) for token in _TOKEN.findall(text)
    )
