from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ingestd.client import segment, segment_file, state
from ingestd.client.errors import FencedError, SpoolError
from ingestd.client.spool import Spool
from tests.client.spools import append, contents, options, reopened
from tests.fakes import FaultyOs


def segments(spool: Spool) -> list[Path]:
    return sorted(spool.folder.glob("*" + segment.SUFFIX))


def bads(folder: Path) -> list[Path]:
    return sorted(folder.glob("*" + segment.BAD_SUFFIX))


def agree(spool: Spool, last: int = 0) -> None:
    """A server takes the run that is due."""
    assert spool.resume(spool.run_of(spool.acknowledged + 1), last)


def test_what_was_appended_is_there_after_a_kill(tmp_path: Path) -> None:
    spool = Spool(options(tmp_path))
    append(spool, b"a\n", b"b\nb\n")
    again = reopened(spool)
    assert contents(again) == {1: b"a\n", 2: b"b\nb\n"}
    assert [again.entry(sequence).records for sequence in (1, 2)] == [1, 2]
    assert again.next_sequence == 3


def test_what_was_acknowledged_is_not_sent_again_even_if_the_server_has_forgotten(tmp_path: Path) -> None:
    spool = Spool(options(tmp_path))
    append(spool, b"a", b"b", b"c")
    assert [entry.sequence for entry in spool.acknowledge(2)] == [1, 2]
    assert spool.acknowledge(2) == []
    again = reopened(spool)
    assert contents(again) == {3: b"c"}


def test_a_sequence_is_never_used_again_when_all_files_are_gone(tmp_path: Path) -> None:
    spool = Spool(options(tmp_path))
    for number in range(1, 60):
        append(spool, b"x" * 500)
        spool.acknowledge(number)
    assert len(segments(spool)) == 1
    assert spool.size_bytes <= 3 << 10
    assert reopened(spool).next_sequence == 60


def test_segments_go_when_all_of_them_is_acknowledged(tmp_path: Path) -> None:
    spool = Spool(options(tmp_path))
    append(spool, *[b"x" * 400] * 10)
    assert len(segments(spool)) > 3
    spool.acknowledge(9)
    assert len(segments(spool)) == 1
    assert contents(spool) == {10: b"x" * 400}


def test_only_what_is_synced_may_be_sent(tmp_path: Path) -> None:
    spool = Spool(options(tmp_path))
    append(spool, b"a", sync=False)
    assert spool.sendable == 0
    spool.sync()
    assert spool.sendable == 1


def test_in_interval_mode_all_may_be_sent(tmp_path: Path) -> None:
    spool = Spool(options(tmp_path, spool_sync="interval"))
    append(spool, b"a", sync=False)
    assert spool.sendable == 1


def test_it_is_full_when_it_says(tmp_path: Path) -> None:
    spool = Spool(options(tmp_path))
    appended = 0
    while spool.has_room(900):
        append(spool, b"x" * 900)
        appended += 1
    assert 5 <= appended <= 8
    assert spool.size_bytes <= 8 << 10
    spool.acknowledge(appended - 2)
    assert spool.has_room(900)


def test_there_is_always_room_for_one(tmp_path: Path) -> None:
    spool = Spool(options(tmp_path))
    for number in range(1, 20):
        assert spool.has_room(1 << 11)
        append(spool, b"x" * (1 << 11))
        spool.acknowledge(number)


def test_truncated_anywhere_it_keeps_all_before_and_starts_a_new_id(tmp_path: Path) -> None:
    spool = Spool(options(tmp_path, spool_bytes=1 << 20))
    append(spool, b"a\n" * 10, b"b\n" * 5, b"c\n")
    agree(spool)
    spool.release()
    (path,) = segments(spool)
    ends = [0, *(entry.offset + entry.length for entry in segment.scan(path).entries)]
    for size in range(path.stat().st_size):
        copy = tmp_path / str(size)
        shutil.copytree(spool.folder, copy / "spool")
        with (copy / "spool" / path.name).open("r+b") as file:
            file.truncate(size)
        again = Spool(options(copy, spool_bytes=1 << 20))
        kept = sum(end <= size for end in ends[1:])
        assert list(contents(again)) == list(range(1, kept + 1))
        assert again.next_sequence == kept + 1
        whole = size in ends[1:] or size == len(segment.MAGIC)
        (torn,) = bads(copy / "spool") or [None]
        if size and not whole:
            assert torn is not None
            assert torn.read_bytes() == path.read_bytes()[ends[kept] or (size >= 16) * 16 : size]
            append(again, b"new")
            assert again.run_of(kept + 1).client.startswith("web-1.")
        else:
            assert torn is None
        if kept:
            assert again.run_of(kept).client == "web-1"
        again.release()


def test_a_spoiled_batch_costs_what_is_behind_it_in_its_segment_and_no_more(tmp_path: Path) -> None:
    spool = Spool(options(tmp_path))
    append(spool, *[bytes([65 + number]) * 300 for number in range(12)])
    agree(spool)
    spool.release()
    first = segments(spool)[0]
    lost = len(segment.scan(first).entries) - 1
    data = bytearray(first.read_bytes())
    data[segment.scan(first).entries[1].offset] ^= 1
    first.write_bytes(data)
    again = Spool(options(tmp_path))
    assert len(bads(spool.folder)) == 1
    assert again.last_of(again.run_of(1)) == lost + 1
    assert contents_of_run(again, 1) == [b"A" * 300]
    assert again.run_of(lost + 2).client != "web-1"
    runs = {again.run_of(sequence).client for sequence in range(lost + 2, 13)}
    assert len(runs) == 1
    third = reopened(again)
    assert {third.run_of(sequence).client for sequence in range(lost + 2, 13)} == runs


def contents_of_run(spool: Spool, first: int) -> list[bytes]:
    """The batches that are there, from `first` on, as far as they are."""
    found = []
    try:
        while True:
            found.append(spool.read(spool.entry(first + len(found))))
    except IndexError:
        return found


def test_what_a_failed_write_left_behind_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = FaultyOs()
    spool = Spool(options(tmp_path))
    append(spool, b"a")
    monkeypatch.setattr(segment_file, "os", faulty)
    faulty.errors["pwrite"] = errno.ENOSPC
    with pytest.raises(OSError, match="No space"):
        spool.append(b"b", 1)
    faulty.errors.clear()
    append(spool, b"c")
    assert contents(reopened(spool)) == {1: b"a", 2: b"c"}


def test_a_failed_sync_takes_back_what_was_not_durable_and_leaves_the_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = FaultyOs()
    spool = Spool(options(tmp_path))
    append(spool, b"a")
    monkeypatch.setattr(segment_file, "os", faulty)
    faulty.errors["fdatasync"] = errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        append(spool, b"b", b"c")
    assert (spool.next_sequence, spool.sendable) == (2, 1)
    faulty.errors.clear()
    append(spool, b"b", b"c")
    assert [path.name for path in segments(spool)] == [segment.file_name(1), segment.file_name(2)]
    assert contents(reopened(spool)) == {1: b"a", 2: b"b", 3: b"c"}


def test_a_segment_that_never_synced_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = FaultyOs()
    spool = Spool(options(tmp_path))
    monkeypatch.setattr(segment_file, "os", faulty)
    faulty.errors["fdatasync"] = errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        append(spool, b"a")
    faulty.errors.clear()
    append(spool, b"a", b"b")
    assert contents(reopened(spool)) == {1: b"a", 2: b"b"}


def test_a_folder_has_one_client(tmp_path: Path) -> None:
    spool = Spool(options(tmp_path))
    with pytest.raises(SpoolError, match="in use"):
        Spool(options(tmp_path))
    spool.release()
    spool.release()
    Spool(options(tmp_path)).close()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ('{"version": 2}', "version"),
        ("{}", "not the state"),
        ("what?", "not the state"),
        (
            '{"version": 1, "client": "other", "sync": "batch", "boot": "", "runs": []}',
            "of the client 'other'",
        ),
        (None, "no state.json"),
    ],
)
def test_a_folder_that_is_not_understood_is_left_alone(
    tmp_path: Path, spoil: str | None, message: str
) -> None:
    spool = Spool(options(tmp_path))
    append(spool, b"a")
    spool.close()
    path = spool.folder / state.STATE
    path.unlink()
    if spoil is not None:
        path.write_text(spoil)
    before = segments(spool)[0].read_bytes()
    with pytest.raises(SpoolError, match=message):
        Spool(options(tmp_path))
    assert segments(spool)[0].read_bytes() == before


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    with pytest.raises(SpoolError, match="cannot use the spool"):
        Spool(options(tmp_path))


@pytest.mark.parametrize(
    "changes",
    [{"format": "raw"}, {"compression": "zstd"}, {"schema": "logs"}],
    ids=["format", "compression", "schema"],
)
def test_what_was_spooled_for_another_kind_of_connection_keeps_it(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    spool = Spool(options(tmp_path))
    append(spool, b"a")
    again = reopened(spool, **changes)
    append(again, b"b")
    first, second = again.run_of(1), again.run_of(2)
    assert (first.format, first.compression, first.schema) == ("json", "none", None)
    assert not first.travels_like(second)
    assert again.last_of(first) == 1
    assert second.client == first.client == "web-1"


class TestResume:
    """What a server says it has, against what the spool knows."""

    def test_a_new_client_and_a_server_that_does_not_know_it(self, tmp_path: Path) -> None:
        spool = Spool(options(tmp_path))
        append(spool, b"a")
        agree(spool)
        assert spool.run_of(1).used
        assert reopened(spool).run_of(1).used

    def test_a_new_spool_for_a_client_that_the_server_knows(self, tmp_path: Path) -> None:
        """Its sequences were used before, for other data: the server would acknowledge and not store them."""
        spool = Spool(options(tmp_path))
        append(spool, b"a")
        assert not spool.resume(spool.run_of(1), 500)
        renamed = spool.run_of(1)
        assert renamed.client.startswith("web-1.")
        agree(spool)
        assert reopened(spool).run_of(1).client == renamed.client

    def test_a_server_that_is_ahead_of_what_we_know(self, tmp_path: Path) -> None:
        spool = Spool(options(tmp_path))
        append(spool, b"a", b"b")
        agree(spool)
        agree(spool, 2)

    def test_a_server_that_has_forgotten_us(self, tmp_path: Path) -> None:
        spool = Spool(options(tmp_path))
        append(spool, b"a", b"b")
        agree(spool)
        spool.acknowledge(1)
        agree(spool, 0)

    def test_a_server_that_missed_some_as_another_did_not(self, tmp_path: Path) -> None:
        """It would refuse the gap for ever."""
        spool = Spool(options(tmp_path))
        append(spool, *[b"x"] * 5)
        agree(spool)
        spool.acknowledge(4)
        assert not spool.resume(spool.run_of(5), 2)
        renamed = spool.run_of(5).client
        assert renamed != "web-1"
        assert reopened(spool).run_of(5).client == renamed

    def test_a_server_that_has_more_than_we_ever_sent(self, tmp_path: Path) -> None:
        spool = Spool(options(tmp_path))
        append(spool, b"a")
        agree(spool)
        with pytest.raises(FencedError, match="copy of this folder"):
            spool.resume(spool.run_of(1), 7)


class TestPowerCut:
    """The machine went down: what was not synced is gone, and the boot id is another."""

    @pytest.fixture(autouse=True)
    def boots(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.boot = "1"
        monkeypatch.setattr(state, "boot_id", lambda: self.boot)

    def cut(self, spool: Spool, lost_bytes: int) -> Spool:
        self.boot += "1"
        path = segments(spool)[-1]
        spool.release()
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - lost_bytes)
        return Spool(options(spool.folder.parent, spool_sync="interval"))

    def test_in_interval_mode_what_follows_has_a_new_id(self, tmp_path: Path) -> None:
        spool = Spool(options(tmp_path, spool_sync="interval"))
        append(spool, b"a", b"b")
        agree(spool)
        again = self.cut(spool, segment.HEAD_BYTES + 1)  # b, whole, as if it had never been
        append(again, b"other")
        assert contents(again) == {1: b"a", 2: b"other"}
        assert again.run_of(1).client == "web-1"
        assert again.run_of(2).client != "web-1"
        agree(again, 2)  # the server has a and b, and b is not `other`
        again.acknowledge(again.last_of(again.run_of(1)))
        assert contents(again) == {2: b"other"}

    def test_what_was_acknowledged_is_beyond_what_is_left(self, tmp_path: Path) -> None:
        spool = Spool(options(tmp_path, spool_sync="interval"))
        append(spool, b"a", b"b")
        agree(spool)
        spool.acknowledge(2)
        again = self.cut(spool, segment.HEAD_BYTES + 1)
        append(again, b"c")
        assert contents(again) == {3: b"c"}
        assert again.run_of(3).client != "web-1"

    def test_a_boot_in_batch_mode_changes_nothing(self, tmp_path: Path) -> None:
        spool = Spool(options(tmp_path))
        append(spool, b"a")
        self.boot = "2"
        again = reopened(spool)
        append(again, b"b")
        assert again.run_of(2).client == "web-1"


def test_the_state_keeps_no_run_that_is_over(tmp_path: Path) -> None:
    spool = Spool(options(tmp_path))
    for number in range(1, 20):
        append(spool, b"x")
        if number % 2:
            spool = reopened(spool, format="raw" if number % 4 == 1 else "json")
        spool.acknowledge(number)
    kept = json.loads((reopened(spool).folder / state.STATE).read_text())["runs"]
    assert len(kept) <= 2
