"""CPU cost of syslog alone: nanoseconds per message for blocks as a worker gets them, framing and encoding apart.

    python -m benchmarks.micro_syslog [--records N] [--seconds S] [--json]

Rules as in benchmarks.micro_formats. Messages are of about 120 bytes and carry the times that their senders give them:
microseconds with an offset as of rsyslog, milliseconds as of Java's appenders, whole seconds as of RFC 3164.
"""

import argparse
import json
import random
from collections.abc import Callable
from functools import partial

from benchmarks.micro_formats import _context, _measure, _text
from formats import syslog
from formats.syslog_framing import Frames

_APPS = ("sshd", "nginx", "kernel", "postfix/smtpd", "app", "cron", "systemd", "haproxy")
_HOSTS = ("web-1", "web-2", "db-1.example.com", "10.1.2.3")
_PER_MS = 250  # messages of one connection at 250,000 a second
_Make = Callable[[random.Random, int], str]


def _time(index: int, width: int) -> str:
    return f"2026-11-20T12:00:{index // _PER_MS // 1000 % 60:02d}.{index * 4 % 1_000_000:06d}"[: 20 + width]


def _pri(rng: random.Random) -> int:
    return 8 * rng.choice((1, 3, 4, 16)) + rng.choice((6, 6, 6, 5, 4, 3, 7))


def _rfc5424(
    rng: random.Random, index: int, width: int = 6, offset: str = "Z", rest: str = "{pid} ID47 -"
) -> str:
    rest = rest.format(pid=1000 + rng.randrange(16))
    return (
        f"<{_pri(rng)}>1 {_time(index, width)}{offset} {rng.choice(_HOSTS)} {rng.choice(_APPS)} {rest} "
        f"{_text(rng, 7)}"
    )


def _rfc3164(rng: random.Random, index: int) -> str:
    head = f"{rng.choice(_HOSTS)} {rng.choice(_APPS)}[{1000 + rng.randrange(16)}]"
    return f"<{_pri(rng)}>Nov 20 12:00:{index // _PER_MS // 1000 % 60:02d} {head}: {_text(rng, 9)}"


def _forwarded(rng: random.Random, index: int) -> str:
    return _rfc3164(rng, index).replace(
        f"Nov 20 12:00:{index // _PER_MS // 1000 % 60:02d}", _time(index, 6) + "+01:00"
    )


def _processes(rng: random.Random, index: int) -> str:
    return _rfc5424(rng, index, rest=f"{rng.randrange(10**5)} - -")


_DATA = '- - [timeQuality tzKnown="1" isSynced="1" syncAccuracy="{pid}"]'
_CASES: dict[str, _Make] = {
    "5424, microseconds": _rfc5424,
    "5424, offset, no MSGID": partial(_rfc5424, offset="+01:00", rest="{pid} - -"),
    "5424, milliseconds": partial(_rfc5424, width=3),
    "5424, structured data": partial(_rfc5424, rest=_DATA),
    "5424, each a new process": _processes,
    "3164": _rfc3164,
    "3164, ISO time": _forwarded,
    "3164, Cisco": lambda rng, index: f"<189>{index}: Nov 20 12:00:00.123: %SYS-5-CONFIG_I: {_text(rng, 9)}",
    "5424 and 3164 by turns": lambda rng, index: (_rfc3164, _rfc5424)[index % 2](rng, index),
    "neither": lambda rng, index: f"{_text(rng, 12)}",
}


def _cut(stream: bytes) -> Callable[[], object]:
    """Feed a block in two reads, neither of which ends with a message."""
    framer, middle = Frames(1_000_000), len(stream) // 2 + 11
    first, second = stream[:middle], stream[middle:]
    return lambda: (framer.feed(first), framer.feed(second))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=2000, help="per block; 2,000 are about 240 KiB")
    parser.add_argument("--seconds", type=float, default=1.0, help="per case")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    options = parser.parse_args()
    context = _context()
    messages: dict[str, list[bytes]] = {}
    for name, make in _CASES.items():
        rng = random.Random(1)
        messages[name] = [make(rng, index).encode() for index in range(options.records)]
    standard = messages["5424, microseconds"]
    cases: dict[str, tuple[int, Callable[[], object]]] = {
        "framing, lines": (0, _cut(b"\n".join([*standard, b""]))),
        "framing, octet counting": (0, _cut(b"".join(b"%d %b" % (len(one), one) for one in standard))),
    }
    for name, case in messages.items():
        block = b"\n".join([*case, b""])
        cases[name] = (len(block), partial(syslog.encode, block, context))
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
