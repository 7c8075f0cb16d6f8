"""What the client library costs per record: who hands it over, and all its threads, until the last is acknowledged.

    python -m benchmarks --only client

Each way runs in a process of its own, against a daemon over TLS, with a spool synced before each send: loadgen's JSON
records are handed over one by one from a list (the loop over it is counted too), by one task, or in blocks of 1,000
lines. CPU time, not wall time; the ways take turns, and the best of the rounds counts, for a busy neighbour only adds.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.corpus import sent_blocks
from benchmarks.errors import BenchmarkError
from benchmarks.outcome import ClientCost
from ingestd.client import AsyncClient, Client, Tls

ROUNDS: Final = 3
QUICK_ROUNDS: Final = 1
RECORDS: Final = 600_000
QUICK_RECORDS: Final = 200_000

_BLOCKS: Final = 65  # 100,000 different records, far more than a window of zstd
_PATIENCE_S: Final = 120.0


def measure(address: str, ca: Path, folder: Path, quick: bool) -> list[ClientCost]:
    """The cost of each way. BenchmarkError: one of them failed."""
    best: dict[str, ClientCost] = {}
    for round_ in range(QUICK_ROUNDS if quick else ROUNDS):
        for way in WAYS:
            spool = folder / f"spool-{way}-{round_}"
            cost = _apart(way, address, ca, spool, QUICK_RECORDS if quick else RECORDS)
            known = best.get(way, cost)
            best[way] = ClientCost(
                way=way,
                records=cost.records,
                caller_us=min(known.caller_us, cost.caller_us),
                total_us=min(known.total_us, cost.total_us),
                records_per_s=max(known.records_per_s, cost.records_per_s),
            )
    return list(best.values())


def _apart(way: str, address: str, ca: Path, spool: Path, records: int) -> ClientCost:
    command = [sys.executable, "-m", "benchmarks.client", way, address, str(ca), str(spool), str(records)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    if done.returncode:
        raise BenchmarkError(f"the client ({way}) failed:\n{done.stderr}")
    return ClientCost(**json.loads(done.stdout))


def _send(blocks: list[bytes], records: int, **settings: Any) -> tuple[float, int]:
    lines = [line for block in blocks for line in block.splitlines()]
    rounds = range(-(-records // len(lines)))
    with Client(**settings) as client:
        start_s = time.thread_time()
        for _ in rounds:
            for line in lines:
                client.send(line)
        caller_s = time.thread_time() - start_s
        client.flush(_PATIENCE_S)
    return caller_s, len(rounds) * len(lines)


def _send_many(blocks: list[bytes], records: int, **settings: Any) -> tuple[float, int]:
    lines = [line for block in blocks for line in block.splitlines(keepends=True)]
    thousands = [b"".join(lines[at : at + 1_000]) for at in range(0, len(lines) - 999, 1_000)]
    rounds = range(-(-records // (1_000 * len(thousands))))
    with Client(**settings) as client:
        start_s = time.thread_time()
        for _ in rounds:
            for block in thousands:
                client.send_many(block, 1_000)
        caller_s = time.thread_time() - start_s
        client.flush(_PATIENCE_S)
    return caller_s, len(rounds) * len(thousands) * 1_000


def _await_send(blocks: list[bytes], records: int, **settings: Any) -> tuple[float, int]:
    lines = [line for block in blocks for line in block.splitlines()]
    rounds = range(-(-records // len(lines)))

    async def go() -> float:
        async with AsyncClient(**settings) as client:
            start_s = time.thread_time()
            for _ in rounds:
                for line in lines:
                    await client.send(line)
            caller_s = time.thread_time() - start_s
            await client.flush(_PATIENCE_S)
            return caller_s

    return asyncio.run(go()), len(rounds) * len(lines)


WAYS: Final[dict[str, Callable[..., tuple[float, int]]]] = {
    "send": _send,
    "await send": _await_send,
    "send_many, 1,000 a block": _send_many,
}


def main() -> None:
    """One way, measured in this process; its `ClientCost` as JSON."""
    way, address, ca, spool, records = sys.argv[1:]
    blocks = sent_blocks("json", _BLOCKS)
    start_s, cpu_s = time.monotonic(), time.process_time()
    caller_s, count = WAYS[way](
        blocks,
        int(records),
        addresses=address,
        client_id="bench",
        spool_dir=spool,
        tls=Tls(ca=ca, server_name="localhost"),
    )
    taken_s, total_s = time.monotonic() - start_s, time.process_time() - cpu_s
    cost = {"caller_us": caller_s / count * 1e6, "total_us": total_s / count * 1e6}
    print(json.dumps({"way": way, "records": count, "records_per_s": count / taken_s, **cost}))


if __name__ == "__main__":
    main()
