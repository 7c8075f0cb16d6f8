"""How observations travel: one pair of datagram sockets, made before the fork, that all workers send on.

    worker 0 --\
    worker 1 ---+-- telling ==AF_UNIX, SOCK_DGRAM==> hearing -- sidecar
    worker n --/

A datagram is one `Observation` in MessagePack. Sending never blocks: what the kernel has no room for waits in the
worker, which goes on gathering meanwhile (observer.py), so that nothing is lost while no sidecar hears, and what waits
is bounded. The supervisor keeps both ends open, so the pair outlives workers, sidecars, reloads and upgrades.

Of two sidecars, as there are during a reload, one hears. Which one is told by a lock on the socket (fcntl(2), advisory,
owned by the process): who retires gives it back, of who dies the kernel takes it.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import socket
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

from ingestd.observe.messages import Observation
from ingestd.ratelog import RateLog

#: Of one datagram. The kernel takes up to about 200 KB; smaller ones leave room for those of other workers.
MAX_MESSAGE_BYTES: Final = 32 << 10

#: So many are heard at once, so that everything else on the sidecar's loop gets its turn.
_BATCH: Final = 64

#: How often a sidecar asks whether the one before it has stopped hearing.
_LOOK_S: Final = 0.02

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Observation)

log = RateLog(logging.getLogger("ingestd.observe"))


class Pair(NamedTuple):
    """The two ends."""

    telling: socket.socket
    hearing: socket.socket


def make_pair() -> Pair:
    """A new pair, neither end of which blocks."""
    telling, hearing = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    telling.setblocking(False)
    hearing.setblocking(False)
    return Pair(telling, hearing)


class Teller:
    """A worker's end. What there was no room for waits here, and is sent first."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._waiting: deque[bytes] = deque()

    def tell(self, observation: Observation) -> None:
        """Send it, in as many messages as it takes, as far as there is room."""
        self._waiting.extend(_messages(observation))
        self.push()

    def push(self) -> bool:
        """Send what waits. Whether all of it is sent: then more may be told."""
        while self._waiting:
            try:
                self._sock.send(self._waiting[0])
            except OSError:  # no room for now; or, at the daemon's end, nobody who would ever hear it
                return False
            self._waiting.popleft()
        return True


def _messages(observation: Observation) -> Iterator[bytes]:
    """The observation as messages of at most `MAX_MESSAGE_BYTES`, each a part of what was noticed."""
    message = _encoder.encode(observation)
    if len(message) <= MAX_MESSAGE_BYTES:
        yield message
    else:
        for part in _halves(observation):
            yield from _messages(part)


def _halves(whole: Observation) -> tuple[Observation, Observation]:
    """Two observations that tell the same. No single thing is larger than a message."""
    matches, heartbeats, rejects = whole.matches, whole.heartbeats, whole.rejects
    services = list(whole.services.items())
    at = [len(part) // 2 for part in (matches, heartbeats, rejects, services)]
    first = Observation(
        whole.worker,
        matches[: at[0]],
        heartbeats[: at[1]],
        rejects[: at[2]],
        dict(services[: at[3]]),
        whole.estimated,
        whole.sources,
    )
    second = Observation(
        whole.worker,
        matches[at[0] :],
        heartbeats[at[1] :],
        rejects[at[2] :],
        dict(services[at[3] :]),
        whole.estimated,
    )
    return first, second


async def receive(sock: socket.socket, hear: Callable[[Observation], object]) -> None:
    """Call `hear` with each observation that comes on `sock`, until cancelled; no other process hears meanwhile.

    Before, waits until the process that hears now has stopped. What comes in the meantime is kept by the kernel and by
    the workers. An error of `hear` is raised here.
    """
    while not _is_ours(sock):
        await asyncio.sleep(_LOOK_S)
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(sock, readable.set)
    try:
        while True:
            await readable.wait()
            readable.clear()
            _hear_waiting(sock, hear)
    finally:
        loop.remove_reader(sock)
        fcntl.lockf(sock, fcntl.LOCK_UN)


def _is_ours(sock: socket.socket) -> bool:
    """Take the right to hear, if nobody has it."""
    try:
        fcntl.lockf(sock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _hear_waiting(sock: socket.socket, hear: Callable[[Observation], object]) -> None:
    for _ in range(_BATCH):
        try:
            message = sock.recv(2 * MAX_MESSAGE_BYTES)
        except BlockingIOError:
            return
        try:
            observation = _decoder.decode(message)
        except msgspec.MsgspecError as error:  # of a worker of another version, until it has left
            log.warning("message", "an observation of another version means nothing to this one: %s", error)
            continue
        hear(observation)
