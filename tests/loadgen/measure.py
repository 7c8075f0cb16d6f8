"""What a record costs loadgen, user and system, against sinks that only read: `python -m tests.loadgen.measure`.

The sinks are processes of their own, so that only loadgen's CPU is counted. For UDP it says as well what a bare
socket received and what the kernel dropped, with the kernel cutting the datagrams and without: the sums must
be equal to what was sent.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.connection
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.loadgen.sink import Sink, certificate
from tools.loadgen.layouts import FORMATS

SECONDS = "3"
_SO_RXQ_OVFL = 40  # linux/socket.h


def loadgen(*options: str) -> dict[str, float]:
    """Run it for SECONDS; its summary."""
    command = [sys.executable, "-m", "tools.loadgen", "--json", "--seconds", SECONDS, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise SystemExit(done.stderr)
    summary: dict[str, float] = json.loads(done.stdout)
    return summary


class _Discard(Sink):
    """Reads and forgets."""

    @staticmethod
    def serve(pem: Path | None, port: multiprocessing.connection.Connection) -> None:
        def forget(number: int, _connection: socket.socket, _received: int) -> bool:
            sink.received[number].clear()
            return True

        with Sink(pem, forget) as sink:
            port.send(sink.port)
            port.recv()


def udp_sink(port: multiprocessing.connection.Connection) -> None:
    """Count datagrams, records and drops until told to end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        sock.settimeout(0.2)
        port.send(sock.getsockname()[1])
        datagrams = drops = largest = 0
        while True:
            try:
                data, ancillary, _, _ = sock.recvmsg(65536, 64)
            except TimeoutError:
                if port.poll():
                    break
                continue
            datagrams += 1
            largest = max(largest, len(data))
            for _, _, value in ancillary:
                drops = int.from_bytes(value[:4], "little")
        port.send((datagrams, drops, largest))


def main() -> None:
    """Print one line per case."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        pem = certificate(Path(folder))
        for name, sink_pem, options in (
            ("plain", None, ("--plain",)),
            ("tls", pem, ("--ca", str(pem))),
        ):
            paced = (("--rate", "1000000"), ("--rate", "200000"))
            for load in (*(("--format", name) for name in FORMATS), *paced):
                ours, theirs = context.Pipe()
                sink = context.Process(target=_Discard.serve, args=(sink_pem, theirs))
                sink.start()
                done = loadgen("--tcp-port", str(ours.recv()), *options, *load)
                ours.send(None)
                sink.join()
                print(
                    f"{name:6} {' '.join(load):20} {done['rate']:12,.0f}/s {done['cpu_us_per_record']:.3f} us"
                )
    for load in (("--rate", "200000"), ("--rate", "500000"), ()):
        ours, theirs = context.Pipe()
        sink = context.Process(target=udp_sink, args=(theirs,))
        sink.start()
        done = loadgen("--udp", "--connections", "1", "--udp-port", str(ours.recv()), *load)
        ours.send(None)
        datagrams, drops, largest = ours.recv()
        sink.join()
        print(
            f"udp    {' '.join(load):20} {done['rate']:12,.0f}/s {done['cpu_us_per_record']:.3f} us  "
            f"received {datagrams:,} of at most {largest:,} bytes, dropped {drops:,}, "
            f"sent/(received+dropped) {done['sent'] / 8 / max(1, datagrams + drops):.6f}"
        )


if __name__ == "__main__":
    main()
