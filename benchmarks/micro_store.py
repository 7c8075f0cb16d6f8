"""CPU cost of the store's compression alone: which window, frame size, checksum and call win on stored lines.

    python -m benchmarks.micro_store [--level N] [--rounds N] [--json]

Each case compresses the same blocks of enriched JSON lines (loadgen's records behind a prefix of about 150 bytes) into
frames. Rounds of all cases take turns, so that a busy neighbour hits all alike; the best round of process CPU time
counts, the median stands beside it. No disk and no daemon.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import zstandard

from benchmarks.corpus import Block, json_blocks

#: About 48 MB of stored lines: twelve frames of the largest size, and more than any window tried.
BLOCKS: Final = 96

_KIB: Final = 1 << 10


class Case(NamedTuple):
    """One way to make frames. `window_log` 0 is the level's own."""

    name: str
    window_log: int = 17
    frame_bytes: int = 1 << 20
    checksum: bool = True
    one_shot: bool = False


CASES: Final = (
    Case("as the daemon does"),
    Case("window of the level", window_log=0),
    Case("window 64 KiB", window_log=16),
    Case("window 256 KiB", window_log=18),
    Case("window 512 KiB", window_log=19),
    Case("frames of 256 KiB", frame_bytes=256 * _KIB),
    Case("frames of 512 KiB", frame_bytes=512 * _KIB),
    Case("frames of 2 MiB", frame_bytes=2048 * _KIB),
    Case("no checksum", checksum=False),
    Case("joined, one call", one_shot=True),
    Case("joined, one call, 256 KiB", one_shot=True, frame_bytes=256 * _KIB),
)


class Result(NamedTuple):
    """Nanoseconds of CPU per record, and the ratio of lines to frames in bytes."""

    name: str
    best_ns: float
    median_ns: float
    ratio: float


Frame = tuple[list[bytes], int]


def frames_of(blocks: list[Block], frame_bytes: int) -> list[Frame]:
    """The chunks of whole blocks, gathered until a frame is full, as the writer does; with their total bytes."""
    frames: list[Frame] = []
    chunks: list[bytes] = []
    for block in blocks:
        chunks += block.chunks
        if (nbytes := sum(map(len, chunks))) >= frame_bytes:
            frames.append((chunks, nbytes))
            chunks = []
    if chunks:
        frames.append((chunks, sum(map(len, chunks))))
    return frames


def _streamed(compressor: zstandard.ZstdCompressor, frame: Frame) -> int:
    chunks, nbytes = frame
    stream = compressor.compressobj(size=nbytes)
    parts = [stream.compress(chunk) for chunk in chunks]
    parts.append(stream.flush())
    return len(b"".join(parts))


def _one_shot(compressor: zstandard.ZstdCompressor, frame: Frame) -> int:
    return len(compressor.compress(b"".join(frame[0])))


def _compress(compress: Callable[[Frame], int], frames: list[Frame]) -> int:
    return sum(map(compress, frames))


def measure(cases: tuple[Case, ...], level: int, blocks: list[Block], rounds: int) -> list[Result]:
    """Time every case `rounds` times, in turns."""
    records = sum(block.records for block in blocks)
    lines_bytes = sum(len(chunk) for block in blocks for chunk in block.chunks)
    runs: list[Callable[[], int]] = []
    for case in cases:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            level,
            write_checksum=case.checksum,
            write_content_size=True,
            **({"window_log": case.window_log} if case.window_log else {}),
        )
        compressor = zstandard.ZstdCompressor(compression_params=parameters)
        way = _one_shot if case.one_shot else _streamed
        runs.append(partial(_compress, partial(way, compressor), frames_of(blocks, case.frame_bytes)))
    sizes = [run() for run in runs]  # also warms up
    times: list[list[float]] = [[] for _ in cases]
    for _ in range(rounds):
        for run, taken in zip(runs, times, strict=True):
            start = time.process_time_ns()
            run()
            taken.append((time.process_time_ns() - start) / records)
    return [
        Result(case.name, min(taken), statistics.median(taken), lines_bytes / size)
        for case, taken, size in zip(cases, times, sizes, strict=True)
    ]


def main() -> None:
    """Print one line per case, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--level", type=int, default=1, help="zstd level (default 1, the daemon's)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = measure(CASES, options.level, json_blocks(BLOCKS), options.rounds)
    if options.json:
        print(json.dumps([result._asdict() for result in results], indent=1))
        return
    print(f"zstd level {options.level}\n{'':28}{'best':>8}{'median':>9}  ns/record   ratio")
    for result in results:
        print(f"{result.name:28}{result.best_ns:8.0f}{result.median_ns:9.0f}{result.ratio:19.2f}")


if __name__ == "__main__":
    main()
