"""CPU cost of journal entries alone: nanoseconds per entry of 12 fields, for blocks as a worker gets them.

    python -m benchmarks.micro_journald [--entries N] [--seconds S]

Each case encodes a few blocks in turn and reports the best and the median block by process CPU time; framing is fed
blocks in two reads that end within an entry. JSON has the fields of each entry in another order, as journalctl does.
"""

import argparse
import json
import random
from collections.abc import Callable
from itertools import cycle

from benchmarks.micro_formats import _context, _measure
from formats import journald
from formats.journald_framing import Journal

_BLOCKS = 8
_BINARY = b"first line\nsecond line"


def _entry(rng: random.Random, index: int) -> dict[str, str]:
    return {
        "__CURSOR": f"s=90a351b904294e209b9d0794de354860;i={index:x};b=5f1352760aa4490e946c08e5c1fe1c12;"
        f"m=67fc{index:x};t=5f9019c1412b0;x={rng.randrange(16**16):x}",
        "__REALTIME_TIMESTAMP": str(1763640000000000 + 37 * index),
        "__MONOTONIC_TIMESTAMP": str(6814769 + 37 * index),
        "_BOOT_ID": "5f1352760aa4490e946c08e5c1fe1c12",
        "_TRANSPORT": "syslog",
        "_MACHINE_ID": "b52998310a374c8b9c676f49cc62d044",
        "_HOSTNAME": "web-1",
        "PRIORITY": rng.choice("666647"),
        "SYSLOG_IDENTIFIER": rng.choice(("sshd", "cron", "api")),
        "_PID": str(rng.randrange(30000)),
        "_SYSTEMD_UNIT": "sshd.service",
        "MESSAGE": f"request completed for user session {index} from cache after retry",
    }


def _export(entry: dict[str, str], is_binary: bool) -> bytes:
    lines = [f"{name}={value}\n".encode() for name, value in entry.items()]
    if is_binary:
        lines[-1] = b"MESSAGE\n" + len(_BINARY).to_bytes(8, "little") + _BINARY + b"\n"
    return b"".join(lines) + b"\n"


def _json_line(rng: random.Random, entry: dict[str, str]) -> bytes:
    fields = list(entry.items())
    rng.shuffle(fields)
    return json.dumps(dict(fields), separators=(",", ":")).encode() + b"\n"


def _encoding(blocks: list[bytes]) -> Callable[[], object]:
    context, following = _context(), cycle(blocks)
    return lambda: journald.encode(next(following), context)


def _framing(block: bytes) -> Callable[[], object]:
    framer, cut = Journal(1_000_000), len(block) // 2 + 11
    first, second = block[cut:], block[:cut]
    framer.feed(second)
    return lambda: (framer.feed(first), framer.feed(second))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, default=500, help="per block; 500 are about 230 KB")
    parser.add_argument("--seconds", type=float, default=1.0, help="per case")
    options = parser.parse_args()
    rng = random.Random(1)
    entries = [_entry(rng, index) for index in range(options.entries * _BLOCKS)]

    def blocks(lines: list[bytes]) -> list[bytes]:
        return [b"".join(lines[start::_BLOCKS]) for start in range(_BLOCKS)]

    text = blocks([_export(entry, False) for entry in entries])
    mixed = blocks([_export(entry, index // _BLOCKS % 10 == 0) for index, entry in enumerate(entries)])
    cases = {
        "export": _encoding(text),
        "export, every 10th binary": _encoding(mixed),
        "JSON lines": _encoding(blocks([_json_line(rng, entry) for entry in entries])),
        "framing, text": _framing(text[0]),
        "framing, every 10th binary": _framing(mixed[0]),
    }
    for name, run in cases.items():
        best, median = (1e9 * seconds / options.entries for seconds in _measure(run, options.seconds))
        print(f"{name:28} {best:8.0f} ns best {median:8.0f} median")


if __name__ == "__main__":
    main()
