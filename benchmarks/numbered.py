"""Clients with acknowledgements that cost next to nothing, so that the daemon is measured and not they.

loadgen's JSON records in numbered batches of 1,000 over TLS, from two processes with two connections each, as
`loadgen` sends them without numbers. A connection goes on while at most `WINDOW` batches are not acknowledged. Paced,
a batch's latency counts from the moment it was due to the moment its ACK was read, so a daemon that stalls is not
spared. Every acknowledged sequence goes into a report for `loadgen verify`. (The client library, with its spool, is
measured in client.py.)
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from benchmarks.errors import BenchmarkError
from benchmarks.load import BATCH, CONNECTIONS, PATIENCE_S, PROCESSES, Offer, Sent
from tools.loadgen.payloads import FIRST_SEQ, Renderer, build_pool
from tools.loadgen.report import Report
from tools.loadgen.senders import Outcome

#: Batches on their way on one connection; more gain nothing.
WINDOW: Final = 32

#: Sequences of one connection, far more than it sends.
_SPACE: Final = 10**9
_HEAD: Final = struct.Struct(">IQ")


def send(port: int, ca: Path, offer: Offer, report: Path) -> tuple[Sent, list[float]]:
    """Send, wait for the last ACK, write the report; also each latency (s). BenchmarkError: it failed."""
    run = f"ack{time.time_ns() % 10**9}"
    command = [sys.executable, "-m", "benchmarks.numbered", str(port), str(ca), run]
    command += [str(offer.seconds), str(offer.rate)]
    processes = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(PROCESSES)
    ]
    answers = [_answer(process) for process in processes]
    outcome = Outcome(confirmed=[tuple(span) for answer in answers for span in answer["confirmed"]])  # type: ignore[misc]
    outcome.sent = sum(last - first + 1 for first, last in outcome.confirmed)
    outcome.bytes = sum(answer["bytes"] for answer in answers)
    seconds = max(answer["seconds"] for answer in answers)
    cpu_s = sum(answer["cpu_s"] for answer in answers)
    made = Report.of(outcome, run, "json", "tls", seconds, cpu_s, acked=True)
    made.write(report)
    summary = {name: value for name, value in made.summary().items() if name in Sent.__struct_fields__}
    return Sent(**summary), [value for answer in answers for value in answer["latencies_s"]]


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    try:
        out, said = process.communicate(timeout=PATIENCE_S)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        raise BenchmarkError(f"a client with acknowledgements failed: {said.strip()[-2000:]}")
    answer: dict[str, Any] = json.loads(out)
    return answer


class Lane:
    """One connection; `run` in a thread."""

    def __init__(
        self, number: int, address: tuple[str, int], tls: ssl.SSLContext, pool: Any, run: str
    ) -> None:
        self._renderer = Renderer(pool, number * 9973, BATCH)
        self._first = FIRST_SEQ + number * _SPACE
        plain = socket.create_connection(address, timeout=PATIENCE_S)
        self._socket = tls.wrap_socket(plain, server_hostname="localhost")
        self._socket.sendall(b"INGEST/1 json ack=1 client=%b-%d\n" % (run.encode(), number))
        if (answer := self._read()) != b"OK 0\n":
            raise BenchmarkError(f"expected OK 0, was answered {answer!r}")
        self._answered = b""  # of a line that is not whole yet
        self._due: deque[float] = deque()  # of the batches without an ACK
        self.latencies_s: list[float] = []
        self.bytes = 0
        self.batches = 0

    def run(self, end_s: float, interval_s: float) -> None:
        """Send until `end_s` (time.monotonic), a batch each `interval_s`, and wait for the last ACK.

        One thread does both: a TLS connection must not be read and written at the same time.
        """
        due_s = time.monotonic()
        while due_s < end_s:
            while self._hear(max(0.0, due_s - time.monotonic()) if interval_s else 0.0):
                pass
            self._wait_for_room(WINDOW)
            first = self._first + self.batches * BATCH
            block = self._renderer.render(first, BATCH, time.time_ns() // 1000)
            self.batches += 1
            self.bytes += len(block)
            self._due.append(due_s if interval_s else time.monotonic())
            self._socket.sendall(_HEAD.pack(len(block), self.batches) + block)
            due_s = due_s + interval_s if interval_s else time.monotonic()
        self._wait_for_room(1)
        self._socket.close()

    def _wait_for_room(self, window: int) -> None:
        while len(self._due) >= window:
            if not self._hear(PATIENCE_S):
                raise BenchmarkError(f"no ACK for {PATIENCE_S:.0f} s")

    def _hear(self, wait_s: float) -> bool:
        """Take the ACKs that are there, or come in time; whether there were any."""
        if not self._socket.pending() and not select.select([self._socket], [], [], wait_s)[0]:
            return False
        self._take(self._read())
        return True

    def _read(self) -> bytes:
        data = self._socket.recv(1 << 16)
        if not data:
            raise BenchmarkError("the daemon closed a connection with acknowledgements")
        return data

    def _take(self, data: bytes) -> None:
        *lines, self._answered = (self._answered + data).split(b"\n")
        now_s = time.monotonic()
        for line in lines:
            word, _, sequence = line.partition(b" ")
            if word != b"ACK":
                raise BenchmarkError(f"was answered {line!r}")
            while len(self.latencies_s) < int(sequence):
                self.latencies_s.append(now_s - self._due.popleft())

    @property
    def confirmed(self) -> tuple[int, int]:
        return self._first, self._first + len(self.latencies_s) * BATCH - 1


def main() -> None:
    """One process of `send`; prints what it did as JSON."""
    port, ca, run, seconds, rate, number = sys.argv[1:]
    tls = ssl.create_default_context(cafile=ca)
    pool = build_pool("json", run, seed=1)
    share = CONNECTIONS // PROCESSES
    numbers = range(int(number) * share, (int(number) + 1) * share)
    lanes = [Lane(lane, ("127.0.0.1", int(port)), tls, pool, run) for lane in numbers]
    begun_s, cpu_s = time.monotonic(), time.process_time()
    interval_s = BATCH * CONNECTIONS / int(rate) if int(rate) else 0.0
    with ThreadPoolExecutor(len(lanes)) as threads:
        ends = [threads.submit(lane.run, begun_s + float(seconds), interval_s) for lane in lanes]
    for end in ends:
        end.result()
    answer = {
        "confirmed": [lane.confirmed for lane in lanes if lane.latencies_s],
        "bytes": sum(lane.bytes for lane in lanes),
        "seconds": time.monotonic() - begun_s,
        "cpu_s": time.process_time() - cpu_s,
        "latencies_s": [value for lane in lanes for value in lane.latencies_s],
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
