"""Checkpoints: what they cover is not read again, what they do not is; a damaged one costs time and no sequence.

Crashes in every order of its writes are in tests/store/test_power.py.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ingestd.sequences import checkpoint
from ingestd.sequences.table import Client, Sequences
from ingestd.store import disk
from ingestd.store.batch import Mark
from ingestd.store.frame import FrameBuilder
from tests.fakes import FaultyOs, batch, records

NOW_S = 1_000


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def frame(client: str, sequence: int) -> bytes:
    builder = FrameBuilder("run-1", 0, 1, sequence)
    builder.add(batch(records(sequence, 1)))
    builder.mark(Mark(client, 1, sequence, lambda _: None))
    return builder.finish().data


def segment(folder: Path, number: int, content: bytes, suffix: str = "") -> Path:
    path = folder / f"log_0_20261120_12000{number}.jsonl.zst{suffix}"
    path.write_bytes(content)
    return path


def restored(sequences: Sequences, state: Path, data: Path) -> dict[str, int]:
    checkpoint.restore(sequences, state, data, NOW_S)
    return {client.id: client.durable for client in sequences.clients()}


def test_a_first_start(sequences: Sequences, state: Path, data: Path) -> None:
    assert restored(sequences, state, data) == {}


def test_clients_are_found_in_segments(sequences: Sequences, state: Path, data: Path) -> None:
    segment(data, 1, frame("a", 4) + frame("b", 2) + frame("a", 5))
    segment(data, 2, frame("a", 6) + frame("b", 3)[:-1], ".open")
    assert restored(sequences, state, data) == {"a": 6, "b": 2}


def test_only_what_a_checkpoint_does_not_cover_is_read(sequences: Sequences, state: Path, data: Path) -> None:
    covered = segment(data, 1, frame("a", 4))
    sequences.restore(Client("b", 9, 5))
    checkpoint.save(sequences, state, data)  # knows nothing of client a, as if it had read nothing
    fresh = Sequences(64)
    assert restored(fresh, state, data) == {"b": 9}
    assert list(fresh.clients()) == [Client("b", 9, 5)], "when it was seen is kept"
    segment(data, 2, frame("c", 1))
    covered.write_bytes(frame("a", 4) + frame("a", 5))  # another of the same name
    assert restored(Sequences(64), state, data) == {"a": 5, "b": 9, "c": 1}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"version":9}',
        b'{"version":1,"clients":{"a b":[1,1]}}',
        b'{"version":1,"clients":{"a":1}}',
    ],
)
def test_a_damaged_checkpoint_is_passed_over(
    sequences: Sequences, state: Path, data: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (state / checkpoint.FILE).write_bytes(content)
    segment(data, 1, frame("a", 4))
    assert restored(sequences, state, data) == {"a": 4}
    assert "all segments are read instead" in caplog.text


@pytest.mark.parametrize("call", ["open", "pwrite", "fsync", "rename"])
def test_a_checkpoint_that_fails_leaves_the_last_one(
    sequences: Sequences, state: Path, data: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    sequences.restore(Client("a", 1, 0))
    checkpoint.save(sequences, state, data)
    before = (state / checkpoint.FILE).read_bytes()
    sequences.restore(Client("a", 2, 0))
    faulty = FaultyOs()
    faulty.errors[call] = errno.ENOSPC
    with monkeypatch.context() as patched:
        patched.setattr(disk, "os", faulty)
        with pytest.raises(OSError, match="No space left"):
            checkpoint.save(sequences, state, data)
    assert {path.name: path.read_bytes() for path in state.iterdir()} == {checkpoint.FILE: before}


def test_what_a_killed_checkpoint_left_is_removed(sequences: Sequences, state: Path, data: Path) -> None:
    (state / f"{checkpoint.FILE}.123.new").write_bytes(b"half")
    restored(sequences, state, data)
    assert list(state.iterdir()) == []


def test_a_segment_that_cannot_be_read_is_told(
    sequences: Sequences, state: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (data / "log_0_20261120_120001.jsonl.zst").mkdir()
    segment(data, 2, frame("a", 4) + b"damaged")
    assert restored(sequences, state, data) == {"a": 4}
    assert "cannot read" in caplog.text
    assert "is damaged at byte" in caplog.text


def test_a_client_that_a_start_did_not_know_may_be_one_too_many(
    state: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    segment(data, 1, b"".join(frame(name, 1) for name in "abcd"))
    few = Sequences(4)
    checkpoint.restore(few, state, data, NOW_S)
    assert len(few) == 3
    assert "may have batches stored twice" in caplog.text
