"""loadgen where the daemon asks who it is: a token that no list of processes shows, a client certificate."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestd.tokens import make_token
from tests.daemon import Daemon
from tests.loadgen.test_cli import run, summary


@pytest.mark.parametrize("way", ["file", "environment", "acknowledged"])
def test_a_token_and_a_certificate(
    tmp_path: Path, certs: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, line = make_token("loadgen")
    (tmp_path / "tokens").write_text(line)
    settings = {
        "server.workers": 1,
        "listen.tcp.client_ca": certs / "ca.crt",
        "auth.tokens_file": tmp_path / "tokens",
        "auth.clients": ["CN:ingestd client"],
    }
    options: list[object] = ["--ca", certs / "ca.crt", "--count", 1000, "--json"]
    options += ["--cert", certs / "client.crt", "--key", certs / "client.key"]
    if way == "acknowledged":
        options.append("--ack")
    if way != "environment":
        (tmp_path / "token").write_text(f"{secret}\n")
        options += ["--token-file", tmp_path / "token"]
    else:
        monkeypatch.setenv("LOADGEN_TOKEN", secret)
    with Daemon(tmp_path / "daemon", certs, **settings) as daemon:
        done = run("--tcp-port", daemon.tcp[1], *options)
        assert summary(done)["sent"] == 1000
        daemon.wait_settled(1000)
    assert secret not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--cert", "a"], 2, "--cert and --key go together"),
        (["--cert", "a", "--key", "b", "--plain"], 2, "and with TLS"),
        (["--cert", "none", "--key", "none"], 1, "--cert none with --key none"),
        (["--token-file", "none", "--plain"], 1, "--token-file none: cannot be read"),
    ],
)
def test_credentials_that_make_no_sense(options: list[str], code: int, message: str) -> None:
    done = run("--count", 1, *options)
    assert done.returncode == code
    assert message in done.stderr


def test_a_token_that_is_none_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2 hunter3")
    done = run("--count", 1, "--plain", "--token-file", tmp_path / "token")
    assert done.returncode == 1
    assert "printable ASCII" in done.stderr
    assert "hunter" not in done.stderr
