"""Whatever happens in whatever order: each batch reaches the servers once, unless one of them forgets the client."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ingestd.client.spool import Spool
from tests.client.spools import options


class SpoolMachine(RuleBasedStateMachine):
    """A spool, killed at will, and a server that keeps each batch by the rules of the protocol.

    There are two servers that know nothing of each other, as behind two addresses.
    """

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="spool-machine-"))
        self.spool = Spool(options(self.folder))
        self.servers: list[dict[str, int]] = [{}, {}]
        self.server = 0
        self.stored: list[bytes] = []
        self.handed: list[bytes] = []
        self.format = "json"
        self.unheard = False

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.release()
            shutil.rmtree(self.folder)

    @rule(size=st.integers(0, 500), times=st.integers(1, 4))
    def append(self, size: int, times: int) -> None:
        for _ in range(times):
            payload = b"%d " % len(self.handed) + b"x" * size
            if not self.spool.has_room(len(payload)):
                return
            self.spool.append(payload, 1)
            self.handed.append(payload)
        self.spool.sync()

    @rule(torn=st.binary(max_size=30))
    def kill(self, torn: bytes) -> None:
        """Also in the middle of a write, of which the beginning of a batch may be left."""
        newest = max(self.spool.folder.glob("*.batches"))
        self.spool.release()
        with newest.open("ab") as file:
            file.write(torn)
        self.spool = Spool(options(self.folder, format=self.format))

    @rule(format_=st.sampled_from(["json", "raw"]))
    def another_format(self, format_: str) -> None:
        self.format = format_
        self.kill(b"")

    @rule()
    def switch(self) -> None:
        """Only once it is known what the one has, or both might store the same."""
        if self.unheard:
            self.connect(0, True)
        self.server = 1 - self.server

    @rule(most=st.integers(0, 5), acknowledge=st.booleans())
    def connect(self, most: int, acknowledge: bool) -> None:
        """Send some batches; with `acknowledge` False the connection breaks before the client hears of it."""
        spool, known = self.spool, self.servers[self.server]
        if spool.sendable <= spool.acknowledged:
            return
        run = spool.run_of(spool.acknowledged + 1)
        last = known.get(run.client, 0)
        if not spool.resume(run, last):
            return
        end = spool.last_of(run)
        spool.acknowledge(min(last, end))
        for sequence in range(spool.acknowledged + 1, min(end, spool.acknowledged + most) + 1):
            last = known.get(run.client, 0)
            assert not last or sequence == last + 1, "a gap"
            known[run.client] = sequence
            self.stored.append(spool.read(spool.entry(sequence)))
            if acknowledge:
                spool.acknowledge(sequence)
        self.unheard = not acknowledge

    @rule()
    def finish(self) -> None:
        """Send all there is, to whatever server it was that may have it already."""
        for _ in range(20):
            self.connect(1000, True)
        assert self.spool.batches == 0
        assert sorted(self.stored) == sorted(self.handed)

    @invariant()
    def nothing_is_stored_twice(self) -> None:
        if hasattr(self, "stored"):
            assert len(self.stored) == len(set(self.stored))


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
