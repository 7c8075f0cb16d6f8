"""Recovery: of whatever an `.open` file holds, complete frames stay, the rest is set aside, nothing is destroyed.

The one rule behind most tests: closed file + set aside = the file as it was, byte for byte.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.record import Encoded
from ingestd.store import recovery as recovery_module
from ingestd.store.batch import Recovery
from ingestd.store.frame import FrameBuilder
from ingestd.store.recovery import leftovers, newest_closed, recover, strays, take_over, walk
from ingestd.store.segment import DESCRIPTION_MAGIC, HEADER, decode_description
from tests.fakes import FaultyOs, KeepingListener, batch, records, segments, seqs
from tests.store.conftest import StartWriter

STEM = "log_0_20261120_120000"
OPEN = f"{STEM}.jsonl.zst.open"
CLOSED = f"{STEM}.jsonl.zst"
BAD = f"{STEM}.jsonl.zst.bad"


def frames(count: int, *, instance: str = "run-1", worker: int = 0, first: int = 1) -> list[bytes]:
    """Small frames as they stand in a file; frame n holds one record, whose `seq` is n."""
    builder = FrameBuilder(instance, worker, 1, first - 1)
    made = []
    for number in range(first, first + count):
        builder.add(batch(records(number, 1)))
        made.append(builder.finish().data)
    return made


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its content and its time of last write."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.iterdir())}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def recovered(folder: Path, data: bytes) -> tuple[bytes, bytes]:
    """What recovery makes of an open file with `data`: the closed file and what it set aside; the folder is emptied."""
    path = folder / OPEN
    path.write_bytes(data)
    recover(path)
    left = contents(folder)
    assert left.keys() <= {CLOSED, BAD}
    closed, bad = left.get(CLOSED, b""), left.get(BAD, b"")
    assert closed + bad == data
    for name in left:
        (folder / name).unlink()
    return closed, bad


def test_a_whole_file_is_closed_as_it_is(tmp_path: Path) -> None:
    data = b"".join(frames(3))
    assert recovered(tmp_path, data) == (data, b"")


def test_a_file_cut_at_any_byte_keeps_every_complete_frame(tmp_path: Path) -> None:
    made = frames(4)
    data = b"".join(made)
    ends = [len(b"".join(made[:count])) for count in range(5)]
    for cut in range(ends[2], len(data) + 1):
        closed, bad = recovered(tmp_path, data[:cut])
        complete = max(end for end in ends if end <= cut)
        assert len(closed) == complete, f"cut at {cut}"
        assert len(bad) == cut - complete


def test_a_file_cut_within_its_first_frame_leaves_no_segment(tmp_path: Path) -> None:
    (first,) = frames(1)
    for cut in range(len(first)):
        assert recovered(tmp_path, first[:cut]) == (b"", first[:cut])


@pytest.mark.parametrize("flip", [0xFF, 0x01, 0x80])
def test_a_flipped_byte_in_the_data_of_the_last_frame(tmp_path: Path, flip: int) -> None:
    made = frames(3)
    data = b"".join(made)
    _, length = HEADER.unpack_from(made[-1])
    for position in range(len(data) - len(made[-1]) + HEADER.size + length, len(data)):
        broken = bytearray(data)
        broken[position] ^= flip
        closed, bad = recovered(tmp_path, bytes(broken))
        assert closed == b"".join(made[:2]), f"flipped at {position}"
        assert bad == broken[len(closed) :]


@pytest.mark.parametrize("flip", [1 << bit for bit in range(8)] + [0xFF])
def test_a_flipped_byte_in_the_last_description_is_no_exception(tmp_path: Path, flip: int) -> None:
    made = frames(2)
    data = b"".join(made)
    _, length = HEADER.unpack_from(made[-1])
    for position in range(len(made[0]), len(made[0]) + HEADER.size + length):
        broken = bytearray(data)
        broken[position] ^= flip
        closed, _ = recovered(tmp_path, bytes(broken))
        assert closed in (made[0], bytes(broken)), "a description that still reads may stay with its frame"


def described(description: bytes, data: bytes = b"") -> bytes:
    return HEADER.pack(DESCRIPTION_MAGIC, len(description)) + description + data


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 100_000,
        b"{}\n" * 100,
        b"\x28\xb5\x2f\xfd",
        HEADER.pack(DESCRIPTION_MAGIC, 0xFFFFFFFF),
        described(b""),
        described(b"{}"),
        described(b"\xff\xfe"),
        described(b'{"instance":"\xc3\x28"}'),
        described(b'{"x":' + b"[" * 500_000),
        described(b"1" * 10_000),
    ],
    ids=repr,
)
def test_garbage_is_set_aside(tmp_path: Path, garbage: bytes) -> None:
    assert recovered(tmp_path, garbage) == (b"", garbage)
    (good,) = frames(1)
    assert recovered(tmp_path, good + garbage) == (good, garbage)


@pytest.mark.parametrize("frame_bytes", [-1, 0, 3, 1 << 62])
def test_a_description_with_an_impossible_length_is_set_aside(tmp_path: Path, frame_bytes: int) -> None:
    (good,) = frames(1)
    _, length = HEADER.unpack_from(good)
    description = decode_description(good[HEADER.size : HEADER.size + length])
    lying = msgspec.json.encode(msgspec.structs.replace(description, frame_bytes=frame_bytes))
    bad = described(lying, good[HEADER.size + length :])
    assert recovered(tmp_path, good + bad) == (good, bad)


def test_a_frame_of_another_size_than_described_is_set_aside(tmp_path: Path) -> None:
    (good,) = frames(1)
    _, length = HEADER.unpack_from(good)
    description = decode_description(good[HEADER.size : HEADER.size + length])
    lying = msgspec.json.encode(msgspec.structs.replace(description, lines_bytes=1))
    bad = described(lying, good[HEADER.size + length :])
    assert recovered(tmp_path, good + bad) == (good, bad)


@given(st.binary(max_size=300), st.integers(0, 3))
def test_any_tail_is_set_aside(tmp_path_factory: pytest.TempPathFactory, tail: bytes, count: int) -> None:
    good = b"".join(frames(count))
    assert recovered(tmp_path_factory.mktemp("any"), good + tail) == (good, tail)


def test_a_frame_before_the_verified_end_needs_only_its_boundaries(tmp_path: Path) -> None:
    made = frames(3)
    broken = bytearray(b"".join(made))
    broken[len(made[0]) - 1] ^= 0xFF  # in the checksum of the first
    path = tmp_path / OPEN
    path.write_bytes(broken)
    assert walk(path, verify_bytes=len(made[2])).good_bytes == len(broken)
    assert walk(path, verify_bytes=len(broken)).good_bytes == 0


def test_an_empty_file_goes(tmp_path: Path) -> None:
    (tmp_path / OPEN).touch()
    assert recover(tmp_path / OPEN).path is None
    assert contents(tmp_path) == {}


def test_recovery_never_overwrites(tmp_path: Path) -> None:
    good, torn = frames(2)
    (tmp_path / CLOSED).write_bytes(b"a closed segment of that name")
    (tmp_path / BAD).write_bytes(b"what an earlier crash left")
    (tmp_path / OPEN).write_bytes(good + torn[:-1])
    final, _ = recover(tmp_path / OPEN)
    assert final == tmp_path / f"{STEM}_1.jsonl.zst"
    assert contents(tmp_path) == {
        CLOSED: b"a closed segment of that name",
        BAD: b"what an earlier crash left",
        f"{STEM}_1.jsonl.zst": good,
        f"{STEM}.jsonl.zst.1.bad": torn[:-1],
    }


@pytest.mark.parametrize("call", ["fsync"])
def test_a_recovery_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    good, torn = frames(2)
    (tmp_path / OPEN).write_bytes(good + torn[:-1])
    faulty = FaultyOs()
    faulty.errors[call] = errno.ENOSPC
    with monkeypatch.context() as patched:
        patched.setattr(recovery_module, "os", faulty)
        with pytest.raises(OSError, match="No space left"):
            recover(tmp_path / OPEN)
    assert contents(tmp_path) == {OPEN: good + torn[:-1]}
    recover(tmp_path / OPEN)
    assert contents(tmp_path) == {CLOSED: good, BAD: torn[:-1]}


def test_recovery_syncs_a_whole_file_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = FaultyOs()
    monkeypatch.setattr(recovery_module, "os", faulty)
    (tmp_path / OPEN).write_bytes(frames(1)[0])
    recover(tmp_path / OPEN)
    assert faulty.calls["fsync"] == 1


def test_what_a_writer_left_is_recovered_whole(
    tmp_path: Path, heard: KeepingListener, start_writer: StartWriter
) -> None:
    writer = start_writer(tmp_path)
    for first in range(0, 30, 3):
        writer.append(batch(records(first, 3)))
        writer.flush()
    heard.wait_durable(30)
    image = tmp_path / "image"
    image.mkdir()
    (path,) = segments(tmp_path)
    (image / path.name).write_bytes(path.read_bytes() + b"\x5e\x2a\x4d\x18torn")
    found, failures = take_over(image, 0, {}, "run-2", 0)
    assert (found, failures) == (Recovery(1, 8, 0, {}, 0, 0), 0)
    assert seqs(*image.glob("*.zst")) == list(range(30))


def test_a_second_recovery_changes_nothing(tmp_path: Path) -> None:
    good, torn = frames(2)
    (tmp_path / OPEN).write_bytes(good + torn[:-1])
    (tmp_path / "log_0_20261120_120001.jsonl.zst.open").write_bytes(b"garbage")
    (tmp_path / "log_0_20261120_120002.jsonl.zst.open").touch()
    first, _ = take_over(tmp_path, 0, {}, "run-2", 0)
    assert (first.segments, first.torn_bytes) == (1, len(torn) - 1 + len(b"garbage"))
    before = state(tmp_path)
    assert before.keys() == {CLOSED, BAD, "log_0_20261120_120001.jsonl.zst.bad"}
    second, failures = take_over(tmp_path, 0, {}, "run-2", 0)
    assert (second, failures) == (Recovery(0, 0, 0, {}, 0, 0), 0)
    assert state(tmp_path) == before


@pytest.mark.parametrize(
    ("worker", "workers", "taken"),
    [(0, 1, [0, 1, 2, 10]), (0, 2, [0, 2, 10]), (1, 2, [1]), (0, 3, [0]), (1, 3, [1, 10]), (2, 3, [2])],
)
def test_files_of_numbers_beyond_todays_workers_are_shared_out(
    tmp_path: Path, worker: int, workers: int, taken: list[int]
) -> None:
    for number in (0, 1, 2, 10):
        (tmp_path / f"log_{number}_20261120_120000.jsonl.zst.open").touch()
    mine = leftovers(tmp_path, worker, strays(tmp_path, workers))
    assert {path.name.split("_")[1] for path in mine} == set(map(str, taken))


def test_files_of_a_number_that_is_given_out_later_are_no_strays(tmp_path: Path) -> None:
    (tmp_path / "log_3_20261120_120000.jsonl.zst.open").touch()
    left_by_the_last_run = strays(tmp_path, 2)
    (tmp_path / "log_3_20261120_120001.jsonl.zst.open").touch()  # by a worker that is number 3 now
    older, newer = sorted(tmp_path.iterdir())
    assert leftovers(tmp_path, 1, left_by_the_last_run) == [older]
    assert leftovers(tmp_path, 3, left_by_the_last_run) == [newer]


@pytest.mark.parametrize(
    "name",
    [
        "log_.jsonl.zst.open",
        "log_x_20261120_120000.jsonl.zst.open",
        "log_-1_20261120_120000.jsonl.zst.open",
        "log_²_20261120_120000.jsonl.zst.open",
        "other_0_20261120_120000.jsonl.zst.open",
        "log_0_20261120_120000.jsonl.zst.open.swp",
        "rejects_0.jsonl.zst",
    ],
)
def test_foreign_files_are_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not ours")
    before = state(tmp_path)
    assert take_over(tmp_path, 0, {}, "run-1", 0) == (Recovery(0, 0, 0, {}, 0, 0), 0)
    assert state(tmp_path) == before


def test_one_file_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / OPEN).mkdir()
    (tmp_path / "log_0_20261120_110000.jsonl.zst").mkdir()
    (tmp_path / "log_0_20261120_120001.jsonl.zst.open").write_bytes(frames(1)[0])
    found, failures = take_over(tmp_path, 0, {}, "run-1", 0)
    assert failures == 1
    assert (found.segments, found.frames, found.sources) == (1, 1, {"json/tcp": 1})


def test_a_missing_folder_has_nothing_to_recover(tmp_path: Path) -> None:
    assert take_over(tmp_path / "not yet mounted", 0, {}, "run-1", 0) == (Recovery(0, 0, 0, {}, 0, 0), 0)


def test_the_frames_nobody_counted_are_found_across_segments(tmp_path: Path) -> None:
    made = frames(6)
    for number, part in enumerate((made[:2], made[2:3], made[3:5])):
        (tmp_path / f"log_0_20261120_12000{number}.jsonl.zst").write_bytes(b"".join(part))
    (tmp_path / "log_0_20261120_120009.jsonl.zst.open").write_bytes(made[5] + b"torn")
    found, _ = take_over(tmp_path, 0, {}, "run-1", counted_frames=2)
    assert (found.segments, found.torn_bytes, found.frames) == (1, 4, 4)
    assert found.sources == {"json/tcp": 4}
    datas = [frame[HEADER.size + HEADER.unpack_from(frame)[1] :] for frame in made[2:]]
    assert found.written_bytes == sum(map(len, datas))
    assert found.lines_bytes == sum(records(seq, 1).nbytes for seq in range(3, 7))


def test_counted_frames_of_other_runs_and_workers_are_not_found(tmp_path: Path) -> None:
    (tmp_path / "log_0_20261120_120000.jsonl.zst.open").write_bytes(b"".join(frames(3, instance="run-0")))
    (tmp_path / "log_2_20261120_120000.jsonl.zst.open").write_bytes(b"".join(frames(3, worker=2)))
    (tmp_path / "log_0_20261120_120001.jsonl.zst.open").write_bytes(b"".join(frames(3)))
    found, _ = take_over(tmp_path, 0, strays(tmp_path, 2), "run-1", counted_frames=3)
    assert (found.segments, found.frames, found.sources) == (3, 0, {})


def test_a_frame_that_is_there_twice_is_counted_once(tmp_path: Path) -> None:
    made = frames(3)
    (tmp_path / "log_0_20261120_120000.jsonl.zst.open").write_bytes(b"".join(made[:2]))
    (tmp_path / "log_0_20261120_120001.jsonl.zst").write_bytes(b"".join(made[1:]))
    found, _ = take_over(tmp_path, 0, {}, "run-1", 0)
    assert (found.frames, found.sources) == (3, {"json/tcp": 3})


def test_a_torn_file_of_an_older_run_does_not_hide_the_uncounted_ones(tmp_path: Path) -> None:
    """It is cut just now, so it is the newest by its time; ours were closed before."""
    (tmp_path / "log_0_20261120_120001.jsonl.zst").write_bytes(b"".join(frames(2)))
    os.utime(tmp_path / "log_0_20261120_120001.jsonl.zst", (1, 1))
    (tmp_path / OPEN).write_bytes(frames(1, instance="run-0")[0] + b"torn")
    found, _ = take_over(tmp_path, 0, {}, "run-1", 0)
    assert found.frames == 2


def test_frames_in_a_file_that_cannot_be_closed_are_on_disk_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / OPEN).write_bytes(b"".join(frames(2)) + b"torn")
    faulty = FaultyOs()
    faulty.errors["fsync"] = errno.EIO
    monkeypatch.setattr(recovery_module, "os", faulty)
    found, failures = take_over(tmp_path, 0, {}, "run-1", 0)
    assert (failures, found.segments, found.frames, found.sources) == (1, 0, 2, {"json/tcp": 2})


def test_newest_closed_goes_by_time_then_by_number(tmp_path: Path) -> None:
    for name, seconds in ((f"{STEM}_2", 5), (f"{STEM}_10", 5), (STEM, 5), ("log_0_20261120_130000", 4)):
        path = tmp_path / f"{name}.jsonl.zst"
        path.touch()
        os.utime(path, (seconds, seconds))
    (tmp_path / "log_1_20261120_120000.jsonl.zst").touch()
    (tmp_path / OPEN).touch()
    found = [path.name.removesuffix(".jsonl.zst") for path in newest_closed(tmp_path, 0)]
    assert found == [f"{STEM}_10", f"{STEM}_2", STEM, "log_0_20261120_130000"]


def test_a_closed_segment_that_retention_takes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / CLOSED).symlink_to(tmp_path / "gone")
    assert list(newest_closed(tmp_path, 0)) == []


def test_services_of_any_size_are_recovered(tmp_path: Path) -> None:
    builder = FrameBuilder("run-1", 0, 1, 0)
    line = b"{}\n"
    long_names = {letter * 900_000 for letter in "abc"}
    builder.add(batch(Encoded("json", [line], len(line), 1, {"INFO": 1}, long_names, "a", "b")))
    data = builder.finish().data
    assert recovered(tmp_path, data) == (data, b"")
