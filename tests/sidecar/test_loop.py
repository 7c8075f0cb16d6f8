"""The sidecar's loop: a name that is not answered holds nobody up."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from ingestd.sidecar import loop as loop_module
from ingestd.sidecar.loop import Loop, is_number


class Names:
    """`socket.getaddrinfo`, but for names that begin with `slow`, which wait to be released."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.release = threading.Event()

    def getaddrinfo(self, host: str, *rest: Any) -> Any:
        self.asked.append(host)
        if host.startswith("slow"):
            self.release.wait(60)
            return socket.getaddrinfo("127.0.0.1", *rest)
        return socket.getaddrinfo(host, *rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(socket, name)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(loop_module, "socket", names)
    yield names
    names.release.set()


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(60):
            await scene()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(run())


async def look_up(host: str) -> Any:
    return await asyncio.get_running_loop().getaddrinfo(host, 80, type=socket.SOCK_STREAM)


def test_many_names_that_are_not_answered_hold_up_no_other_name_no_connection_and_no_end(
    names: Names,
) -> None:
    async def scene() -> None:
        waiting = [asyncio.ensure_future(look_up(f"slow{number}")) for number in range(20)]
        await asyncio.sleep(0)
        assert (await look_up("localhost"))[0][4][1] == 80
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, server.getsockname())
        assert not any(each.done() for each in waiting)
        for each in waiting:
            each.cancel()

    play(scene)  # and the loop is closed while they are looked up


def test_a_name_is_looked_up_once_however_many_ask_and_give_up(names: Names) -> None:
    async def scene() -> None:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await look_up("slow")
        assert names.asked == ["slow"]
        names.release.set()
        assert (await look_up("slow"))[0][4] == ("127.0.0.1", 80)
        await look_up("slow")
        assert names.asked == ["slow", "slow"], "an answer is for who asked, and not kept"

    play(scene)


def test_names_that_there_are_not(names: Names) -> None:
    async def scene() -> None:
        for name in ("nowhere.invalid", "a" * 300, "a..b"):
            with pytest.raises((OSError, UnicodeError)):
                await look_up(name)

    play(scene)


@pytest.mark.parametrize(
    ("host", "number"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        (b"127.0.0.1", True),
        (None, True),
        ("", True),
        ("localhost", False),
        ("127.0.0.1.example", False),
        (b"\xff", False),
    ],
)
def test_numbers(host: object, number: bool) -> None:
    assert is_number(host) is number
