"""What the daemon leaves for others: its folders, the lock, `ingestd.json`, the greeting."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingestd.config import load
from ingestd.errors import StartError
from ingestd.statedir import announce, greet, lock_data_dir, prepare_folders, withdraw

LISTEN = {"tcp": "127.0.0.1:3001", "udp": "127.0.0.1:3002", "http": "127.0.0.1:8080"}

#: Holds the lock on a folder, says so, and waits for its end.
HOLDER = """
import sys
from pathlib import Path
from ingestd.statedir import lock_data_dir
lock = lock_data_dir(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_missing_folders_are_made(tmp_path: Path) -> None:
    prepare_folders(tmp_path / "a" / "b", tmp_path / "c")
    prepare_folders(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o007 == 0, "logs are nobody else's business"
    assert (tmp_path / "c").is_dir()


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(StartError, match=r"cannot make the folder .*data: File exists; .*server.data_dir"):
        prepare_folders(tmp_path / "data")
    with pytest.raises(StartError, match=r"cannot make the folder .*below: Not a directory"):
        prepare_folders(tmp_path / "data" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StartError, match="cannot write to the folder"):
        prepare_folders(tmp_path)


def test_a_second_daemon_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    lock = lock_data_dir(tmp_path)
    with pytest.raises(StartError, match=f"another ingestd .pid {os.getpid()}. uses {tmp_path}"):
        lock_data_dir(tmp_path)
    lock.close()
    lock_data_dir(tmp_path).close()


def test_a_lock_outlives_nobody(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StartError, match=f"another ingestd .pid {holder.pid}."):
            lock_data_dir(tmp_path)
        holder.kill()
        holder.wait()
    with lock_data_dir(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_longer_pid_of_before_leaves_no_rest(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("4194303999\nold\n")
    with lock_data_dir(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_lock_that_cannot_be_opened_or_had_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StartError, match=r"cannot open .*missing/.lock: No such file"):
        lock_data_dir(tmp_path / "missing")

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(StartError, match=r"cannot lock .*: No locks available"):
        lock_data_dir(tmp_path)


def test_ingestd_json_says_where_the_daemon_listens(tmp_path: Path) -> None:
    announce(tmp_path, LISTEN)
    assert json.loads((tmp_path / "ingestd.json").read_text()) == {"pid": os.getpid(), **LISTEN}
    announce(tmp_path, LISTEN | {"tcp": "127.0.0.1:4001"})
    assert json.loads((tmp_path / "ingestd.json").read_text())["tcp"] == "127.0.0.1:4001"
    assert [path.name for path in tmp_path.iterdir()] == ["ingestd.json"]
    withdraw(tmp_path)
    withdraw(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_ingestd_json_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"cannot write .*ingestd.json: No such file"):
        announce(tmp_path / "missing", LISTEN)


@pytest.mark.parametrize(
    ("plaintext", "tcp", "command"),
    [
        ("true", "127.0.0.1:3001", "| nc -q1 127.0.0.1 3001\n"),
        ("true", "[::1]:3001", "| nc -q1 ::1 3001\n"),
        ("false", "127.0.0.1:3001", "| openssl s_client -quiet -connect 127.0.0.1:3001\n"),
    ],
)
def test_the_greeting_has_a_line_to_paste(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], plaintext: str, tcp: str, command: str
) -> None:
    (tmp_path / "empty.toml").touch()
    config = load(tmp_path / "empty.toml", [f"listen.tcp.plaintext={plaintext}"])
    greet(config, LISTEN | {"tcp": tcp}, workers=2, seconds=0.25)
    said = capsys.readouterr().out
    assert "is ready after 0.25 s with 2 workers" in said
    assert command in said
    assert all(address in said for address in (tcp, LISTEN["udp"], LISTEN["http"]))
    assert f"zstdcat {config.server.data_dir}/*.open" in said
