"""How fast the machine is while a load runs, by two steps that were timed before the first line of the project.

The limits of CPU per record are for a machine on which decoding a record of 136 bytes by msgspec took 185 ns and
compressing it by zstd at level 1 took 235. A shared machine is up to twice as slow for seconds or minutes at a time, by
its neighbours and not by our doing. So the same two steps are timed each second beside a load, and tell how many times
slower the machine was; a figure divided by that is the one that the limit is for. Both are shown.

    python -m benchmarks.yardstick        prints nanoseconds per record, and the factor
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable
from typing import Final, Literal, Self

import msgspec
import zstandard

#: Nanoseconds of CPU per record where the limits were set: of decoding, of compressing.
DECODE_NS: Final = 185.0
COMPRESS_NS: Final = 235.0

INTERVAL_S: Final = 1.0

_RECORD_BYTES: Final = 136
_DECODED_RECORDS: Final = 1_200  # 160 KiB at a time
_COMPRESSED_RECORDS: Final = 4_000  # 530 KiB at a time
_ROUNDS: Final = 3  # the first of them finds the caches cold; some 4 ms in all
_SERVICES: Final = ("api", "auth", "billing", "cart", "search", "payments", "gateway", "mailer")
_LEVELS: Final = ("INFO",) * 11 + ("DEBUG",) * 6 + ("WARN",) * 2 + ("ERROR",)
_TEXT: Final = "request completed for user session from cache after retry of order payment upstream in ms"


class _Record(msgspec.Struct, gc=False):
    timestamp: str
    level: Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]
    service: str
    message: str


class Yardstick:
    """Times the two steps each second while it is entered; `factor` is then known."""

    def __init__(self) -> None:
        records = _records(_COMPRESSED_RECORDS)
        self._few, self._all = b"\n".join(records[:_DECODED_RECORDS]), b"\n".join(records)
        self._decoder = msgspec.json.Decoder(_Record)
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._taken: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._taken.append(self.measure())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(INTERVAL_S):
            self._taken.append(self.measure())

    @property
    def factor(self) -> float:
        """How many times slower than the machine of the limits this one was, on average."""
        return statistics.fmean(map(factor, self._taken))

    def measure(self) -> tuple[float, float]:
        """Nanoseconds of CPU per record now, of decoding and of compressing."""
        decode_ns = _time(lambda: self._decoder.decode_lines(self._few)) / _DECODED_RECORDS
        compress_ns = _time(lambda: self._compressor.compress(self._all)) / _COMPRESSED_RECORDS
        return decode_ns, compress_ns


def factor(taken: tuple[float, float]) -> float:
    """How many times slower than the machine of the limits one was that took so long."""
    return sum(taken) / (DECODE_NS + COMPRESS_NS)


def _time(step: Callable[[], object]) -> int:
    """The quickest of a few, so that it is the processor that is timed and not what its caches held before."""
    taken_ns = []
    for _ in range(_ROUNDS):
        began_ns = time.thread_time_ns()
        step()
        taken_ns.append(time.thread_time_ns() - began_ns)
    return min(taken_ns)


def _records(number: int) -> list[bytes]:
    rng = random.Random(1)
    return [_record(rng, index) for index in range(number)]


def _record(rng: random.Random, index: int) -> bytes:
    head = (
        f'{{"timestamp":"2026-11-20T12:00:00.{index * 4 % 1_000_000:06d}Z","level":"{rng.choice(_LEVELS)}",'
        f'"service":"{rng.choice(_SERVICES)}","message":"{rng.randrange(10**6):06d} '
    )
    text = " ".join(rng.choices(_TEXT.split(), k=12))
    return f'{head}{text[: _RECORD_BYTES - len(head) - 2]}"}}'.encode()


def main() -> None:
    """Measure once and print."""
    taken = Yardstick().measure()
    print(
        f"decode {taken[0]:.0f} ns, compress {taken[1]:.0f} ns per record: "
        f"{factor(taken):.2f} times as slow as the machine of the limits"
    )


if __name__ == "__main__":
    main()
