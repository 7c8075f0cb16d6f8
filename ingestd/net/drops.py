"""Datagrams that the kernel dropped: its counters, 32 bits wide and one for each socket, brought into ours."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ingestd.net.sockets import kernel_drops
from ingestd.stats import Slot, index

_DROPS: Final = index("ingestd_udp_kernel_drops_total")


class KernelDrops:
    """Counts in `slot`, from what the sockets say now, or said when an earlier program looked last."""

    def __init__(
        self, slot: Slot, sockets: Iterable[socket.socket], last: Mapping[int, int] | None = None
    ) -> None:
        self._slot = slot
        # One that was passed to this daemon may have counted for another before it.
        self.last = dict(_read(sockets) if last is None else last)
        """What each UDP socket said when it was last looked at, by descriptor."""

    def count(self, sockets: Iterable[socket.socket]) -> None:
        """Look at all UDP sockets of these."""
        for fd, now in _read(sockets):
            self._slot.add(_DROPS, (now - self.last.get(fd, 0)) % 2**32)
            self.last[fd] = now

    def forget(self, sock: socket.socket) -> None:
        """It is about to be closed, and its number may be another's then."""
        self.last.pop(sock.fileno(), None)


def _read(sockets: Iterable[socket.socket]) -> Iterator[tuple[int, int]]:
    for sock in sockets:
        if sock.type == socket.SOCK_DGRAM and sock.family != socket.AF_UNIX:
            yield sock.fileno(), kernel_drops(sock)
