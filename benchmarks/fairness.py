"""How long a quiet client waits for its ACK while another sends at full speed to the same worker.

    python -m benchmarks.fairness [--seconds N]

One worker, one client with acknowledgements that sends a small batch 20 times a second, and one to four senders of each
kind that go as fast as they are read: records as cheap as loadgen's, and lines as dear as there are
(micro_stalls.py). They are processes of their own. A wait counts from the moment the batch was due.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import socket
import ssl
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import zstandard

from benchmarks.corpus import json_blocks
from benchmarks.daemon import PATIENCE_S, SYNC, Daemon
from benchmarks.errors import BenchmarkError
from benchmarks.outcome import Fairness
from benchmarks.scenarios import quantile
from ingestd import certs

#: Of the quiet client.
INTERVAL_S: Final = 0.05
_BATCH: Final = b'{"level":"INFO","service":"quiet","message":"are you still there?"}\n' * 10
_HEAD: Final = struct.Struct(">IQ")

_READ_BYTES: Final = 256 << 10
_DEAR: Final = b"{\n" * (_READ_BYTES // 2)


def _noise() -> dict[str, tuple[int, bytes, bytes]]:
    """By name: how many senders, the header of each, and what it sends again and again."""
    batch = b"x\n" * 500_000
    # within the thousandfold that is allowed
    shrunk = zstandard.ZstdCompressor().compress(
        b"".join(b"%x\n{\n" % number + _DEAR[:500] for number in range(400))
    )
    return {
        "nobody": (0, b"", b""),
        "JSON records": (1, b"INGEST/1 json\n", b"".join(block.sent for block in json_blocks(8))),
        "lines of one letter": (1, b"INGEST/1 json\n", _DEAR),
        "lines of one letter, four senders": (4, b"INGEST/1 json\n", _DEAR),
        "lines of one letter, zstd": (1, b"INGEST/1 json compression=zstd\n", shrunk),
        "batches of lines of one letter": (1, b"INGEST/1 json ack=1 client=noisy\n", batch),
    }


def measure(folder: Path, made: Path, seconds: float) -> Iterator[Fairness]:
    """The quiet client's waits beside each kind of sender; `made` is a folder of `ingestd certs`."""
    for number, (name, (senders, header, data)) in enumerate(_noise().items()):
        with Daemon(folder / f"fairness-{number}", made, server__workers=1) as daemon:
            noisy = [
                multiprocessing.Process(
                    target=_flood, args=(daemon.port("tcp"), made, header, data), daemon=True
                )
                for _ in range(senders)
            ]
            for process in noisy:
                process.start()
            try:
                waits_s = sorted(_quiet(daemon.port("tcp"), made, seconds))
            finally:
                for process in noisy:
                    process.kill()
                    process.join()
            longest_sync_s = quantile(1, {}, daemon.buckets(SYNC))
        yield Fairness(
            beside=name,
            batches=len(waits_s),
            p50_s=_at(waits_s, 0.5),
            p99_s=_at(waits_s, 0.99),
            longest_sync_s=longest_sync_s,
        )


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _connect(port: int, made: Path) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=made / "ca.crt")
    plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname="localhost")


def _flood(port: int, made: Path, header: bytes, data: bytes) -> None:
    """Send until killed; what is answered is left in the kernel."""
    with _connect(port, made) as sock:
        sock.sendall(header)
        for sequence in itertools.count(1):
            if b" ack=1 " in header:
                sock.sendall(_HEAD.pack(len(data), sequence))
            sock.sendall(data)


def _quiet(port: int, made: Path, seconds: float) -> list[float]:
    """How long each batch waited for its ACK. BenchmarkError: it was answered something else."""
    waits_s = []
    with _connect(port, made) as sock, sock.makefile("rb") as answers:
        sock.sendall(b"INGEST/1 json ack=1 client=quiet\n")
        expected = b"OK 0\n"
        begun_s = due_s = time.monotonic()
        for sequence in itertools.count(1):
            if (answer := answers.readline()) != expected:
                raise BenchmarkError(f"expected {expected!r}, was answered {answer!r}")
            now_s = time.monotonic()
            if sequence > 1:
                waits_s.append(now_s - due_s)
            if now_s - begun_s > seconds:
                return waits_s
            due_s = max(due_s + INTERVAL_S, now_s)
            time.sleep(due_s - now_s)
            sock.sendall(_HEAD.pack(len(_BATCH), sequence) + _BATCH)
            expected = b"ACK %d\n" % sequence
    return waits_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each kind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ingestd-bench-") as name:
        folder = Path(name)
        certs.make(folder / "certs")
        for row in measure(folder, folder / "certs", options.seconds):
            print(
                f"beside {row.beside:34} {row.batches:5} batches"
                f"  p50 {row.p50_s * 1000:7.1f} ms  p99 {row.p99_s * 1000:7.1f} ms"
                f"  longest sync <= {row.longest_sync_s * 1000:.4g} ms",
                flush=True,
            )


if __name__ == "__main__":
    main()
