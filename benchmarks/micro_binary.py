"""CPU cost of Protobuf and Avro alone: nanoseconds per record, framing and encoding each.

    python -m benchmarks.micro_binary [--records N] [--seconds S]

Records are those of loadgen: four core fields, run and sequence. Attributes, other schemas and codecs beside them show
what leaving the fast way costs. As in benchmarks.micro_formats no network, no compression of what is stored, no disk.
"""

import argparse
import io
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import fastavro

from benchmarks.corpus import context
from formats import FORMATS
from formats.schemas.log_entry_pb2 import LogEntry

_WORDS = "request completed for user session from cache after retry of order payment upstream in ms".split()  # noqa: SIM905
_LEVELS = ("INFO",) * 11 + ("DEBUG",) * 6 + ("WARN",) * 2 + ("ERROR",)
_LIMIT_BYTES = 1 << 20
_AVRO_BLOCK_BYTES = 64_000
_ENUM = {"type": "enum", "name": "Level", "symbols": ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]}
_MICROS = {"type": "long", "logicalType": "timestamp-micros"}


def _records(number: int) -> list[dict[str, Any]]:
    rng = random.Random(1)
    return [
        {
            "timestamp": f"2026-11-20T12:00:00.{index * 4 % 1_000_000:06d}Z",
            "level": rng.choice(_LEVELS),
            "service": rng.choice(("api", "auth", "billing", "cart")),
            "message": " ".join(rng.choices(_WORDS, k=6)),
            "run": "ab12cd34",
            "seq": 1_000_000_000 + index,
        }
        for index in range(number)
    ]


def _protobuf(records: list[dict[str, Any]], **more: Any) -> bytes:
    out = bytearray()
    for record in records:
        message = LogEntry(**record, **more).SerializeToString()
        size = len(message)
        while size > 0x7F:
            out.append(size & 0x7F | 0x80)
            size >>= 7
        out.append(size)
        out += message
    return bytes(out)


def _avro(records: list[dict[str, Any]], codec: str = "null", **types: Any) -> bytes:
    fields = [
        {"name": name, "type": types.get(name, "long" if name == "seq" else "string")} for name in records[0]
    ]
    file = io.BytesIO()
    schema = {"type": "record", "name": "Log", "fields": fields}
    fastavro.writer(file, schema, records, codec=codec, sync_interval=_AVRO_BLOCK_BYTES)
    return file.getvalue()


def _cases(number: int) -> Iterator[tuple[str, str, bytes]]:
    records = _records(number)
    yield "protobuf", "protobuf", _protobuf(records)
    yield "protobuf, 3 attributes", "protobuf", _protobuf(records, attributes=dict.fromkeys("abc", "value"))
    yield "protobuf, levels missing", "protobuf", _protobuf([record | {"level": ""} for record in records])
    every_other = [record | {"level": ""} if record["seq"] % 2 else record for record in records]
    yield "protobuf, some missing", "protobuf", _protobuf(every_other)
    yield "protobuf, one bad", "protobuf", _protobuf(records[1:]) + b"\x01\xff"
    yield "avro", "avro", _avro(records)
    yield "avro, deflate", "avro", _avro(records, "deflate")
    moments = [record | {"timestamp": 1_795_176_000_000_000 + record["seq"] * 4} for record in records]
    yield "avro, timestamp-micros, enum", "avro", _avro(moments, timestamp=_MICROS, level=_ENUM)
    named = [{"ts": record["timestamp"], **record} for record in records]
    for record in named:
        del record["timestamp"]
    yield "avro, other names", "avro", _avro(named)
    yield (
        "json, the same records",
        "json",
        b"".join(json.dumps(it, separators=(",", ":")).encode() + b"\n" for it in records),
    )


def _measure(run: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Best and median CPU seconds of a round."""
    rounds: list[float] = []
    until = time.monotonic() + seconds
    while len(rounds) < 5 or time.monotonic() < until:
        start = time.process_time_ns()
        run()
        rounds.append((time.process_time_ns() - start) / 1e9)
    return min(rounds), statistics.median(rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=1600, help="per block")
    parser.add_argument("--seconds", type=float, default=1.0, help="per case")
    options = parser.parse_args()
    for name, format_, data in _cases(options.records):
        format = FORMATS[format_]
        framing = _measure(
            lambda data=data, format=format: format.framer(_LIMIT_BYTES).feed(data), options.seconds / 4
        )
        block = format.framer(_LIMIT_BYTES).feed(data)
        encoding = _measure(partial(format.encode, block, context()), options.seconds)
        best, median = (1e9 * (a + b) / options.records for a, b in zip(framing, encoding, strict=True))
        framing_ns = 1e9 * framing[0] / options.records
        print(
            f"{name:30} {len(data) / options.records:4.0f} bytes {best:6.0f} ns best"
            f" {median:6.0f} median, {framing_ns:4.0f} of it framing"
        )


if __name__ == "__main__":
    main()
