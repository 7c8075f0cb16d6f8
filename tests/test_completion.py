"""Completion: scripts that their shells read, and what they offer on a TAB, none of which a shell would run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingestd.cli import main
from ingestd.cli_completion import PROGRAMS, SHELLS
from tests.e2e.senders import environment, program
from tests.terminal.segments import frame, record, write

PATIENCE_S = 60.0

Words = list[str]


def script(shell: str, name: str = "ingestd") -> str:
    shown = CliRunner().invoke(main, ["completion", shell, "--program", name])
    assert shown.exit_code == 0
    return shown.stdout


def offered(words: Words, folder: Path) -> Words:
    """What bash offers for the last of `words`."""
    given = " ".join(f"'{word}'" for word in words)
    command = f"{script('bash', words[0])}\nCOMP_WORDS=({given}) COMP_CWORD={len(words) - 1}\n" + (
        f'_{words[0]}_completion {words[0]}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        env=os.environ | {"PATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("shell", SHELLS)
def test_their_shells_read_them(tmp_path: Path, shell: str, name: str) -> None:
    path = tmp_path / "script"
    path.write_text(script(shell, name))
    if shell == "fish" and shutil.which("fish") is None:
        assert f"complete --no-files --command {name} " in path.read_text()
        return
    found = program("zsh") if shell == "zsh" else shell
    option = "--no-execute" if shell == "fish" else "-n"
    done = subprocess.run(
        [found, option, path], env=environment(), capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_options_and_values(tmp_path: Path) -> None:
    assert offered(["ingestd", "sta"], tmp_path) == ["status"]
    assert offered(["ingestd", "tail", "--fo"], tmp_path) == ["--follow", "--format"]
    assert offered(["ingestd", "tail", "--level", "f"], tmp_path) == ["fatal"]
    assert offered(["ingestd", "schema", "re"], tmp_path) == ["register"]
    assert offered(["loadgen", "--co"], tmp_path) == ["--count", "--connections"]


def test_services_of_the_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    hostile = ["$(reboot)", "a;b", "`x`", "with space", "*", "\x1b[2J", "-n", "a\nb", "üml"]
    records = [record(number, service=name) for number, name in enumerate(["web-1", "web-2", "db", *hostile])]
    write(data, frame(records))
    write(data, frame([record(1, service="web-3")], 2)[:-1], opened="000009", open_=True)  # torn
    assert offered(["ingestd", "tail", "--service", ""], tmp_path) == ["db", "web-1", "web-2"]
    assert offered(["ingestd", "tail", "--service", "web"], tmp_path) == ["web-1", "web-2"]
    elsewhere = ["ingestd", "tail", "--set", f"server.data_dir={data}", "--service", "d"]
    assert offered(elsewhere, tmp_path.parent) == ["db"]
    assert offered(["ingestd", "tail", str(data), "--service", "d"], tmp_path.parent) == ["db"]


def test_where_nothing_can_be_offered_nothing_is_said(tmp_path: Path) -> None:
    assert offered(["ingestd", "tail", "--service", "w"], tmp_path) == [""]
    assert offered(["ingestd", "tail", "-c", "none.toml", "--service", "w"], tmp_path) == [""]
