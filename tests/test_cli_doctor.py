"""`ingestd doctor` as an operator runs it, with a daemon and without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ingestd.cli import main
from tests.daemon import Daemon


def examined(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["doctor", *map(str, arguments)])


def findings(*arguments: str | Path) -> dict[str, dict[str, Any]]:
    """What it finds, by check."""
    answer = json.loads(examined(*arguments, "--json").output)
    return {finding["check"]: finding for finding in answer["findings"]}


@pytest.fixture
def config(tmp_path: Path, certs: Path) -> Path:
    path = tmp_path / "ingestd.toml"
    path.write_text(
        f'[server]\ndata_dir = "{tmp_path}/data"\nstate_dir = "{tmp_path}/state"\n'
        f'[listen.tcp]\ncert = "{certs}/server.crt"\nkey = "{certs}/server.key"\nport = 0\n'
        "[listen.udp]\nport = 0\n[http]\nport = 0\n"
    )
    return path


def test_a_configuration_that_is_right_has_no_failure(config: Path) -> None:
    result = examined("-c", config)
    assert result.exit_code == 0, result.output
    assert "ok    configuration: " in result.output
    assert result.output.splitlines()[-1].endswith(", 0 fail")
    assert not (config.parent / "data").exists()


def test_what_is_wrong_is_told_with_what_to_do_and_fails(config: Path, tmp_path: Path) -> None:
    result = examined("-c", config, "--set", "listen.tcp.key=/nowhere/key")
    assert result.exit_code == 1
    assert 'listen.tcp.key = "/nowhere/key": no such file' in result.output
    assert "      do: " in result.output
    assert ", 1 fail" in result.output


def test_a_configuration_that_cannot_be_read_leaves_the_rest_to_be_looked_at(tmp_path: Path) -> None:
    found = findings("-c", tmp_path / "none.toml")
    assert found["configuration"]["verdict"] == "fail"
    assert "no such file" in found["configuration"]["says"]
    assert found["libraries"]["verdict"] == "ok"
    assert examined("-c", tmp_path / "none.toml").exit_code == 1


def test_the_answer_for_programs_says_the_worst(config: Path) -> None:
    answer = json.loads(examined("-c", config, "--json").output)
    verdicts = {finding["verdict"] for finding in answer["findings"]}
    assert answer["verdict"] == ("warn" if "warn" in verdicts else "ok")
    assert {frozenset(finding) for finding in answer["findings"]} == {
        frozenset({"check", "verdict", "says", "do"})
    }


def test_a_daemon_that_runs_is_recognised(tmp_path: Path) -> None:
    with Daemon(tmp_path / "d") as daemon:
        sets = [f"--set={key}={value}" for key, value in daemon.settings.items()]
        found = findings("-c", daemon.folder / "ingestd.toml", *sets)
        for kind in ("listen.tcp", "listen.udp", "http"):
            assert f"the daemon (pid {daemon.process.pid}) listens" in found[f"port of {kind}"]["says"]
        assert f"the daemon (pid {daemon.process.pid})" in found["open files"]["says"]
