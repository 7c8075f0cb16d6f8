"""The UDP server on a real event loop and a real socket."""

from __future__ import annotations

import asyncio
import socket
import threading

import uvloop

from ingestd.net.udp import BATCH_DATAGRAMS
from ingestd.stats import index
from tests.net.house import House

_DATAGRAMS = index("ingestd_udp_datagrams_total")


class Emptiness(socket.socket):
    """A socket to which empty datagrams come faster than anybody can read them."""

    def recvfrom_into(self, *_: object) -> tuple[int, tuple[str, int]]:  # type: ignore[override]
        return 0, ("127.0.0.1", 1)


def test_empty_datagrams_do_not_hold_the_loop() -> None:
    """A batch was bounded by bytes alone, and an empty datagram has none."""

    async def read() -> int:
        house = House()
        with Emptiness(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            assert house.udp_server(receiver).read()
        house.close()
        return house.slot[_DATAGRAMS]

    assert uvloop.run(read()) == BATCH_DATAGRAMS


def test_a_drain_ends_although_senders_go_on() -> None:
    """The loop's clock stands still within one callback, so a drain that was one callback never ended."""

    async def drain() -> None:
        house = House()
        house.udp.start()
        address = house.sockets[0].udp[0].getsockname()
        stop = threading.Event()

        def flood() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.connect(address)
                while not stop.is_set():
                    try:
                        sender.send(b"x")
                    except ConnectionRefusedError:
                        return  # the socket is closed: the drain has ended

        senders = [threading.Thread(target=flood) for _ in range(2)]
        for sender in senders:
            sender.start()
        try:
            while not house.slot[_DATAGRAMS]:
                await asyncio.sleep(0.01)
            await asyncio.wait_for(house.udp.drain(), 30)
        finally:
            stop.set()
            for sender in senders:
                sender.join()
        assert house.udp._receiver.fileno() < 0
        await house.udp.drain()  # nothing is left to do
        house.close()

    uvloop.run(drain())


def test_what_the_kernel_holds_is_read_before_the_end() -> None:
    async def drain() -> int:
        house = House()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(100):
                sender.sendto(b'{"message":"%d"}' % number, house.sockets[0].udp[0].getsockname())
        house.udp.start()
        await house.udp.drain()
        house.close()
        return house.records()

    assert uvloop.run(drain()) == 100
