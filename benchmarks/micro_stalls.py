"""How long a read can hold up a worker: milliseconds of CPU for 256 KiB of what costs a format most.

    python -m benchmarks.micro_stalls [--format NAME] [--least-ms N] [--json]

A worker's event loop does nothing else while it encodes what one read brought, at most 256 KiB. The blocks are tiny
records, records that fail late, and records of many kinds in turn; tests/formats/test_stalls.py counts the work that
they make, without a clock.
"""

import argparse
import json
import struct
import time
from collections.abc import Callable, Iterator
from itertools import count

from formats import FORMATS, Format
from formats.errors import FrameError
from formats.record import Context, Enrichment

READ_BYTES = 256 << 10
LIMIT_BYTES = 1 << 20
CONTEXT: Context = Enrichment({"hostname": b'"vm-1"', "source_ip": b'"127.0.0.1"'}).at(
    "2026-11-20T12:00:00.123456Z", "unknown"
)

_RECORD = b'{"timestamp":"2026-11-20T12:00:00.000000Z","level":"INFO","service":"api","message":"m"}\n'
_5424 = b"<34>1 2026-11-20T12:00:00Z h app 1 - - m\n"
_3164 = b"<34>Nov 20 12:00:00 h app: m\n"
_ENTRY = b'{"__REALTIME_TIMESTAMP":"1","MESSAGE":"m"}\n'
_BINARY = b"A\n" + struct.pack("<Q", 1) + b"x\n"

_REPEATED = {
    "empty lines": b"\n",
    "text": b"x\n",
    "digits": b"9\n",
    "quotes": b'"\n',
    "NULs": b"\0",
    "not UTF-8": b"\xff\n",
    "not UTF-8, text": b"\xff\nx\n",
    "objects": b"{}\n",
    "open objects": b"{\n",
    "odd objects": b'{"\xc3\xa9":\n}\n',
    "objects, text": b"{}\nx\n",
    "objects, open objects": b"{}\n{\n",
    "objects, not UTF-8": b"{}\n\xff\n",
    "open arrays": b"[\n",
    "arrays": b"[{}]\n",
    "bad time": b'{"ts":"x"}\n',
    "records, text": _RECORD + b"x\n",
    "a bad record in 33": _RECORD * 32 + b"{\n",
    "PRI": b"<1>\n",
    "PRI, text": b"<1>x\nx\n",
    "open PRI": b"<\n",
    "counts": b"1 x",
    "counts, text": b"1 x\nx\n",
    "syslog, text": _5424 + b"x\n",
    "syslog of both RFCs": _5424 + _3164,
    "many kinds": _5424 + b"x\n{}\n" + _ENTRY + _3164 + b"\xff\n",
    "entries, text": _ENTRY + b"x\n",
    "entries of one field": b"A=\n\n",
    "fields without a name": b"=\n\n",
    "names": b"A\n",
    "binary fields": _BINARY + b"\n",
    "binary fields, text": _BINARY + b"\nA=1\n\n",
    "messages cut short": b"\x01\xff",
    "messages of nothing": b"\x02\x22\x00",
    "messages, and cut short": b"\x02\x22\x00\x01\xff",
}
_COUNTED: dict[str, Callable[[int], str]] = {
    "other heads": lambda index: f"{index}: m\n",
    "other times": lambda index: f"2026-11-20 12:00:00.{index % 10**6:06d} ERROR s{index}: m\n",
    "other keys": lambda index: f'{{"k{index}":1}}\n',
    "other services": lambda index: f'{{"service":"s{index}"}}\n',
    "other origins": lambda index: f"<{index % 192}>Nov 20 12:00:00 h{index} a{index}[1]: m\n",
    "other elements": lambda index: f'<34>1 - - - - - [a{index} b{index}="c"] m\n',
    "other fields": lambda index: f"A{index}=1\n\n",
}


def blocks(size: int) -> dict[str, bytes]:
    """Blocks of about `size` bytes, those of one record among them."""
    found = {name: unit * (size // len(unit)) for name, unit in _REPEATED.items()}
    found |= {name: b"".join(_lines(unit, size)) for name, unit in _COUNTED.items()}
    found |= {
        "a line": b"x" * size + b"\n",
        "a line of blanks": b" " * size + b"x\n",
        "a line of digits": b"1" * size + b"\n",
        "an open array": b"[" * size + b"\n",
        "an array of objects": b"[" + b"{}," * (size // 3) + b"{}]\n",
        "an array of numbers": b"[" + b"1," * (size // 2) + b"1]\n",
        "an object of keys": b"{" + b"".join(_lines(lambda index: f'"k{index}":1,', size)) + b'"k":1}\n',
        "an object of one key": b"{" + b'"ts":1,' * (size // 7) + b'"ts":1}\n',
        "an element never closed": b"<34>1 - - - - - [a " + b'b="c" ' * (size // 6) + b"\n",
        "elements": b"<34>1 - - - - - " + b"[a]" * (size // 3) + b"\n",
        "escapes": b'<34>1 - - - - - [a b="' + b'\\"' * (size // 2) + b"\n",
        "an entry of fields": b"".join(_lines(lambda index: f"A{index}=1\n", size)) + b"\n",
        "an entry of one field": b"A=1\n" * (size // 4) + b"\n",
    }
    return found


def encode(format: Format, block: bytes) -> int:
    """What a read makes a worker do. Returns how many records and rejects came of it."""
    framer = format.framer(LIMIT_BYTES)
    known = 0
    data = block
    try:
        while whole := framer.feed(data):
            known += sum(made.records + len(made.rejects) for made in format.encode(whole, CONTEXT))
            data = b""
    except FrameError:
        pass  # what stands before the lost boundary is what costs
    return known


def _lines(line: Callable[[int], str], size: int) -> Iterator[bytes]:
    for index in count():
        if size <= 0:
            return
        made = line(index).encode()
        size -= len(made)
        yield made


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--format", action="append", choices=FORMATS, help="only this one")
    parser.add_argument("--least-ms", type=float, default=100, help="show what takes as long")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    options = parser.parse_args()
    rows = []
    for name in options.format or FORMATS:
        for block_name, block in blocks(READ_BYTES).items():
            best_ms, known = float("inf"), 0
            for _ in range(3):
                start = time.process_time()
                known = encode(FORMATS[name], block)
                best_ms = min(best_ms, 1000 * (time.process_time() - start))
            rows.append({"format": name, "block": block_name, "records": known, "best_ms": round(best_ms, 1)})
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for row in sorted(rows, key=lambda row: -row["best_ms"]):
        if row["best_ms"] >= options.least_ms:
            print("{format:9} {block:26} {records:8} records {best_ms:8.1f} ms".format(**row))


if __name__ == "__main__":
    main()
