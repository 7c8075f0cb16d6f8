"""What a fuzzer begins with: cases of tests/data, other projects' vectors if they are there, and words of a format."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

from tests.formats import binary
from tests.formats.harness import CORPORA, DATA

MAX_BYTES = 1024  # of a seed: longer ones are cut, as most of what can go wrong does within a few records
_OF_CASES = ("protobuf", "avro")  # whose case files are a description (tests.formats.binary)
_VECTORS = {
    "json": ("json/JSONTestSuite/test_parsing/*.json", "json/ndjson_cases.jsonl"),
    "raw": ("logs/s4/*", "logs/naughty/blns.txt"),
    "syslog": ("syslog/messages.jsonl", "syslog/framing.jsonl"),
    "journald": ("journald/cases.jsonl", "journald/real/*"),
    "protobuf": ("protobuf/protobuf_wire.jsonl",),
    "avro": ("avro/goavro/*.avro",),
}
_TEXTS = ("json", "raw", "syslog", "journald")

_JSON = (
    '{"timestamp":"2026-11-20T12:00:00.000000Z","level":"INFO","service":"api","message":"m"}', '"level":',
    '"time":', '"ts":1763640000', '"severity":"warn"', '"msg":', '"hostname":', '"received_at":', '"format":',
    '"date":', "null", "true", "1e999", "-0", '\\ud800', "\\u0000", "}\n{", "}\r\n{", "[{", "},{", "\r", "{}",
)  # fmt: skip
_RAW = (
    "2026-11-20 12:00:00,123 ERROR api[42]: ", "2026-11-20T12:00:00Z ", "1763640000.123 ", "[ERROR] ", "WARN: ",
    " - INFO - ", ": ", "[42]", "\r\n", "\ufeff", "\u2028", "\x85",
)  # fmt: skip
_SYSLOG = (
    "<34>1 2026-11-20T12:00:00.000000Z host app 42 ID47 ", "<165>Nov 20 12:00:00 host app[42]: ", "<191>", "<192>",
    '[id@1 name="value"]', '\\"', "\\]", "\ufeff", " - ", "%SYS-5-CONFIG_I: ", "*Nov 20 12:00:00.123 CET: ", "Feb 29 ",
    "11 <34>a: text", "2 ", "999999999 ", "\n", "\0",
)  # fmt: skip
_JOURNALD = (
    "__CURSOR=", "__REALTIME_TIMESTAMP=1763640000000001\n", "MESSAGE=", "MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n", "\n\n",
    "PRIORITY=3\n", "SYSLOG_IDENTIFIER=", "_SYSTEMD_UNIT=", "_HOSTNAME=", '{"__REALTIME_TIMESTAMP":"1",',
    '"MESSAGE":[104,105]', '"MESSAGE":null', '[["a"],[1,2]]',
)  # fmt: skip
_PROTOBUF = (
    "\x0a\x1b2026-11-20T12:00:00.000000Z", "\x12\x04INFO", "\x1a\x03api", "\x22\x01m",
    "\x2a\x06\x0a\x01k\x12\x01v", "\x38\x01", "\x80\x01", "\x7f",
)  # fmt: skip
_AVRO = (
    "Obj\x01", "\x16avro.schema", "\x14avro.codec", "\x0edeflate", '{"type":"record","name":"R","fields":[',
    '{"name":"message","type":"string"}', '"null"', '"map","values":', '"array","items":', '"logicalType":',
    '"timestamp-micros"', binary.SYNC.decode(),
)  # fmt: skip
_WORDS = {
    "json": _JSON, "raw": _RAW, "syslog": _SYSLOG, "journald": _JOURNALD, "protobuf": _PROTOBUF, "avro": _AVRO,
    "auto": _JSON + _RAW + _SYSLOG + _JOURNALD,
}  # fmt: skip


def words(format: str) -> list[bytes]:
    """What is worth being put somewhere into an input."""
    encoding = "latin-1" if format in _OF_CASES else "utf-8"
    return [word.encode(encoding) for word in _WORDS[format]]


def dictionary(format: str) -> str:
    """The same as libFuzzer reads it."""
    escaped = ("".join(f"\\x{octet:02x}" for octet in word) for word in words(format))
    return "".join(f'"{word}"\n' for word in escaped)


def seeds(format: str) -> list[bytes]:
    """Streams of a format, valid and not, at most `MAX_BYTES` each; the same ones in the same order every time."""
    if format == "auto":
        lines = [path.read_bytes() for path in sorted((DATA / "detect").glob("*.txt"))]
        return [seed[:MAX_BYTES] for seed in lines] + [seed for each in _TEXTS for seed in seeds(each)]
    read = binary.read_case if format in _OF_CASES else Path.read_bytes
    found = [read(path) for path in sorted((DATA / format).glob("*/*.in"))]
    for pattern in _VECTORS[format]:
        for path in sorted(CORPORA.glob(pattern)):
            found += _vectors(path)
    return [seed[:MAX_BYTES] for seed in found]


def _vectors(path: Path) -> Iterator[bytes]:
    if path.suffix != ".jsonl":
        yield path.read_bytes()
        return
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if "raw_b64" in row:
            yield base64.b64decode(row["raw_b64"])
