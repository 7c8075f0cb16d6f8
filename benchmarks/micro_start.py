"""How long a start takes to know every client again: the checkpoint, and the segments that it does not cover.

    python -m benchmarks.micro_start [--clients N] [--gigabytes N] [--folder DIR]

Made are a checkpoint of all clients and segments of 50 MB whose descriptions name clients; the data between them are
holes, which are stepped over as data would be. Measured is `checkpoint.restore` as a start after a crash does it, with
`UNCOVERED` segments to read; and without a checkpoint, for which there is no goal.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Final

from ingestd.sequences import checkpoint
from ingestd.sequences.table import Client, Sequences
from ingestd.store.segment import ZSTD_MAGIC, Description, pack_description

GOAL_S: Final = 2.0
SEGMENT_BYTES: Final = 50_000_000
FRAME_BYTES: Final = 250_000
CLIENTS_PER_FRAME: Final = 20

#: Segments closed since the last checkpoint: those of 30 s at 50 MB/s.
UNCOVERED: Final = 30

#: Files that are made; the others are further names of these.
_MADE: Final = 10


def _make(path: Path, first: int, clients: int) -> None:
    with path.open("wb") as file:
        for number in range(SEGMENT_BYTES // FRAME_BYTES):
            marked = range(first + number, first + number + CLIENTS_PER_FRAME)
            last = {f"client-{client % clients}": 7 for client in marked}
            description = Description(1, "0" * 16, 0, number, FRAME_BYTES, 0, 0, "", "", {}, [], {}, last)
            file.write(pack_description(description) + ZSTD_MAGIC)
            file.seek(FRAME_BYTES - len(ZSTD_MAGIC), os.SEEK_CUR)
        file.truncate(file.tell())


def prepare(folder: Path, clients: int, segments: int) -> None:
    """The folders `data` and `state` of a daemon that was killed."""
    data, state = folder / "data", folder / "state"
    data.mkdir()
    state.mkdir()
    for number in range(segments):
        path = data / f"log_0_20261120_{number:06}.jsonl.zst"
        if number < _MADE:
            _make(path, number * clients // _MADE, clients)
        else:
            path.hardlink_to(data / f"log_0_20261120_{number % _MADE:06}.jsonl.zst")
        if number == segments - UNCOVERED - 1:
            sequences = Sequences()
            for client in range(clients):
                sequences.restore(Client(f"client-{client}", 6, 0))
            checkpoint.save(sequences, state, data)


def measure(folder: Path) -> tuple[float, float, int]:
    """Seconds of wall and of CPU that a restore took, and how many clients it knows."""
    sequences = Sequences()
    began_s, cpu_s = time.perf_counter(), time.process_time()
    checkpoint.restore(sequences, folder / "state", folder / "data", 1)
    return time.perf_counter() - began_s, time.process_time() - cpu_s, len(sequences)


def main() -> None:
    """Print a line each; exit code 0 always: machines differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--gigabytes", type=int, default=50)
    parser.add_argument("--folder", type=Path, help="where to make the files (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        segments = options.gigabytes * 10**9 // SEGMENT_BYTES
        prepare(folder, options.clients, segments)
        for case in ("after a crash", "no checkpoint"):
            wall_s, cpu_s, known = min(measure(folder) for _ in range(3))
            print(
                f"{case:14} {segments:6,} segments {known:7,} clients {wall_s:6.2f} s, {cpu_s:5.2f} s of CPU"
            )
            (folder / "state" / checkpoint.FILE).unlink(missing_ok=True)
        print(f"goal: after a crash < {GOAL_S} s")


if __name__ == "__main__":
    main()
