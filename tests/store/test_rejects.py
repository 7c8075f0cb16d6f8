"""The rejects file: what a refused record looks like, the two bounds, and a tail that a crash left torn."""

from __future__ import annotations

import base64
import errno
import os
from pathlib import Path

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingestd.store import rejects as rejects_module
from ingestd.store.batch import Event, Message, Rejected
from ingestd.store.folder import Folder
from ingestd.store.rejects import RATE_BYTES, RejectsFile, RejectsKeeper
from tests.fakes import FaultyOs, ManualClock, content

GARBAGE = Rejected(
    "invalid_json", "no value", b'{"a":', "json", "tcp", "203.0.113.7", "2026-11-20T12:00:00.000001Z"
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def entries(path: Path) -> list[dict[str, str]]:
    return [orjson.loads(line) for line in content(path).splitlines()]


def data(*paths: Path) -> list[str]:
    return [entry["data"] for path in paths for entry in entries(path)]


def random(nbytes: int) -> bytes:
    """Text that does not compress below half."""
    return os.urandom(nbytes // 2).hex().encode()


def test_a_refused_record_keeps_its_bytes_and_tells_why(tmp_path: Path) -> None:
    rejects = RejectsFile(Folder.at(tmp_path), 3, 1 << 20)
    assert rejects.keep([GARBAGE]) == 0
    rejects.close()
    assert rejects.path == tmp_path / "rejects_3.jsonl.zst"
    assert entries(rejects.path) == [
        {
            "time": "2026-11-20T12:00:00.000001Z",
            "reason": "invalid_json",
            "detail": "no value",
            "format": "json",
            "transport": "tcp",
            "source": "203.0.113.7",
            "data": '{"a":',
        }
    ]


@given(st.binary(max_size=200))
def test_any_bytes_read_back(tmp_path_factory: pytest.TempPathFactory, refused: bytes) -> None:
    rejects = RejectsFile(Folder.at(tmp_path_factory.mktemp("any")), 0, 1 << 20)
    rejects.keep([GARBAGE._replace(data=refused)])
    rejects.close()
    (entry,) = entries(rejects.path)
    if "data" in entry:
        assert entry["data"].encode() == refused
        assert "data_base64" not in entry
    else:
        assert base64.b64decode(entry["data_base64"], validate=True) == refused
        with pytest.raises(UnicodeDecodeError):
            refused.decode()


def test_nothing_is_made_before_the_first_record(tmp_path: Path) -> None:
    rejects = RejectsFile(Folder.at(tmp_path), 0, 1 << 20)
    assert rejects.keep([]) == 0
    rejects.close()
    assert list(tmp_path.iterdir()) == []


def test_the_file_reads_at_any_time_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    for number in range(3):
        rejects = RejectsFile(Folder.at(tmp_path), 0, 1 << 20)
        rejects.keep([GARBAGE._replace(data=b"%d" % number)])
        assert data(rejects.path) == [str(each) for each in range(number + 1)]
        rejects.close()


def test_bounded_by_size(tmp_path: Path, clock: ManualClock) -> None:
    rejects = RejectsFile(Folder.at(tmp_path), 0, 20_000, clock)
    for number in range(100):
        clock.now_s += 1
        assert rejects.keep([GARBAGE._replace(data=b"%03d " % number + random(2_000))]) == 0
        sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
        assert sizes.keys() <= {"rejects_0.jsonl.zst", "rejects_0.1.jsonl.zst"}
        assert sum(sizes.values()) < 50_000
    rejects.close()
    kept = [
        int(text.split()[0])
        for path in (tmp_path / "rejects_0.1.jsonl.zst", tmp_path / "rejects_0.jsonl.zst")
        if path.exists()
        for text in data(path)
    ]
    assert kept == list(range(100 - len(kept), 100)), "the newest are kept, in order"


def test_zero_bytes_keeps_none(tmp_path: Path) -> None:
    assert RejectsFile(Folder.at(tmp_path), 0, 0).keep([GARBAGE] * 5) == 5
    assert list(tmp_path.iterdir()) == []


def test_bounded_by_rate(tmp_path: Path, clock: ManualClock) -> None:
    rejects = RejectsFile(Folder.at(tmp_path), 0, 1 << 30, clock)
    quarter = GARBAGE._replace(data=random(RATE_BYTES // 4 - 1000))
    assert rejects.keep([quarter] * 3) == 0
    assert rejects.keep([quarter] * 3) == 2
    assert rejects.keep([quarter]) == 1
    clock.now_s += 1
    assert rejects.keep([quarter]) == 0
    rejects.close()
    assert len(data(rejects.path)) == 5


def test_small_records_count_their_own_fields(tmp_path: Path, clock: ManualClock) -> None:
    rejects = RejectsFile(Folder.at(tmp_path), 0, 1 << 30, clock)
    skipped = rejects.keep([GARBAGE._replace(data=b"")] * 10_000)
    rejects.close()
    assert len(content(rejects.path)) < 2 * RATE_BYTES
    assert skipped == 10_000 - len(data(rejects.path))


def test_beyond_the_rate_records_need_not_even_be_made(tmp_path: Path, clock: ManualClock) -> None:
    heard: list[Message] = []
    keeper = RejectsKeeper(RejectsFile(Folder.at(tmp_path), 0, 1 << 30, clock), heard.append, clock)
    half = [GARBAGE._replace(data=b"x" * (RATE_BYTES // 2))]
    for _ in range(2):
        assert not keeper.skips(1)
        assert keeper.admit(half)
        keeper.keep(half)
    heard.clear()
    assert keeper.skips(1000)
    assert heard == [Event("ingestd_rejects_skipped_total", "", 1000)]
    clock.now_s += 1
    assert not keeper.skips(1)
    keeper.close()


def test_a_single_record_beyond_the_rate_is_kept(tmp_path: Path, clock: ManualClock) -> None:
    rejects = RejectsFile(Folder.at(tmp_path), 0, 1 << 30, clock)
    large = GARBAGE._replace(data=random(3 * RATE_BYTES))
    assert rejects.keep([large, GARBAGE]) == 1
    clock.now_s += 1
    assert rejects.keep([GARBAGE, large]) == 1
    rejects.close()
    assert [len(text) for text in data(rejects.path)] == [3 * RATE_BYTES, len(GARBAGE.data)]


def test_a_torn_tail_is_mended(tmp_path: Path) -> None:
    torn = zstandard.compress(b'{"data":"torn"}\n')
    rejects = RejectsFile(Folder.at(tmp_path), 0, 1 << 20)
    rejects.keep([GARBAGE])
    rejects.close()
    whole = rejects.path.read_bytes()
    for cut in range(1, len(torn)):
        rejects.path.write_bytes(whole + torn[:cut])
        again = RejectsFile(Folder.at(tmp_path), 0, 1 << 20)
        again.keep([GARBAGE._replace(data=b"after")])
        again.close()
        assert data(rejects.path) == [GARBAGE.data.decode(), "after"], f"torn at {cut}"
        bad = tmp_path / "rejects_0.jsonl.zst.bad"
        assert bad.read_bytes() == torn[:cut]
        bad.unlink()


def test_what_was_set_aside_before_stays(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / "rejects_0.jsonl.zst").write_bytes(b"garbage %d" % number)
        rejects = RejectsFile(Folder.at(tmp_path), 0, 1 << 20)
        rejects.keep([GARBAGE])
        rejects.close()
    assert (tmp_path / "rejects_0.jsonl.zst.bad").read_bytes() == b"garbage 0"
    assert (tmp_path / "rejects_0.jsonl.zst.1.bad").read_bytes() == b"garbage 1"


def test_frames_longer_and_shorter_than_a_piece_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "rejects_0.jsonl.zst"
    lines = [b'{"data":"%b"}\n' % random(size) for size in (10, 20_000, 0, 3_000, 8_192, 100)]
    whole = b"".join(zstandard.compress(line) for line in lines)
    path.write_bytes(whole + zstandard.compress(lines[1])[:-1])
    rejects = RejectsFile(Folder.at(tmp_path), 0, 1 << 20)
    rejects.keep([GARBAGE])
    rejects.close()
    assert path.read_bytes().startswith(whole)
    assert len(data(path)) == len(lines) + 1


@pytest.mark.parametrize("fault", ["error", "short"])
def test_a_failed_write_leaves_no_torn_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    faulty = FaultyOs()
    monkeypatch.setattr(rejects_module, "os", faulty)
    rejects = RejectsFile(Folder.at(tmp_path), 0, 1 << 20)
    rejects.keep([GARBAGE])
    if fault == "error":
        faulty.errors["write"] = errno.ENOSPC
    else:
        faulty.write_limit = 10
    with pytest.raises(OSError, match="No space left"):
        rejects.keep([GARBAGE._replace(data=b"not kept")])
    faulty.errors.clear()
    faulty.write_limit = None
    rejects.keep([GARBAGE._replace(data=b"after")])
    rejects.close()
    assert data(rejects.path) == [GARBAGE.data.decode(), "after"]
