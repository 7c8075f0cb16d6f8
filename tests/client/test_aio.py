"""The asyncio face; what it shares with the other is tested there."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from ingestd.client import AsyncClient, ClosedError, RecordError, SpoolFullError
from tests.client.peer import Peer, Talk
from tests.client.test_client import RECORDS
from tests.daemon import PATIENCE_S


def client_of(address: str, folder: Path, **settings: Any) -> AsyncClient:
    return AsyncClient(
        address, client_id="web-1", spool_dir=folder / "spool", batch_records=100, linger_s=0.01, **settings
    )


def test_every_record_arrives_once_and_in_order(tmp_path: Path) -> None:
    async def go(address: str) -> None:
        async with client_of(address, tmp_path) as client:
            for record in RECORDS[:500]:
                await client.send(record)
            await client.send_many(b"\n".join(RECORDS[500:]), 500)
            await client.flush(PATIENCE_S)
            await client.flush(PATIENCE_S, durable=True)
            assert client.stats().acknowledged == 1_000
            assert client.first_sequence == 1

    with Peer() as peer:
        asyncio.run(go(peer.address))
        assert peer.lines() == RECORDS


def test_the_loop_goes_on_while_senders_wait_for_room(tmp_path: Path) -> None:
    go = threading.Event()
    peers: list[Peer] = []

    def late(talk: Talk) -> None:
        go.wait(PATIENCE_S)
        peers[0].serve(talk)

    records = [b"%06d" % number + b"x" * 94 for number in range(2_000)]

    async def work(address: str) -> None:
        small = {"spool_bytes": 20_000, "batch_bytes": 2_000, "memory_bytes": 4_000, "compression": "none"}
        async with client_of(address, tmp_path, **small) as client:

            async def send() -> None:
                for record in records:
                    await client.send(record)

            sending = asyncio.create_task(send())
            async with asyncio.timeout(PATIENCE_S):
                while client.stats().spooled_bytes < 16_000:
                    await asyncio.sleep(0.01)
            assert not sending.done()
            go.set()
            await sending
            await client.flush(PATIENCE_S)

    with Peer({0: late}) as peer:
        peers.append(peer)
        asyncio.run(work(peer.address))
        assert peer.lines() == records


def test_errors_are_those_of_the_other_face(tmp_path: Path) -> None:
    async def go(address: str) -> None:
        small = {"spool_bytes": 20_000, "batch_bytes": 2_000, "memory_bytes": 4_000, "compression": "none"}
        client = client_of(address, tmp_path, block_timeout_s=0.1, **small)
        with pytest.raises(RecordError):
            await client.send(b"x" * 10_000)
        with pytest.raises(SpoolFullError):
            while True:
                await client.send(b"x" * 100)
        with pytest.raises(TimeoutError):
            await client.flush(0.05)
        assert not await client.close(0.05)
        assert not await client.close()
        with pytest.raises(ClosedError):
            await client.send(b"x")

    with Peer() as gone:
        address = gone.address
    asyncio.run(go(address))
