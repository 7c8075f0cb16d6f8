"""Power loss: whenever it comes, and whatever failed before, recovery yields every acknowledged batch exactly once.

A writer, its clients and checkpoints run on a disk that is recorded (power.py). For a cut of the power behind any of
its calls, a daemon starts on what may be left: what it tells each client covers what that had been told before, and the
records on disk are those of the batches up to there, each once. So data and sequence are never apart, and a client that
goes on behind what it is told loses and doubles nothing.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import pytest

from ingestd.sequences import checkpoint
from ingestd.sequences.table import Claim, Sequences
from ingestd.store import disk
from ingestd.store import writer as writer_module
from ingestd.store.batch import Mark, Pack
from ingestd.store.folder import Folder
from ingestd.store.takeover import Mine, TakeOver
from ingestd.store.writer import SegmentWriter
from tests.daemon import PATIENCE_S, wait_for
from tests.fakes import KeepingListener, batch, records, segments, seqs
from tests.store.conftest import settings
from tests.store.power import Event, RecordingOs, left_over, told

CLIENTS = ("a", "b", "c")

#: How the writer's thread ends when it is killed.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

#: Records of batch n of client c have the numbers c * 1,000,000 + n * 10, … + 1, …
_OF_CLIENT, _OF_BATCH = 1_000_000, 10


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "RETRY_S", 0.0005)
    monkeypatch.setattr(writer_module, "LEFT_RETRY_S", 0.005)
    monkeypatch.setattr(writer_module, "COMMIT_GAP_S", 0.0)


@contextmanager
def table() -> Iterator[Sequences]:
    sequences = Sequences(64)
    try:
        yield sequences
    finally:
        os.close(sequences.memory.fd)


@contextmanager
def recorded(random: Random, folder: Path) -> Iterator[RecordingOs]:
    recording = RecordingOs(random)
    recording.load(folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(disk, "os", recording)
        yield recording


class Load:
    """Clients that number their batches, over one writer."""

    def __init__(
        self, root: Path, random: Random, recording: RecordingOs, sequences: Sequences, max_bytes: int
    ) -> None:
        self.sent: dict[str, list[int]] = {client: [] for client in CLIENTS}  # records, by sequence - 1
        self._random = random
        self._recording = recording
        self._sequences = sequences
        self._claims: dict[str, Claim] = {client: sequences.claim(client, 0) for client in CLIENTS}
        self._state, self._data = root / "state", root / "data"
        given = settings(self._data)._replace(max_bytes=max_bytes)
        self.writer = SegmentWriter(given, KeepingListener(), self._durable)
        self.writer.start()

    def _durable(self, marks: list[Mark]) -> None:
        for mark in marks:
            self._sequences.durable(mark.entry, mark.sequence, 0)
            self._recording.tell(mark.client, mark.sequence)

    def send(self) -> None:
        """One batch, of which perhaps nothing is good."""
        client = self._random.choice(CLIENTS)
        claim, counts = self._claims[client], self.sent[client]
        counts.append(self._random.randrange(4))
        sequence = len(counts)
        assert self._sequences.take(claim, sequence, 0)
        padding_bytes = self._random.choice([0, 0, 600, 9_000])
        good = records(first(client, sequence), counts[-1], padding_bytes=padding_bytes)
        batches = [batch(good)] if good.records else []
        self.writer.append_pack(Pack(batches, Mark(client, claim.entry, sequence, lambda _: None)))

    def settled(self) -> bool:
        return all(self._sequences.settled(claim) is not None for claim in self._claims.values())

    def wait(self) -> None:
        wait_for(self.settled, "all to be durable")

    def save(self) -> None:
        with suppress(OSError):
            checkpoint.save(self._sequences, self._state, self._data)


def first(client: str, sequence: int) -> int:
    return CLIENTS.index(client) * _OF_CLIENT + sequence * _OF_BATCH


def run(
    root: Path, random: Random, batches: int, fault_rate: float, killed_at: int | None
) -> tuple[list[Event], Load]:
    """A run, recorded; with faults in its middle. Where it is killed, another daemon starts on the same disk, the power
    being on."""
    for name in ("data", "state"):
        (root / name).mkdir(parents=True)
    with table() as sequences, recorded(random, root) as recording:
        load = Load(root, random, recording, sequences, random.choice([3_000, 30_000, 1 << 30]))
        for number in range(batches):
            recording.fault_rate = fault_rate if batches // 4 < number < batches * 3 // 4 else 0.0
            load.send()
            if random.random() < 0.1:
                load.save()
            if number == killed_at:
                recording.killed = True
                break
            if random.random() < 0.3 and not recording.fault_rate:
                load.wait()
        recording.fault_rate = 0.0
        if killed_at is None:
            load.wait()
        load.writer.close(PATIENCE_S)
        recording.killed = False
        if killed_at is not None:
            start(root, load, told(recording.events), recording)
        return recording.events, load


def start(root: Path, load: Load, known: dict[str, int], recording: RecordingOs) -> None:
    """A daemon starts on what is left, and tells its clients; checks that this is true and enough."""
    for name in ("data", "state"):
        (root / name).mkdir(parents=True, exist_ok=True)
    with table() as sequences:
        checkpoint.restore(sequences, root / "state", root / "data", 0)
        durable = {client.id: client.durable for client in sequences.clients()}
    for client, sequence in durable.items():
        recording.tell(client, sequence)
    recovery, failures = TakeOver(Folder.at(root / "data"), Mine(0, {}, "run-2", 0)).begin()
    assert failures == 0
    assert all(sequence <= durable[client] for client, sequence in recovery.clients.items())
    for client in CLIENTS:
        assert durable.get(client, 0) >= known.get(client, 0), f"{client} was told {known[client]}"
    expected = Counter(
        first(client, sequence) + number
        for client, sequence_end in durable.items()
        for sequence, count in enumerate(load.sent[client][:sequence_end], 1)
        for number in range(count)
    )
    assert Counter(seqs(*(root / "data").glob("log_*.jsonl.zst"))) == expected
    assert not [path.name for path in (root / "data").glob("log_*") if path.suffix not in (".zst", ".bad")]


def cut_and_start(events: list[Event], root: Path, scratch: Path, load: Load, random: Random) -> None:
    """Cut the power, start; cut it again within the start, and start again."""
    once, twice = scratch / "once", scratch / "twice"
    left_over(events, root, once, random)
    with recorded(random, once) as starting:
        loaded = len(starting.events)
        start(once, load, told(events), starting)
    again = starting.events[: random.randrange(loaded, len(starting.events) + 1)]
    left_over(again, once, twice, random)
    with recorded(random, twice) as starting:
        start(twice, load, told(events) | told(again), starting)
    shutil.rmtree(scratch, ignore_errors=True)


def round_(
    tmp_path: Path, seed: int, cuts: int, batches: int = 40, fault_rate: float = 0.0, killed: bool = False
) -> None:
    random = Random(seed)
    root = tmp_path / str(seed)
    killed_at = random.randrange(batches // 4, batches) if killed else None
    events, load = run(root, random, batches, fault_rate, killed_at)
    moments = range(len(events) + 1)
    for moment in random.sample(moments, min(cuts, len(moments))):
        cut_and_start(events[:moment], root, tmp_path / "scratch", load, random)
    shutil.rmtree(root)


def test_power_loss_at_every_call(tmp_path: Path) -> None:
    round_(tmp_path, seed=1, cuts=10_000, batches=12)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("seed", range(2, 6))
@pytest.mark.parametrize("fault_rate", [0.0, 0.1, 0.4])
def test_power_loss_after_faults(tmp_path: Path, seed: int, fault_rate: float, killed: bool) -> None:
    round_(tmp_path, seed, cuts=15, fault_rate=fault_rate, killed=killed)


def test_a_sync_that_failed_is_not_taken_for_one_that_returned_later(tmp_path: Path) -> None:
    """The writer dies of it; what it wrote is there to be read until the power goes, and then it is not."""
    root, random = tmp_path / "root", Random(1)
    for name in ("data", "state"):
        (root / name).mkdir(parents=True)
    with table() as sequences, recorded(random, root) as recording:
        load = Load(root, random, recording, sequences, 1 << 30)
        load.send()
        load.wait()
        recording.deadly = "fdatasync"
        load.send()
        load.writer.close(PATIENCE_S)
        recording.killed, recording.deadly = False, ""
        start(root, load, told(recording.events), recording)
    for _ in range(10):
        cut_and_start(recording.events, root, tmp_path / "scratch", load, random)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_power_loss_long(tmp_path: Path) -> None:
    for seed in range(1_000, 1_200):
        round_(tmp_path, seed, 50, 60, fault_rate=seed % 5 * 0.1, killed=seed % 2 > 0)


def test_a_segment_cut_at_every_byte_of_its_last_frames(tmp_path: Path) -> None:
    root, random = tmp_path / "root", Random(1)
    for name in ("data", "state"):
        (root / name).mkdir(parents=True)
    with table() as sequences, recorded(random, root) as recording:
        load = Load(root, random, recording, sequences, 1 << 30)
        ends = []
        for _ in range(6):
            load.send()
            load.wait()
            ends.append((segments(root / "data")[-1].stat().st_size, told(recording.events)))
        (path,) = segments(root / "data")
        content = path.read_bytes()
        load.writer.close(PATIENCE_S)
    for size_bytes in range(ends[3][0], len(content) + 1):
        scratch = tmp_path / "scratch"
        (scratch / "data").mkdir(parents=True)
        (scratch / "data" / path.name).write_bytes(content[:size_bytes])
        known = next(known for end_bytes, known in reversed(ends) if end_bytes <= size_bytes)
        with recorded(random, scratch) as starting:
            start(scratch, load, known, starting)
        shutil.rmtree(scratch)
