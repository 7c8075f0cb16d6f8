"""The client killed with -9 at any point, again and again: what was durable arrives, and nothing arrives twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from ingestd.client import Client
from tests.client.peer import Peer
from tests.daemon import PATIENCE_S, wait_for

ROUNDS = 6

PROGRAM = """
import itertools, sys
from ingestd.client import Client

address, spool, name, sync = sys.argv[1:]
client = Client(address, client_id="web-1", spool_dir=spool, batch_records=20, linger_s=0.002, spool_bytes=1 << 20,
                batch_bytes=1 << 14, spool_sync=sync)
for number in itertools.count():
    client.send(b"%s-%d" % (name.encode(), number))
    if number % 100 == 99:
        client.flush(60, durable=True)
        print(number, flush=True)
"""


@pytest.mark.parametrize("sync", ["batch", "interval"])
def test_killed_again_and_again(tmp_path: Path, sync: str) -> None:
    random = Random(sync)
    durable: dict[str, int] = {}
    spool = tmp_path / "spool"
    with Peer() as peer:
        for round_ in range(ROUNDS):
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, peer.address, str(spool), str(round_), sync],
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdout is not None
            for _ in range(random.randrange(1, 30)):
                durable[str(round_)] = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
            for line in process.stdout.read().splitlines(keepends=True):
                durable[str(round_)] = int(line) if line.endswith("\n") else durable[str(round_)]
            process.stdout.close()
            process.wait(PATIENCE_S)
        with Client(peer.address, client_id="web-1", spool_dir=spool, batch_bytes=1 << 14) as client:
            wait_for(lambda: not client.stats().spooled_batches, "the spool to be empty")
        lines = peer.lines()
    assert len(lines) == len(set(lines))
    for name, last in durable.items():
        assert {b"%s-%d" % (name.encode(), number) for number in range(last + 1)} <= set(lines)
