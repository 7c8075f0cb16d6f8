"""ingestd.socket: systemd holds the ports, so that whatever becomes of the daemon, who connects is served."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from tests.daemon import wait_for
from tests.systemd.service import CONFIG, HTTP_PORT, TCP_PORT, UDP_PORT, Service, finish, ready_workers


@pytest.fixture
def activated(service: Service) -> Iterator[Service]:
    """The ports held, the daemon not started."""
    service.box.run("systemctl", "start", "ingestd.socket")
    yield service


def test_the_first_who_connects_starts_it(activated: Service) -> None:
    assert activated.property("ActiveState") == "inactive"
    activated.send("hello")
    wait_for(lambda: activated.property("ActiveState") == "active", "it to say that it is ready")
    activated.wait_written(1)
    listen = activated.stats()["listen"]
    assert (listen["tcp"], listen["udp"]) == (f"127.0.0.1:{TCP_PORT}", f"127.0.0.1:{UDP_PORT}")


def test_a_crash_loses_nobody_who_connects_meanwhile(activated: Service) -> None:
    activated.drop_in("[Service]\nRestartSec=3\n")
    activated.systemctl("start")
    activated.send("before")
    activated.wait_written(1)
    activated.systemctl("kill", "--signal=SIGKILL", "--kill-who=all")
    wait_for(lambda: activated.property("SubState") == "auto-restart", "the end of all of it")
    # Nobody is there: these wait in the kernel's queues, which systemd keeps.
    waiting = [activated.box.connect(TCP_PORT) for _ in range(20)]
    scraping = activated.box.connect(HTTP_PORT)
    scraping.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    with activated.box.connect(UDP_PORT, socket.SOCK_DGRAM) as datagrams:
        datagrams.send(b'{"message":"datagram"}')
    authority = ssl.create_default_context(cadata=activated.box.path("/etc/ingestd/certs/ca.crt").read_text())
    threads = [
        threading.Thread(
            target=lambda sock, number: finish(
                authority.wrap_socket(sock, server_hostname="localhost"), f"waiting {number}"
            ),
            args=(sock, number),
        )
        for number, sock in enumerate(waiting)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scraping.recv(1 << 16).startswith(b"HTTP/1.1 200")
    scraping.close()
    activated.wait_written(21)
    expected = ["before", "datagram", *(f"waiting {number}" for number in range(20))]
    assert sorted(activated.messages()) == sorted(expected)
    assert activated.number("NRestarts") == 1


def test_more_workers_than_sockets_share_them(activated: Service) -> None:
    """systemd's are root's, so the kernel lets no socket of the daemon's user join their port."""
    activated.systemctl("start")
    pid = activated.number("MainPID")
    activated.box.run("sed", "-i", "s/^workers = 0/workers = 6/", CONFIG)
    activated.systemctl("reload")
    wait_for(lambda: len(ready_workers(activated)) == 6, "six workers")
    for number in range(12):
        activated.send(f"connected {number}")
    with activated.box.connect(UDP_PORT, socket.SOCK_DGRAM) as datagrams:
        for number in range(12):
            datagrams.send(b'{"message":"datagram %d"}' % number)
    activated.wait_written(24)
    assert activated.number("MainPID") == pid


def test_a_restart_refuses_nobody(activated: Service) -> None:
    activated.systemctl("start")
    stop = threading.Event()
    sent = 0
    failures: list[BaseException] = []

    def connect_again_and_again() -> None:
        nonlocal sent
        try:
            while not stop.is_set():
                activated.send("connected")
                sent += 1
        except BaseException as failure:  # noqa: BLE001 - raised again below
            failures.append(failure)

    sender = threading.Thread(target=connect_again_and_again)
    sender.start()
    wait_for(lambda: sent > 3, "some to connect")
    activated.systemctl("restart")
    before = sent
    wait_for(lambda: sent > before + 3 or failures, "some more to connect")
    stop.set()
    sender.join()
    if failures:
        raise failures[0]
    activated.systemctl("stop")
    assert activated.messages() == ["connected"] * sent
