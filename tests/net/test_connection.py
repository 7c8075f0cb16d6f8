"""A connection on a real event loop: what costs much is done in turns, and whatever happens to it meanwhile waits."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

import uvloop

from ingestd.net.connection import REST_S
from ingestd.net.rates import RateLimits
from ingestd.net.tcp import TcpLimits
from ingestd.pace import TURN_S
from ingestd.pipeline import Door
from ingestd.stats import index
from tests.net.house import LIMITS, UNLIMITED, House

LINE = b'{"message":"x"}\n'
DEAR = b'{"message":"dear"}\n'
LOT = DEAR * 4000  # 76 KB: many pieces, once it is known to be dear
PATIENCE_S = 60.0


class DearDoor(Door):
    """Takes longer than a turn for each piece of what begins as `DEAR` does."""

    __slots__ = ()
    pieces = 0
    reads = 0

    def feed(self, data: bytes) -> None:
        type(self).reads += 1
        if b"dear" in data:
            type(self).pieces += 1
            time.sleep(1.5 * TURN_S)
        super().feed(data)


def closed(house: House, reason: str) -> int:
    return house.slot[index("ingestd_connections_closed_total", reason)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.001)


async def connected(house: House) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, house.sockets[0].tcp[0].getsockname())
    return sock


async def send(sock: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(sock, data)


async def answer(sock: socket.socket) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.get_running_loop().sock_recv(sock, 4096)


def run(
    scene: Callable[[House], Awaitable[None]],
    *,
    limits: TcpLimits = LIMITS,
    rates: RateLimits = UNLIMITED,
    drain: bool = True,
) -> None:
    """Play a scene in a house of its own; `drain` it then, unless the scene did."""

    async def play() -> None:
        DearDoor.pieces = DearDoor.reads = 0
        house = House(DearDoor, limits=limits, rates=rates)
        house.tcp.start()
        await scene(house)
        if drain:
            await house.tcp.drain(asyncio.get_running_loop().time() + PATIENCE_S)
        house.close()

    uvloop.run(play())


def test_others_are_served_between_the_pieces_of_a_dear_sender() -> None:
    async def scene(house: House) -> None:
        with await connected(house) as dear, await connected(house) as quiet:
            await send(quiet, LINE)
            await until(lambda: house.records() == 1)
            await send(dear, LOT)
            await until(lambda: DearDoor.pieces > 0)
            await send(quiet, LINE)
            await until(lambda: [batch.encoded.records for batch in house.writer.batches].count(1) == 2)
            assert house.records() < 4002, "the quiet one waited for all of the dear one's"
            await until(lambda: house.records() == 4002)

    run(scene)


def test_an_end_waits_for_the_work_that_is_left() -> None:
    async def scene(house: House) -> None:
        with await connected(house) as dear:
            await send(dear, LOT + DEAR[:-1])
        await until(lambda: closed(house, "eof") == 1)
        assert house.records() == 4001
        assert house.slot[index("ingestd_held_bytes")] == 0

    run(scene)


def test_a_drain_waits_for_the_work_that_is_left() -> None:
    async def scene(house: House) -> None:
        with await connected(house) as dear:
            await send(dear, LOT)
            await until(lambda: DearDoor.pieces > 0)
            await house.tcp.drain(asyncio.get_running_loop().time() + PATIENCE_S)
            assert house.records() == 4000

    run(scene, drain=False)


def test_a_gate_that_closes_stops_the_work_that_is_left() -> None:
    async def scene(house: House) -> None:
        with await connected(house) as dear:
            await send(dear, LOT)
            await until(lambda: DearDoor.pieces > 1)
            house.gate.add(1 << 40)
            pieces = DearDoor.pieces
            for _ in range(20):
                await asyncio.sleep(0)
            assert DearDoor.pieces == pieces
            house.gate.free(1 << 40)
            await until(lambda: house.records() == 4000)

    run(scene)


def test_small_reads_that_follow_each_other_closely_become_fewer_and_larger() -> None:
    async def scene(house: House) -> None:
        with await connected(house) as sender:
            await send(sender, b"INGEST/1 json\n" + LINE)
            await until(lambda: house.records() == 1)
            began_s = time.monotonic()
            for _ in range(2000):
                await send(sender, LINE)
                await asyncio.sleep(0)
            await until(lambda: house.records() == 2001)
            rests = (time.monotonic() - began_s) / REST_S
            assert DearDoor.reads < min(2 * rests, 1000) + 4

    run(scene)


def test_who_is_evicted_is_told_and_its_work_is_given_up() -> None:
    async def scene(house: House) -> None:
        with await connected(house) as dear:
            await send(dear, LOT)
            await until(lambda: DearDoor.pieces > 1)
            (connection,) = house.tcp._connections
            assert connection.held_bytes > 0
            connection.evict()
            assert connection.held_bytes == 0
            assert (await answer(dear)).startswith(b"ERR busy: ")
            await until(lambda: closed(house, "memory_budget") == 1)
        assert house.records() < 4000
        assert house.slot[index("ingestd_held_bytes")] == 0

    run(scene)


def test_who_ends_while_its_turn_waits_for_the_gate_ends_once() -> None:
    async def scene(house: House) -> None:
        with await connected(house) as dear:
            await send(dear, LOT)
            await until(lambda: DearDoor.pieces > 1)
            house.gate.add(1 << 40)
            (connection,) = house.tcp._connections
            connection.evict()
            await until(lambda: closed(house, "memory_budget") == 1)
        house.gate.free(1 << 40)
        for _ in range(20):
            await asyncio.sleep(0)
        assert closed(house, "memory_budget") == 1
        assert house.slot[index("ingestd_connections_open")] == 0

    run(scene)


def test_over_the_budget_the_one_that_holds_most_goes() -> None:
    async def scene(house: House) -> None:
        with await connected(house) as large, await connected(house) as small:
            await send(small, LINE + b'{"message":"' + b"x" * 10_000)
            await send(large, b'{"message":"' + b"x" * 60_000)
            assert (await answer(large)).startswith(b"ERR busy: ")
            await send(small, b'"}\n')
            await until(lambda: house.records() == 2)

    run(scene, limits=LIMITS._replace(memory_budget=50_000))


def test_single_bytes_do_not_extend_the_time_for_a_header() -> None:
    async def drip(house: House) -> None:
        with await connected(house) as slow:
            for byte in b"INGEST/1 json " + b"x" * 400:
                if closed(house, "header_timeout"):
                    return
                await send(slow, bytes([byte]))
                await asyncio.sleep(0.02)
            raise AssertionError("a header of single bytes was waited for")

    run(drip, limits=LIMITS._replace(header_timeout_s=0.2))


def test_a_connection_over_its_rate_is_read_later_and_loses_nothing() -> None:
    async def scene(house: House) -> None:
        loop = asyncio.get_running_loop()
        with await connected(house) as fast:
            began_s = loop.time()
            await send(fast, LINE * 200)
            await until(lambda: house.records() == 200)
            await send(fast, LINE)
            await until(lambda: house.records() == 201)
            # 3,200 bytes, a tenth of a second's worth of which was free
            assert loop.time() - began_s > 3200 / 10_000 - 0.1 - 0.02
        assert house.slot[index("ingestd_rate_limit_pauses_total")] >= 1

    run(scene, rates=RateLimits(connection=10_000, burst_s=0.1))


def test_a_drain_reads_what_a_rate_held_back() -> None:
    async def scene(house: House) -> None:
        with await connected(house) as fast:
            await send(fast, LINE)
            await until(lambda: house.records() == 1)
            await send(fast, LINE)
            await house.tcp.drain(asyncio.get_running_loop().time() + PATIENCE_S)
            assert house.records() == 2

    run(scene, drain=False, rates=RateLimits(source=1, burst_s=0.1))


def test_a_source_may_have_so_many_connections() -> None:
    async def scene(house: House) -> None:
        with await connected(house) as first, await connected(house) as second:
            await until(lambda: house.slot[index("ingestd_connections_open")] == 2)
            with await connected(house) as third:
                assert await answer(third) == b""
            assert closed(house, "too_many_of_source") == 1
            second.close()
            await until(lambda: house.slot[index("ingestd_connections_open")] == 1)
            with await connected(house) as fourth:
                await send(first, LINE)
                await send(fourth, LINE)
                await until(lambda: house.records() == 2)

    run(scene, limits=LIMITS._replace(per_source=2))
