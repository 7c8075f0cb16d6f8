"""What outlives the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from ingestd.alerts import keeping
from ingestd.alerts.keeping import Kept, Lock, load, save
from tests.alerts.made import Moved, beat, match_rule, notice
from tests.fakes import FaultyOs


def kept() -> Kept:
    at = Moved(match_rule())
    at.match(sample="🦉\x00\u202e")
    at.engine.nodes.hear(beat(), at.now_s)
    at.engine.silences.add({"rule": "x"}, at.now_s + 60, at.now_s, author="ann", comment="c")
    return Kept(at.engine.save(at.now_s), {"ops": [notice()]})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    whole = kept()
    save(tmp_path, msgspec.json.encode(whole))
    assert load(tmp_path) == whole
    assert [path.name for path in tmp_path.iterdir()] == [keeping.FILE]


def test_nothing_there(tmp_path: Path) -> None:
    assert load(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"engine":{"alerts":[{}]}}', b"null"])
def test_what_is_no_state_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / keeping.FILE).write_bytes(content)
    assert load(tmp_path) is None
    assert (tmp_path / "alerts.json.bad").read_bytes() == content
    assert load(tmp_path) is None


def test_another_versions_state_is_read_as_far_as_it_is_understood(tmp_path: Path) -> None:
    (tmp_path / keeping.FILE).write_bytes(b'{"engine":{"saved_s":5.0,"novelty":[1]},"more":{}}')
    whole = load(tmp_path)
    assert whole is not None
    assert (whole.engine.saved_s, whole.engine.alerts) == (5.0, [])


@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_save_that_fails_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    before = kept()
    save(tmp_path, msgspec.json.encode(before))
    faulty = FaultyOs()
    faulty.errors[call] = 28
    monkeypatch.setattr(keeping, "os", faulty)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, b"{}")
    monkeypatch.undo()
    assert load(tmp_path) == before


def test_the_lock_is_of_one_process_and_goes_with_it(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ingestd.alerts.keeping import Lock; "
        "lock = Lock(Path(sys.argv[1])); print(lock.take(), flush=True); input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "True\n"
    mine = Lock(tmp_path)
    assert not mine.take()
    other.kill()
    other.communicate()
    assert mine.take()
    mine.release()
