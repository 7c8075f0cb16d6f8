"""The TCP server on a real event loop, where the daemon from outside could not be brought to the moment in question."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import uvloop

from ingestd.net.tcp import QUIET_S
from ingestd.pipeline import Door
from ingestd.stats import HEARTBEAT
from tests.net.house import House

LINE = b'{"message":"x"}\n'


class SlowDoor(Door):
    """Stalls the loop on demand, for longer than a sender may be silent, and lets others send meanwhile."""

    __slots__ = ()
    stalled = threading.Event()
    sent = threading.Event()

    def feed(self, data: bytes) -> None:
        if data.endswith(b"stall\n"):
            self.stalled.set()
            assert self.sent.wait(10)
            time.sleep(1.5 * QUIET_S)
        super().feed(data)


def test_who_sends_while_the_loop_stalls_is_not_silent() -> None:
    """A drain asks who was silent before it has read what came during a stall."""

    async def drain() -> int:
        house = House(SlowDoor)
        house.tcp.start()
        address = house.sockets[0].tcp[0].getsockname()
        with socket.create_connection(address) as staller, socket.create_connection(address) as other:
            staller.sendall(LINE)
            other.sendall(LINE)
            while house.records() < 2:
                await asyncio.sleep(0.01)

            def send_in_the_stall() -> None:
                assert SlowDoor.stalled.wait(10)
                other.sendall(LINE)
                SlowDoor.sent.set()

            sender = threading.Thread(target=send_in_the_stall)
            sender.start()
            draining = asyncio.create_task(house.tcp.drain(asyncio.get_running_loop().time() + 60))
            await asyncio.sleep(QUIET_S / 5)
            staller.sendall(b"stall\n")
            await draining
            sender.join()
        house.close()
        return house.records()

    assert uvloop.run(asyncio.wait_for(drain(), 60)) == 4


def test_a_block_is_a_sign_of_life() -> None:
    """A hundred connections of garbage kept the heartbeat's timer waiting until the worker was killed as hung."""

    async def feed() -> int:
        house = House()
        house.door("json", "tcp", "127.0.0.1").feed(LINE)
        house.close()
        return house.slot[HEARTBEAT]

    before_ns = time.monotonic_ns()
    assert uvloop.run(feed()) >= before_ns
