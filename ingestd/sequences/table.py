"""The table of clients in shared memory: an open-addressing hash table of 128-byte entries, one per client id.

    entry:  0 state | 1 epoch | 2 taken | 3 durable | 4 seen (UNIX s) | 5 owner | 6, 7 spare | 8…15 id, padded with NUL

A client belongs to the connection that claimed it last: `claim` raises the entry's epoch, and `take` refuses whoever
has an older one, in whatever worker it is. What an older connection had taken by then is on its way to disk, so the
new one waits until `settled` says that it is decided: durable, or lost with the worker (`owner`) that died. Only then
may it tell its client what was durable last.

Looking at the epoch and taking are one step under a lock of the entry: a POSIX record lock on the memory's own file,
which the kernel gives back when a process dies. It costs two system calls a batch. `durable` is a single aligned word
that only the writer thread of the owner writes, past any lock.
"""

from __future__ import annotations

import fcntl
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

from ingestd.memory import Memory

MAX_ID_BYTES: Final = 64
MAX_SEQUENCE: Final = 2**63 - 1
CAPACITY: Final = 1 << 17

#: Raised with every change of the layout above: a program of another layout cannot take the table over.
LAYOUT: Final = 1

_ID: Final = re.compile(rf"[A-Za-z0-9._:-]{{1,{MAX_ID_BYTES}}}", re.ASCII)

_ENTRY_BYTES: Final = 128
_WORDS: Final = _ENTRY_BYTES // 8
_STATE, _EPOCH, _TAKEN, _DURABLE, _SEEN, _OWNER = range(6)
_ID_AT: Final = 64
_FREE, _USED, _GONE = range(3)  # gone: free, but a search goes on behind it

#: The header: one entry before the first.
_CHECKPOINTED, _CLIENTS = range(2)

#: No fuller than this, or searches become long.
_MAX_LOAD: Final = 0.75


class TableFullError(Exception):
    """There is no room for another client."""


class Claim(NamedTuple):
    """A client's entry and the epoch of the connection that it belongs to."""

    entry: int
    epoch: int


class Client(NamedTuple):
    """One client: the sequence of its last durable batch (0 if none is), and when it was last heard of (UNIX s)."""

    id: str
    durable: int
    seen_s: int


def is_client_id(text: str) -> bool:
    """Whether `text` may name a client: 1 to 64 of letters, digits and `._:-`."""
    return _ID.fullmatch(text) is not None


class Sequences:
    """All clients. Made before the fork."""

    def __init__(self, capacity: int = CAPACITY, memory: Memory | None = None) -> None:
        """`memory` is that of a table made before, by this program or another of this layout. Raises `OSError`."""
        self.memory = memory or Memory("ingestd-sequences", (capacity + 1) * _ENTRY_BYTES)
        self._capacity = self.memory.nbytes // _ENTRY_BYTES - 1
        self._map = self.memory.bytes
        self._words = self.memory.words()

    def claim(self, client: str, now_s: int) -> Claim:
        """Make `client` belong to a new connection. Raises `TableFullError`."""
        with self._locked(0):
            entry = self._find(client)
            if entry is None:
                entry = self._insert(client)
            at = entry * _WORDS
            with self._locked(entry):
                self._words[at + _EPOCH] += 1
                self._words[at + _SEEN] = now_s
                return Claim(entry, self._words[at + _EPOCH])

    def holds(self, claim: Claim) -> bool:
        """Whether no newer connection has claimed the client."""
        return self._words[claim.entry * _WORDS + _EPOCH] == claim.epoch

    def settled(self, claim: Claim) -> int | None:
        """The client's last durable sequence; None while something it sent before is neither durable nor lost."""
        at = claim.entry * _WORDS
        durable = self._words[at + _DURABLE]
        return durable if durable >= self._words[at + _TAKEN] else None

    def take(self, claim: Claim, sequence: int, owner: int) -> bool:
        """Note that `owner`, a worker's number, will write the batch; False if the claim is no longer held."""
        at = claim.entry * _WORDS
        with self._locked(claim.entry):
            if self._words[at + _EPOCH] != claim.epoch:
                return False
            self._words[at + _OWNER] = owner
            self._words[at + _TAKEN] = sequence
            return True

    def durable(self, entry: int, sequence: int, now_s: int) -> None:
        """A batch is on disk. For the writer of the worker that took it."""
        self._words[entry * _WORDS + _SEEN] = now_s
        self._words[entry * _WORDS + _DURABLE] = sequence

    def orphans(self, owner: int) -> list[int]:
        """The entries of which a worker that is gone had taken what is not durable. For its successor, before it takes
        anything itself."""
        entries = ((entry, entry * _WORDS) for entry in self._used())
        return [
            entry
            for entry, at in entries
            if self._words[at + _OWNER] == owner and self._words[at + _DURABLE] < self._words[at + _TAKEN]
        ]

    def settle(self, orphans: list[int], found: Mapping[str, int]) -> None:
        """Decide what a worker that is gone had taken: `found` says which sequences are on disk, the rest is lost."""
        for entry in orphans:
            at = entry * _WORDS
            with self._locked(entry):
                durable = max(self._words[at + _DURABLE], found.get(self._id(entry), 0))
                self._words[at + _DURABLE] = self._words[at + _TAKEN] = durable

    def restore(self, client: Client) -> None:
        """Take up what is known from before the start; the highest sequence holds. Raises `TableFullError`."""
        with self._locked(0):
            entry = self._find(client.id)
            if entry is None:
                entry = self._insert(client.id)
        at = entry * _WORDS
        durable = max(self._words[at + _DURABLE], client.durable)
        self._words[at + _DURABLE] = self._words[at + _TAKEN] = durable
        self._words[at + _SEEN] = max(self._words[at + _SEEN], client.seen_s)

    def clients(self) -> Iterator[Client]:
        """All clients of which something is durable."""
        for entry in self._used():
            at = entry * _WORDS
            if self._words[at + _DURABLE]:
                yield Client(self._id(entry), self._words[at + _DURABLE], self._words[at + _SEEN])

    def __len__(self) -> int:
        return self._words[_CLIENTS]

    def forget(self, unseen_since_s: int) -> int:
        """Remove clients unseen since then; one that is connected after all is fenced. Returns how many."""
        old = [entry for entry in self._used() if self._words[entry * _WORDS + _SEEN] < unseen_since_s]
        forgotten = 0
        for entry in old:
            at = entry * _WORDS
            with self._locked(0), self._locked(entry):
                if (
                    self._words[at + _SEEN] >= unseen_since_s
                    or self._words[at + _DURABLE] < self._words[at + _TAKEN]
                ):
                    continue
                self._words[at + _EPOCH] += 1
                self._words[at + _STATE] = _GONE
                self._words[_CLIENTS] -= 1
                forgotten += 1
        return forgotten

    def checkpoint_due(self, now_s: int, interval_s: int) -> bool:
        """Whether the caller, of all processes, should write the next checkpoint now."""
        with self._locked(0):
            due = now_s - self._words[_CHECKPOINTED] >= interval_s
            if due:
                self._words[_CHECKPOINTED] = now_s
            return due

    @contextmanager
    def _locked(self, entry: int) -> Iterator[None]:
        """Entry 0 is the header; its lock is of whoever adds, removes or looks for a client."""
        fcntl.lockf(self.memory.fd, fcntl.LOCK_EX, 1, entry)
        try:
            yield
        finally:
            fcntl.lockf(self.memory.fd, fcntl.LOCK_UN, 1, entry)

    def _chain(self, client: str) -> Iterator[int]:
        start = zlib.crc32(client.encode()) % self._capacity
        return (1 + (start + step) % self._capacity for step in range(self._capacity))

    def _find(self, client: str) -> int | None:
        padded = client.encode().ljust(MAX_ID_BYTES, b"\0")
        for entry in self._chain(client):
            state = self._words[entry * _WORDS + _STATE]
            at = entry * _ENTRY_BYTES + _ID_AT
            if state == _FREE:
                return None
            if state == _USED and self._map[at : at + MAX_ID_BYTES] == padded:
                return entry
        return None

    def _insert(self, client: str) -> int:
        if len(self) >= self._capacity * _MAX_LOAD:
            raise TableFullError(f"there are {len(self)} clients already")
        entry = next(entry for entry in self._chain(client) if self._words[entry * _WORDS + _STATE] != _USED)
        at = entry * _ENTRY_BYTES
        self._map[at + _ID_AT : at + _ENTRY_BYTES] = client.encode().ljust(MAX_ID_BYTES, b"\0")
        epoch = self._words[entry * _WORDS + _EPOCH]  # goes on rising: an old claim of the place must not fit
        self._map[at : at + _ID_AT] = bytes(_ID_AT)
        self._words[entry * _WORDS + _EPOCH] = epoch
        self._words[entry * _WORDS + _STATE] = _USED
        self._words[_CLIENTS] += 1
        return entry

    def _used(self) -> Iterator[int]:
        states = self._words[_WORDS + _STATE :: _WORDS]
        return (entry for entry, state in enumerate(states.tolist(), 1) if state == _USED)

    def _id(self, entry: int) -> str:
        at = entry * _ENTRY_BYTES + _ID_AT
        return self._map[at : at + MAX_ID_BYTES].rstrip(b"\0").decode()
