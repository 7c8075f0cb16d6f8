"""Files that the daemon's user may not use, and secrets that everybody may."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestd.config import Config
from ingestd.doctor import permissions
from ingestd.doctor.finding import Account, Finding, Running

ME = Account("me", os.geteuid(), frozenset({os.getegid()}))
STRANGER = Account("stranger", 54321, frozenset())


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that everybody may go through, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


def made(path: Path, mode: int) -> Path:
    path.touch()
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("mode", "account", "secret", "verdict", "words"),
    [
        (0o640, ME, "the key", "ok", "me may read"),
        (0o640, STRANGER, "the key", "fail", "stranger may not read"),
        (0o644, ME, "the key", "fail", "everybody on this machine may read the key"),
        (0o644, ME, "", "ok", "me may read"),
        (0o666, ME, "", "fail", "everybody on this machine may change"),
    ],
)
def test_files(folder: Path, mode: int, account: Account, secret: str, verdict: str, words: str) -> None:
    finding = permissions.readable("http.key", made(folder / "key", mode), account, secret)
    assert (finding.verdict, words in finding.says) == (verdict, True), finding
    assert bool(finding.do) == (verdict != "ok")


def test_a_folder_on_the_way_may_be_shut(folder: Path) -> None:
    key = made(folder / "key", 0o644)
    folder.chmod(0o700)
    assert permissions.readable("http.cert", key, STRANGER).verdict == "fail"
    folder.chmod(0o711)
    assert permissions.readable("http.cert", key, STRANGER).verdict == "ok"


@pytest.mark.parametrize(
    ("mode", "account", "verdict", "words"),
    [
        (0o750, ME, "ok", "belongs to those who need it"),
        (0o755, ME, "warn", "everybody on this machine may read"),
        (0o777, ME, "fail", "everybody may write"),
        (0o755, STRANGER, "fail", "stranger may not write in"),
    ],
)
def test_folders(tmp_path: Path, mode: int, account: Account, verdict: str, words: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(mode)
    finding = permissions.writable("server.data_dir", folder, account)
    assert (finding.verdict, words in finding.says) == (verdict, True), finding


def test_a_folder_that_is_to_be_made(tmp_path: Path) -> None:
    assert permissions.writable("server.data_dir", tmp_path / "a/b", ME).verdict == "ok"
    finding = permissions.writable("server.data_dir", tmp_path / "a/b", STRANGER)
    assert "so it cannot make" in finding.says
    assert finding.do == f"install -d -o stranger -m 0750 {tmp_path / 'a/b'}"


@pytest.mark.parametrize(
    ("line", "verdict"),
    [('token = "x"', "fail"), ("  password='x'", "fail"), ('token = "${TOKEN}"', "ok"), ('token = ""', "ok")],
)
def test_the_configuration_may_hold_secrets(tmp_path: Path, line: str, verdict: str) -> None:
    path = made(tmp_path / "ingestd.toml", 0o644)
    path.write_text(f"[registry]\n{line}\n")
    base = Config()
    config = Config(listen=type(base.listen)(tcp=type(base.listen.tcp)(plaintext=True)))
    found = {finding.check: finding for finding in permissions.examine(config, path, ME)}
    finding = found["permissions of the configuration"]
    assert finding.verdict == verdict
    assert (f"may read the secrets in {path}" in finding.says) == (verdict == "fail")


@pytest.mark.parametrize(
    ("mode", "account", "verdict"), [(0o755, STRANGER, "ok"), (0o700, ME, "ok"), (0o750, STRANGER, "fail")]
)
def test_programs(folder: Path, mode: int, account: Account, verdict: str) -> None:
    program = made(folder / "page", mode)
    assert permissions.runnable("command", str(program), account).verdict == verdict


def test_a_program_that_is_not_there() -> None:
    finding = permissions.runnable("command", "/nowhere/page", ME)
    assert (finding.verdict, finding.says) == ("fail", "there is no program /nowhere/page")


def test_who_runs_it(tmp_path: Path) -> None:
    running = Running(77, os.geteuid(), 1024, False, frozenset())
    assert permissions.account_of(None, running).uid == os.geteuid()
    assert permissions.account_of(tmp_path / "ingestd.toml", None).uid == os.geteuid()
    unknown = permissions.account_of(None, Running(77, 54321, 1024, False, frozenset()))
    assert (unknown.name, unknown.groups) == ("user 54321", frozenset())


def test_all_that_the_configuration_names_are_looked_at(tmp_path: Path, certs: Path) -> None:
    base = Config()
    config = Config(
        server=type(base.server)(data_dir=str(tmp_path / "data"), state_dir=str(tmp_path / "state")),
        listen=type(base.listen)(
            tcp=type(base.listen.tcp)(cert=str(certs / "server.crt"), key=str(certs / "server.key"))
        ),
        http=type(base.http)(tokens_file=str(tmp_path / "gone")),
    )
    findings: list[Finding] = list(permissions.examine(config, None, ME))
    assert [finding.check for finding in findings] == [
        "permissions of server.data_dir",
        "permissions of server.state_dir",
        "permissions of listen.tcp.key",
        "permissions of listen.tcp.cert",
    ]
    assert {finding.verdict for finding in findings} == {"ok"}
