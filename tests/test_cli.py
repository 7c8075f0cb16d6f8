"""The `ingestd` command as a user meets it: what it prints, where, and the exit code."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ingestd import __version__, config
from ingestd.cli import main
from ingestd.tokens import find_token, parse_tokens


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the project's conf/ and certs/, nor a configuration of this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "DEFAULT_PATHS", config.DEFAULT_PATHS[:1])


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_version() -> None:
    result = invoke("--version")
    assert (result.exit_code, result.output) == (0, f"ingestd, version {__version__}\n")


def test_help_names_the_commands() -> None:
    output = invoke("--help").output
    assert all(f"\n  {command} " in output for command in ("run", "check", "certs"))


def test_an_unknown_option_is_a_usage_error() -> None:
    result = invoke("check", "--confg", "x")
    assert result.exit_code == 2
    assert "--config" in result.stderr


def test_certs_then_check_without_a_file() -> None:
    made = invoke("certs", "certs")
    assert made.exit_code == 0
    assert made.stdout.startswith("certs/ca.crt, ca.key: made, valid until ")
    result = invoke("check")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "ingestd: built-in defaults: ok\n", "")


def test_certs_twice_keeps_and_says_so() -> None:
    invoke("certs", "certs")
    again = invoke("certs", "certs", "--host", "logs.example.com")
    assert again.exit_code == 0
    assert again.stdout.count("kept (there already)") == 3
    assert "--force" in again.stderr
    assert invoke("certs", "certs", "--force").stdout.count(": made") == 3


def test_certs_in_a_file() -> None:
    Path("file").touch()
    assert invoke("certs", "file").exit_code == 2
    deeper = invoke("certs", "file/below")
    assert deeper.exit_code == 1
    assert deeper.stderr.startswith("ingestd: file/below: ")


def test_check_takes_the_file_in_conf() -> None:
    Path("conf").mkdir()
    Path("conf/ingestd.toml").write_text("[listen.tcp]\nplaintext = true\n")
    assert invoke("check").stdout == "ingestd: conf/ingestd.toml: ok\n"


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_wrong_configuration_ends_with_78(command: str) -> None:
    Path("x.toml").write_text("[segment]\nlevel = 40\nmax_byte = 1\n")
    result = invoke(command, "-c", "x.toml")
    assert result.exit_code == 78
    assert result.stdout == ""
    assert result.stderr == (
        "ingestd: x.toml: 2 errors\n"
        "  segment.level = 40: must be a whole number from -7 to 19\n"
        "  segment.max_byte = 1: unknown key; did you mean segment.max_bytes?\n"
    )


@pytest.mark.parametrize("command", ["check", "run"])
def test_missing_files_end_with_78(command: str) -> None:
    result = invoke(command)
    assert result.exit_code == 78
    assert "make one with: ingestd certs certs" in result.stderr


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_missing_configuration_ends_with_78(command: str) -> None:
    result = invoke(command, "-c", "none.toml")
    assert result.exit_code == 78
    assert result.stderr.startswith("ingestd: none.toml: no such file; ")


def test_overrides() -> None:
    assert invoke("check", "--set", "listen.tcp.plaintext=true").exit_code == 0
    result = invoke("check", "--set", "listen.tcp.plaintext=true", "--set", "http.port=x")
    assert result.exit_code == 78
    assert "built-in defaults with --set: http.port" in result.stderr


def test_the_installed_command_ends_without_a_traceback() -> None:
    command = [str(Path(sys.executable).with_name("ingestd")), "check", "-c", "none.toml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.count("\n") == 1


def test_only_run_loads_the_daemon() -> None:
    heavy = {"uvloop", "aiohttp", "numpy", "rich", "hyperscan"}
    script = f"import sys, ingestd.cli; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


def test_a_token_is_printed_once_and_its_hash_kept() -> None:
    made = invoke("token", "web", "--client=web-*", "--file=tokens")
    assert (made.exit_code, made.stderr) == (0, "")
    secret = made.stdout.strip()
    assert invoke("token", "db", "--file=tokens").exit_code == 0
    web, db = parse_tokens(Path("tokens").read_text())
    assert (web.name, web.client, db.name, db.client) == ("web", "web-*", "db", "*")
    assert find_token([db, web], secret) == web


def test_a_token_without_a_file_shows_the_line_beside_it() -> None:
    made = invoke("token", "web")
    (token,) = parse_tokens(made.stderr.splitlines()[1])
    assert find_token([token], made.stdout.strip()) == token


@pytest.mark.parametrize("arguments", [("a b",), ("web", "--client=a b"), ("web", "--file=none/tokens")])
def test_a_token_that_cannot_be_made(arguments: tuple[str, ...]) -> None:
    made = invoke("token", *arguments)
    assert (made.exit_code, made.stdout) == (1, "")
    assert made.stderr.startswith("ingestd: ")
