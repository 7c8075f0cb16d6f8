"""The channel: what is told is heard, once, in order, by one, whatever its size and whoever is away."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from ingestd.observe import channel
from ingestd.observe.channel import MAX_MESSAGE_BYTES, Pair, Teller, make_pair, receive
from ingestd.observe.messages import Heartbeat, Match, Observation, Rejected
from tests.daemon import PATIENCE_S


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = make_pair()
    yield made
    for end in made:
        end.close()


def numbered(number: int) -> Observation:
    return Observation(number, services={"api": number})


async def hear(sock: socket.socket, count: int) -> list[Observation]:
    """The next `count` observations."""
    heard: list[Observation] = []
    enough = asyncio.Event()

    def listen(observation: Observation) -> None:
        heard.append(observation)
        if len(heard) >= count:
            enough.set()

    receiving = asyncio.ensure_future(receive(sock, listen))
    waiting = asyncio.ensure_future(enough.wait())
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait({receiving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if receiving.done():
        receiving.result()
    receiving.cancel()
    await asyncio.gather(receiving, return_exceptions=True)
    return heard


def test_all_that_is_noticed_arrives(pair: Pair) -> None:
    told = Observation(
        3,
        [Match("errors", "api", 7, 5, '{"message":"x"}', estimated=True)],
        [Heartbeat("node-1", "api", "2026-11-20T12:00:00.000000Z", 5, 10.0, "1.2", "10.0.0.1")],
        [Rejected("invalid_json", "no JSON", "{", "json", "tcp", "10.0.0.1", "2026-11-20T12:00:00.000000Z")],
        {"api": 12},
        True,
        {"10.0.0.1": 2},
    )
    Teller(pair.telling).tell(told)
    assert asyncio.run(hear(pair.hearing, 1)) == [told]


def test_what_finds_no_room_waits_and_keeps_its_order(pair: Pair) -> None:
    teller = Teller(pair.telling)
    number = 0
    while teller.push():
        teller.tell(numbered(number))
        number += 1
    for later in range(number, number + 5):
        teller.tell(numbered(later))
    heard = asyncio.run(hear(pair.hearing, 1))
    while not teller.push():
        heard += asyncio.run(hear(pair.hearing, 1))
    heard += asyncio.run(hear(pair.hearing, number + 5 - len(heard)))
    assert [observation.worker for observation in heard] == list(range(number + 5))


def test_a_large_one_is_told_in_parts(pair: Pair) -> None:
    matches = [Match("rule", f"service-{number}", 1, 0, "x" * 2048) for number in range(300)]
    services = {f"service-{number}": number for number in range(1000)}
    teller = Teller(pair.telling)
    teller.tell(Observation(0, matches, services=services, sources={"::1": 1}))
    heard: list[Observation] = []
    while not teller.push():
        heard += asyncio.run(hear(pair.hearing, 1))
    while sum(len(part.matches) for part in heard) < len(matches):
        heard += asyncio.run(hear(pair.hearing, 1))
    assert [match for part in heard for match in part.matches] == matches
    assert {name: number for part in heard for name, number in part.services.items()} == services
    assert [part.sources for part in heard if part.sources] == [{"::1": 1}]
    assert len(heard) > 300 * 2048 / MAX_MESSAGE_BYTES


def test_one_hears_at_a_time(pair: Pair) -> None:
    """A process that hears keeps others from it; when it stops or dies, the next one hears all that came since."""
    teller = Teller(pair.telling)
    ready, says = os.pipe()
    pid = os.fork()
    if not pid:
        asyncio.run(be_first(pair.hearing, says))
        os._exit(0)
    os.close(says)
    assert os.read(ready, 1) == b"r"
    teller.tell(numbered(1))
    assert os.read(ready, 1) == b"\x01"

    async def take_over() -> list[Observation]:
        hearing = asyncio.ensure_future(hear(pair.hearing, 1))
        await asyncio.sleep(5 * channel._LOOK_S)
        teller.tell(numbered(2))
        assert await asyncio.to_thread(os.read, ready, 1) == b"\x02"
        assert not hearing.done()
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, pid, 0)
        teller.tell(numbered(3))
        return await hearing

    assert [observation.worker for observation in asyncio.run(take_over())] == [3]
    os.close(ready)


async def be_first(hearing: socket.socket, says: int) -> None:
    receiving = asyncio.ensure_future(
        receive(hearing, lambda observation: os.write(says, bytes([observation.worker])))
    )
    await asyncio.sleep(0)
    os.write(says, b"r")
    await receiving


def test_what_another_version_says_is_passed_over(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    pair.telling.send(b"\xc1")
    Teller(pair.telling).tell(numbered(1))
    assert asyncio.run(hear(pair.hearing, 1)) == [numbered(1)]
    assert "another version" in caplog.text


def test_a_listener_that_fails_is_no_secret(pair: Pair) -> None:
    Teller(pair.telling).tell(numbered(1))

    def fail(_: Observation) -> None:
        raise RuntimeError("a bug")

    async def go() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await receive(pair.hearing, fail)

    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(go())


def test_a_teller_without_anyone_to_hear_keeps_what_it_has(pair: Pair) -> None:
    pair.hearing.close()
    teller = Teller(pair.telling)
    teller.tell(numbered(1))
    assert not teller.push()
