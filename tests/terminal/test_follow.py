"""Following a folder: growth, rotation, deletion, cuts and copies, with files moved under the reader's hands."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ingestd.terminal import follow
from ingestd.terminal.follow import Follower
from ingestd.terminal.history import History
from ingestd.terminal.order import HOLD_BYTES, HOLD_S, RECENT_S, Order
from ingestd.terminal.selection import Line, Selection
from tests.terminal.segments import frame, numbers, record, write

DAY_S = 86_400.0


class Followed:
    """A follower of a folder that was just looked at, and what it tells."""

    def __init__(self, folder: Path) -> None:
        self.told: list[str] = []
        with History(folder, self.told.append, DAY_S) as history:
            entries = history.entries
            held = history.take_open()
        self.follower = Follower(folder, Selection(), self.told.append, entries, held)

    def poll(self) -> list[int]:
        lines: list[Line] = []
        more = True
        while more:
            some, more = self.follower.poll()
            lines += some
        return numbers(lines + self.follower.finish())


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Followed:
    """Of a folder with a closed and an open segment, of three records; it never rests between two polls."""
    monkeypatch.setattr(follow, "_REST", 0)
    write(tmp_path, frame([record(1)]))
    write(tmp_path, frame([record(2)], 2) + frame([record(3)], 3), opened="000002", open_=True)
    return Followed(tmp_path)


OPEN = "log_0_20261121_000002.jsonl.zst.open"


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def closed(path: Path) -> Path:
    return path.rename(path.with_suffix(""))


def test_only_what_is_new(tmp_path: Path, followed: Followed) -> None:
    assert followed.poll() == []
    new = frame([record(4)], 4)
    append(tmp_path / OPEN, new[:20])
    assert followed.poll() == []
    append(tmp_path / OPEN, new[20:] + frame([record(5)], 5))
    assert followed.poll() == [4, 5]
    assert followed.poll() == []
    followed.follower.close()


def test_over_a_rotation(tmp_path: Path, followed: Followed) -> None:
    append(tmp_path / OPEN, frame([record(4)], 4))
    closed(tmp_path / OPEN)
    write(tmp_path, frame([record(5)], 5), opened="000005", open_=True)
    write(tmp_path, frame([record(6)], worker=1), worker=1, opened="000006")  # opened and closed unseen
    assert followed.poll() == [4, 5, 6]
    assert followed.poll() == []
    assert followed.told == []
    followed.follower.close()


def test_closed_under_another_number(tmp_path: Path, followed: Followed) -> None:
    (tmp_path / OPEN).rename(tmp_path / "log_0_20261121_000002_7.jsonl.zst")
    assert followed.poll() == []
    assert followed.poll() == []
    followed.follower.close()


def test_deleted_before_it_was_read(tmp_path: Path, followed: Followed) -> None:
    append(tmp_path / OPEN, frame([record(4)], 4))
    (tmp_path / OPEN).unlink()
    assert followed.poll() == [4]
    followed.follower.close()


def test_a_listing_is_followed_by_a_rest(
    tmp_path: Path, followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_REST", 1e9)
    write(tmp_path, frame([record(4)], worker=1), worker=1)
    assert followed.poll() == [4]
    write(tmp_path, frame([record(5)], worker=2), worker=2)
    append(tmp_path / OPEN, frame([record(6)], 4))
    assert followed.poll() == [6]  # of a file that is known, at once
    followed.follower.close()


def test_no_file_stays_open(tmp_path: Path, followed: Followed) -> None:
    def held() -> list[Path]:
        links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        return [link for link in links if link.is_relative_to(tmp_path)]

    assert len(held()) == 1
    closed(tmp_path / OPEN)
    followed.poll()
    assert held() == []
    followed.follower.close()


def test_torn_by_a_crash_and_recovered(tmp_path: Path, followed: Followed) -> None:
    torn = frame([record(4)], 4)[:-3]
    append(tmp_path / OPEN, torn)
    assert followed.poll() == []
    size = (tmp_path / OPEN).stat().st_size
    os.truncate(tmp_path / OPEN, size - len(torn))
    closed(tmp_path / OPEN)
    write(tmp_path, frame([record(5)], 4), opened="000005", open_=True)
    assert followed.poll() == [5]
    assert followed.told == []
    followed.follower.close()


def test_a_closed_file_that_is_torn_is_told(tmp_path: Path, followed: Followed) -> None:
    append(tmp_path / OPEN, frame([record(4)], 4)[:-3])
    closed(tmp_path / OPEN)
    assert followed.poll() == []
    assert len(followed.told) == 1
    assert "a frame is cut short" in followed.told[0]
    followed.follower.close()


def test_damage_is_told_once(tmp_path: Path, followed: Followed) -> None:
    damaged = bytearray(frame([record(4)], 4))
    damaged[-1] ^= 1
    append(tmp_path / OPEN, damaged + b"rubbish" + frame([record(5)], 5))
    assert followed.poll() == [5]
    assert followed.poll() == []
    assert [message.partition(" at byte")[0].rpartition("skipped ")[2] for message in followed.told] == [
        f"{len(damaged)} bytes",
        "7 bytes",
    ]
    followed.follower.close()


def test_frames_written_again_after_a_failure_of_the_disk(tmp_path: Path, followed: Followed) -> None:
    again = frame([record(3)], 3) + frame([record(4)], 4)
    append(tmp_path / OPEN, frame([record(4)], 4))
    assert followed.poll() == [4]
    os.truncate(tmp_path / OPEN, len(frame([record(2)], 2)))  # what was never synced: 3 and 4
    assert followed.poll() == []
    closed(tmp_path / OPEN)
    write(tmp_path, again + frame([record(5)], 5), opened="000004", open_=True)
    assert followed.poll() == [5]
    followed.follower.close()


def test_the_folder_goes_and_comes_back(tmp_path: Path, followed: Followed) -> None:
    away = tmp_path.with_name(f"{tmp_path.name}-away")
    tmp_path.rename(away)
    assert followed.poll() == []
    assert followed.poll() == []
    assert len(followed.told) == 1
    assert followed.told[0].endswith("; waiting for it")
    away.rename(tmp_path)
    append(tmp_path / OPEN, frame([record(4)], 4))
    assert followed.poll() == [4]
    followed.follower.close()


def test_a_file_that_cannot_be_read(tmp_path: Path, followed: Followed) -> None:
    (tmp_path / "log_1_20261121_000003.jsonl.zst").symlink_to("nowhere/at/all")
    (tmp_path / "log_2_20261121_000003.jsonl.zst").mkdir()
    write(tmp_path, frame([record(4)], worker=3), worker=3, opened="000004", open_=True)
    assert followed.poll() == [4]
    assert [message for message in followed.told if "log_2" in message] == followed.told
    followed.poll()
    assert len(followed.told) == 1
    followed.follower.close()


def test_much_at_once_comes_in_turns(
    tmp_path: Path, followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_TURN_BYTES", 1)
    append(tmp_path / OPEN, b"".join(frame([record(number)], number) for number in range(4, 40)))
    lines, more = followed.follower.poll()
    assert (len(lines), more) == (1, True)
    assert followed.poll() == list(range(5, 40))
    followed.follower.close()


def test_a_copied_folder_is_not_mistaken(tmp_path: Path, followed: Followed) -> None:
    """Another file with the name of one that is done is another file."""
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(tmp_path / OPEN, other / OPEN)
    append(other / OPEN, frame([record(4)], 4))
    (other / OPEN).replace(tmp_path / OPEN)
    assert followed.poll() == [4]
    followed.follower.close()


def lines(*seconds: int) -> list[Line]:
    return [Line(record(second)["received_at"], b'{"message":"message %d"}' % second) for second in seconds]


def test_a_single_worker_does_not_wait() -> None:
    order = Order()
    order.add(0, lines(1, 2), 0.0)
    assert numbers(order.take(0.0)) == [1, 2]


def test_two_workers_are_sorted_by_receipt() -> None:
    order = Order()
    order.add(0, lines(1), 0.0)
    assert numbers(order.take(0.0)) == [1]
    order.add(1, lines(4, 8), 0.1)
    assert order.take(0.1) == []
    order.add(0, lines(3, 6, 9), 0.5)
    assert order.take(0.5) == []
    assert numbers(order.take(0.1 + HOLD_S)) == [3, 4, 6, 8]
    assert numbers(order.take(0.5 + HOLD_S)) == [9]
    assert order.take(99.0) == []


def test_once_the_other_worker_is_quiet_nothing_waits() -> None:
    order = Order()
    order.add(0, lines(1), 0.0)
    order.take(0.0)
    order.add(1, lines(2), RECENT_S)
    assert numbers(order.take(RECENT_S)) == [2]


def test_what_is_held_is_bounded() -> None:
    order = Order()
    order.add(0, lines(1), 0.0)
    order.add(1, [Line(lines(2)[0].received_at, b"x" * (HOLD_BYTES + 1))], 0.0)
    assert len(order.take(0.0)) == 2


def test_records_without_a_time_of_receipt_pass() -> None:
    order = Order()
    order.add(0, lines(1), 0.0)
    order.add(1, [Line("", b"{}")], 0.0)
    assert len(order.take(HOLD_S)) == 2
    order.add(0, [Line("", b"{}")], 1.0)
    assert order.take(1.0) == []
    assert len(order.take(1.0 + HOLD_S)) == 1
