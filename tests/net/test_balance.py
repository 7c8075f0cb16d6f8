"""Balance: connections over workers, with real sockets passed between two parts of one process."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from ingestd.net.balance import Balance, LoadTable
from ingestd.net.sockets import Address, bind_tcp, bind_udp, deal
from ingestd.stats import DRAINING, READY, STARTING, STATE, Board
from tests.daemon import wait_for


class House:
    """Workers that are all in this process: their sockets, their shared memory, their connections."""

    def __init__(self, workers: int) -> None:
        local = Address("127.0.0.1", 0)
        self.sockets = deal(workers, bind_tcp(workers, local, 128), bind_udp(workers, local, 1 << 16))
        self.board = Board(workers)
        self.table = LoadTable(workers)
        self.parts = [self.part(number) for number in range(workers)]
        self.held: list[list[socket.socket]] = [[] for _ in range(workers)]
        self.clients: list[socket.socket] = []
        for number in range(workers):
            self.board.slot(number)[STATE] = READY

    def part(self, number: int) -> Balance:
        return Balance(number, self.table, self.sockets, self.board, range(len(self.sockets)))

    def connect(self) -> socket.socket:
        """A client's connection, with its own number as what it says."""
        client = socket.create_connection(self.sockets[0].tcp[0].getsockname())
        client.sendall(b"%d\n" % len(self.clients))
        self.clients.append(client)
        return client

    def accept(self, worker: int) -> bool:
        """As a worker does: accept one connection, pass it on or take it."""
        try:
            sock, _ = self.sockets[worker].tcp[0].accept()
        except BlockingIOError:
            return False
        if self.parts[worker].hand_over(sock):
            sock.close()
        else:
            self.take(worker, sock)
        return True

    def receive(self, worker: int) -> int:
        """Take what others passed to this worker; how many."""
        taken = 0
        while (sock := self.parts[worker].receive()) is not None:
            self.take(worker, sock)
            taken += 1
        return taken

    def take(self, worker: int, sock: socket.socket) -> None:
        self.parts[worker].opened()
        self.held[worker].append(sock)

    def settle(self, connections: int) -> list[int]:
        """Let every worker accept and receive until all connections are held; how many each holds."""

        def settled() -> bool:
            for worker in range(len(self.parts)):
                self.accept(worker)
                self.receive(worker)
            return sum(map(len, self.held)) == connections

        wait_for(settled, f"{connections} connections to be held")
        return [len(held) for held in self.held]

    def drop(self, worker: int) -> None:
        """A connection of this worker ends."""
        self.held[worker].pop().close()
        self.parts[worker].closed()

    def close(self) -> None:
        for each in [*self.clients, *(sock for held in self.held for sock in held)]:
            each.close()
        for group in self.sockets:
            for each in group.all():
                each.close()


@pytest.fixture
def house() -> Iterator[House]:
    house = House(2)
    yield house
    house.close()


def pair(house: House) -> socket.socket:
    """A connected socket of which nobody accepted anything."""
    ours, theirs = socket.socketpair()
    house.clients.append(theirs)
    return ours


def test_four_connections_on_two_workers_end_two_and_two(house: House) -> None:
    for _ in range(4):
        house.connect()
    assert house.settle(4) == [2, 2]
    assert house.parts[0].total() == house.parts[1].total() == 4


def test_they_do_whichever_worker_accepts_them_all(house: House) -> None:
    for worker in (0, 1):
        for _ in range(4):
            sock = pair(house)
            if house.parts[worker].hand_over(sock):
                sock.close()
            else:
                house.take(worker, sock)
        house.receive(1 - worker)
    assert [len(held) for held in house.held] == [4, 4]


def test_a_hand_over_counts_before_it_is_received(house: House) -> None:
    for _ in range(4):
        sock = pair(house)
        if house.parts[0].hand_over(sock):
            sock.close()
        else:
            house.take(0, sock)
    assert [house.table.load(worker) for worker in (0, 1)] == [2, 2]
    assert len(house.held[1]) == 0, "nothing was received yet"
    assert house.receive(1) == 2
    assert [house.table.load(worker) for worker in (0, 1)] == [2, 2]


def test_forty_connections_on_four_workers() -> None:
    house = House(4)
    try:
        for _ in range(40):
            house.connect()
        assert house.settle(40) == [10, 10, 10, 10]
    finally:
        house.close()


def test_what_is_passed_is_the_connection_itself(house: House) -> None:
    for _ in range(6):
        house.connect()
    house.settle(6)
    said = set()
    for sock in (sock for held in house.held for sock in held):
        sock.setblocking(True)
        said.add(sock.recv(100))
        sock.sendall(b"back")
    assert said == {b"%d\n" % number for number in range(6)}
    assert [client.recv(100) for client in house.clients] == [b"back"] * 6


def test_the_receivers_descriptor_is_its_own(house: House) -> None:
    sock = pair(house)
    house.parts[0].opened()
    assert house.parts[0].hand_over(sock)
    sock.close()
    received = house.parts[1].receive()
    assert received is not None
    with received:
        house.clients[-1].sendall(b"still there")
        assert received.recv(100) == b"still there"


def test_connections_that_end_make_room(house: House) -> None:
    for _ in range(4):
        house.connect()
    house.settle(4)
    house.drop(1)
    house.drop(1)
    for _ in range(2):
        house.connect()
    assert house.settle(4) == [2, 2]


def test_an_even_load_is_not_passed_on(house: House) -> None:
    sock = pair(house)
    assert not house.parts[0].hand_over(sock)
    sock.close()


@pytest.mark.parametrize("state", [STARTING, DRAINING])
def test_a_worker_that_is_not_ready_gets_nothing(house: House, state: int) -> None:
    house.board.slot(1)[STATE] = state
    house.parts[0].opened()
    sock = pair(house)
    assert not house.parts[0].hand_over(sock)
    sock.close()


def test_a_full_inbox_falls_back(house: House) -> None:
    for _ in range(10_000):
        house.parts[0].opened()  # so that the other is the least loaded, however many it is sent
    sock = pair(house)
    passed = 0
    while house.parts[0].hand_over(sock):
        passed += 1
        assert passed < 10_000, "an inbox without a bound"
    load = house.table.load(1)
    assert load == passed, "what could not be passed is not counted"
    house.receive(1)
    assert house.parts[0].hand_over(sock), "there is room again"
    sock.close()


def test_nothing_passed_is_nothing_received(house: House) -> None:
    assert house.parts[0].receive() is None


def test_a_message_without_a_descriptor_is_stepped_over(house: House) -> None:
    """What arrives where the receiver is out of descriptors."""
    house.sockets[1].outbox.send(b"\0")
    house.parts[0].opened()
    sock = pair(house)
    assert house.parts[0].hand_over(sock)
    sock.close()
    received = house.parts[1].receive()
    assert received is not None
    received.close()
    assert house.parts[1].receive() is None


def test_a_successor_begins_with_no_connections_and_inherits_what_was_passed(house: House) -> None:
    for _ in range(3):
        house.parts[1].opened()
        house.parts[0].opened()
    house.parts[0].opened()
    sock = pair(house)
    assert house.parts[0].hand_over(sock)
    sock.close()
    assert house.table.load(1) == 4
    house.parts[1] = house.part(1)  # worker 1 died and was replaced
    assert house.table.load(1) == 1
    assert house.receive(1) == 1
    assert house.table.load(1) == 1
