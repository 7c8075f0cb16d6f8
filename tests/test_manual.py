"""The manual: a page for each command that says all its help says, which groff and mandoc read without a complaint."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ingestd import manual
from ingestd.config import describe
from tests.e2e.senders import environment, program
from tests.test_docs import PROGRAMS, commands

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("man")
    command = [sys.executable, "-m", "ingestd.manual", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
    return folder


@pytest.fixture(scope="module")
def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("man?/*"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_command_and_option_is_in_it(folder: Path, name: str) -> None:
    for path, command in commands(name):
        text = (folder / "man1" / f"{path.replace(' ', '-')}.1").read_text()
        for option in command.params:
            if isinstance(option, click.Option):
                for word in option.opts:
                    assert rf"\fB{manual.escaped(word)}\fR" in text, f"{path} {word}"


def test_every_key_is_in_it(folder: Path) -> None:
    text = (folder / "man5/ingestd.toml.5").read_text()
    assert [key.path for key in describe() if rf"\fB{manual.escaped(key.path)}\fR" not in text] == []


def test_no_page_too_many(files: list[Path]) -> None:
    names = {path.replace(" ", "-") for name in PROGRAMS for path, _ in commands(name)}
    assert {path.stem for path in files} == names | {"ingestd.toml"}


def test_references_lead_somewhere(files: list[Path]) -> None:
    names = {path.name for path in files}
    for path in files:
        for line in path.read_text().partition('.SH "SEE ALSO"')[2].split("\n"):
            if line:
                name, _, section = line.rstrip(",").removeprefix(r"\fB").partition(r"\fR(")
                assert f"{name}.{section.rstrip(')')}".replace(r"\-", "-") in names, f"{path.name}: {line}"


def test_groff_has_no_complaint(files: list[Path]) -> None:
    if shutil.which("groff") is None:
        pytest.skip("there is no groff")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-z", *files], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert done.stderr == ""


def test_mandoc_has_no_complaint(files: list[Path]) -> None:
    command = [program("mandoc"), "-T", "lint", "-W", "warning", *files]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_all_that_is_installed_for_people(tmp_path: Path, files: list[Path]) -> None:
    subprocess.run([sys.executable, "-m", "ingestd.share", str(tmp_path)], check=True, timeout=PATIENCE_S)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {f"man/{path.parent.name}/{path.name}" for path in files} | {
        *("bash-completion/completions/ingestd", "bash-completion/completions/loadgen"),
        *("zsh/site-functions/_ingestd", "zsh/site-functions/_loadgen"),
        *("fish/vendor_completions.d/ingestd.fish", "fish/vendor_completions.d/loadgen.fish"),
    }
    assert all((tmp_path / path).stat().st_size for path in written)


def test_what_roff_would_read_into_text() -> None:
    assert manual.escaped(r"a\n -x 'y' `z` …") == r"a\en \-x \(aqy\(aq \(gaz\(ga \[u2026]"
    assert manual.escaped(".TH") == r"\&.TH"


def test_prose_keeps_lines_where_it_is_told_to() -> None:
    page = manual.Page("x", 1, "y")
    page.prose("one\ntwo\n\n\b\nthree\n  four\n\n.five")
    assert page.text.splitlines()[-8:] == [
        "one two",
        ".PP",
        ".nf",
        "three",
        "  four",
        ".fi",
        ".PP",
        r"\&.five",
    ]


def test_a_build_that_is_to_be_reproduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert '"1970-01-01"' in manual.Page("x", 1, "y").text
