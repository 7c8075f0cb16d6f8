"""CPU cost of the formats alone: nanoseconds per record for blocks as a worker gets them.

    python -m benchmarks.micro_formats [--records N] [--seconds S] [--json]

Each case encodes a few blocks in turn, more than the caches of timestamps hold, and reports the best and the
median block by process CPU time. No network, compression or disk: those make up the rest of a daemon's cost.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from itertools import count, cycle

from formats import FORMATS
from formats.framing import Lines
from formats.record import Context, Enrichment

_SERVICES = ("api", "auth", "billing", "cart", "search", "payments", "gateway", "mailer")
_LEVELS = ("INFO",) * 11 + ("DEBUG",) * 6 + ("WARN",) * 2 + ("ERROR",)
_TEXT = "request completed for user session from cache after retry of order payment upstream in ms"
_BLOCKS = 8
_PER_MS = 250  # records of one connection at 250,000 a second


def _context() -> Context:
    fields = {
        "hostname": b'"vm-1"',
        "environment": b'"production"',
        "app_version": b'"1.2.3"',
        "source_ip": b'"127.0.0.1"',
    }
    return Enrichment(fields).at("2026-11-20T12:00:00.123456Z", "unknown")


def _text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(_TEXT.split(), k=words))


def _json_record(rng: random.Random, index: int) -> str:
    timestamp = f"2026-11-20T12:00:00.{index * 4 % 1_000_000:06d}Z"
    return (
        f'{{"timestamp":"{timestamp}","level":"{rng.choice(_LEVELS)}","service":"{rng.choice(_SERVICES)}",'
        f'"message":"{_text(rng, 4)}","user":{rng.randrange(10**5)},"seq":{index:09d}}}'
    ).replace('"seq":0', '"seq":1')


def _synonyms(rng: random.Random, index: int) -> str:
    record = json.loads(_json_record(rng, index))
    return json.dumps({"ts": record.pop("timestamp"), "msg": record.pop("message"), **record})


def _raw_line(rng: random.Random, index: int) -> str:
    millisecond = index // _PER_MS
    return (
        f"2026-11-20 12:00:{millisecond // 1000 % 60:02d},{millisecond % 1000:03d} "
        f"{rng.choice(_LEVELS)} {rng.choice(_SERVICES)}: {_text(rng, 12)}"
    )


def _raw_microseconds(rng: random.Random, index: int) -> str:
    return _raw_line(rng, index).replace(" ", "T", 1).replace(",", f".{index * 4 % 1000:03d}", 1)


def _plain(rng: random.Random, index: int) -> str:
    return f"{index} {_text(rng, 16)}"


def blocks_of_json(records: int) -> list[bytes]:
    """Some blocks of JSON in the stored form."""
    rng = random.Random(1)
    return [
        "".join(_json_record(rng, number * records + index) + "\n" for index in range(records)).encode()
        for number in range(_BLOCKS)
    ]


def _cases(records: int) -> dict[str, tuple[str, list[bytes]]]:
    """Format and blocks of each case."""
    number = records * _BLOCKS

    def render(make: Callable[[random.Random, int], str]) -> list[str]:
        rng = random.Random(1)
        return [make(rng, index) for index in range(number)]

    standard, raw = render(_json_record), render(_raw_line)
    one_bad = standard.copy()
    for start in range(0, number, records):
        one_bad[start + records // 2] = '{"broken":'
    carrying = [line.replace("{", '{"hostname":"other",', 1) for line in standard]
    mixed = [pair[index % 20 == 0] for index, pair in enumerate(zip(standard, raw, strict=True))]
    lines = {
        "json": ("json", standard),
        "json, one bad record": ("json", one_bad),
        "json, CRLF": ("json", [line + "\r" for line in standard]),
        "json, own hostname": ("json", carrying),
        "json, synonyms": ("json", render(_synonyms)),
        "raw": ("raw", raw),
        "raw, ISO microseconds": ("raw", render(_raw_microseconds)),
        "raw, dashes": ("raw", [line.replace(": ", " - ").replace(" INFO", " - INFO -") for line in raw]),
        "raw, plain text": ("raw", render(_plain)),
        "auto, json": ("auto", standard),
        "auto, raw": ("auto", raw),
        "auto, every 20th raw": ("auto", mixed),
    }
    return {
        name: (
            format,
            [
                ("\n".join(case[start : start + records]) + "\n").encode()
                for start in range(0, number, records)
            ],
        )
        for name, (format, case) in lines.items()
    }


def _measure(run: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Best and median CPU seconds of a round."""
    rounds: list[float] = []
    until = time.monotonic() + seconds
    for number in count():
        start = time.process_time_ns()
        run()
        rounds.append((time.process_time_ns() - start) / 1e9)
        if time.monotonic() > until and number >= 5:
            break
    return min(rounds), statistics.median(rounds)


def _encoding(format: str, blocks: list[bytes], context: Context) -> Callable[[], object]:
    encode, following = FORMATS[format].encode, cycle(blocks)
    return lambda: encode(next(following), context)


def _framing(block: bytes) -> Callable[[], object]:
    """Feed a block in two reads, neither of which ends with a line."""
    framer, cut = Lines(1_000_000), len(block) // 2 + 11
    first, second = block[cut:], block[:cut]
    framer.feed(second)
    return lambda: (framer.feed(first), framer.feed(second))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=1600, help="per block; 1,600 are about 256 KiB")
    parser.add_argument("--seconds", type=float, default=1.0, help="per case")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    options = parser.parse_args()
    context = _context()
    cases: dict[str, tuple[int, Callable[[], object]]] = {}
    for name, (format, blocks) in _cases(options.records).items():
        size = len(blocks[0])
        if not cases:
            cases["framing, cut within lines"] = (size, _framing(blocks[0]))
        cases[name] = (size, _encoding(format, blocks, context))
    table = {}
    for name, (size, run) in cases.items():
        best, median = (1e9 * seconds / options.records for seconds in _measure(run, options.seconds))
        table[name] = {
            "record_bytes": size / options.records,
            "best_ns": round(best, 1),
            "median_ns": round(median, 1),
        }
        if not options.json:
            print(f"{name:28} {size / options.records:6.0f} bytes {best:8.0f} ns best {median:8.0f} median")
    if options.json:
        print(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
