"""`ingestd status` of daemons that are well, ill, gone, or somebody else."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ingestd import __version__
from ingestd.ask import AskError
from ingestd.certs import make
from ingestd.cli import main
from ingestd.terminal.answers import Snapshot, read_snapshot
from ingestd.terminal.status import summary
from ingestd.tokens import add_line, make_token
from tests.daemon import Daemon, wait_for

SNAPSHOT = {
    "assessment": {"state": "well", "headline": "All is well", "detail": "2 workers ready"},
    "stats": {"version": "1", "hostname": "vm", "state": "ready", "uptime_seconds": 61.0},
}


def invoke(folder: Path, *arguments: str) -> Result:
    arguments = ("status", f"--set=server.state_dir={folder / 'state'}", *arguments)
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def lines(snapshot: object) -> list[str]:
    return list(summary(read_snapshot(snapshot, "http://host")))


def test_well_then_ill_then_gone(tmp_path: Path) -> None:
    assert invoke(tmp_path).exit_code == 3
    with Daemon(tmp_path, server__heartbeat_timeout="1s") as daemon:
        daemon.send(b'INGEST/1 json\n{"message":"one"}\nnot json\n{"message":1' + b"\n")
        daemon.wait_settled(3)
        shown = invoke(tmp_path)
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert shown.stdout.startswith(f"ingestd {__version__} on ")
        assert f"tcp 127.0.0.1:{daemon.tcp[1]}" in shown.stdout
        assert "workers    2 of 2 ready, 0 restarts" in shown.stdout
        assert "rejected   invalid json 2; " in shown.stdout
        answer = json.loads(invoke(tmp_path, "--json").stdout)
        assert answer["stats"]["totals"]["received"] == daemon.stats()["totals"]["received"]

        supervisor = daemon.process.pid
        os.kill(supervisor, signal.SIGSTOP)
        try:
            ill = wait_for(
                lambda: (found := invoke(tmp_path)).exit_code == 1 and found, "the supervisor to be missed"
            )
        finally:
            os.kill(supervisor, signal.SIGCONT)
        assert "Supervisor: the supervisor has given no heartbeat" in ill.stdout
    gone = invoke(tmp_path)
    assert (gone.exit_code, gone.stdout) == (3, "")
    assert gone.stderr.startswith("ingestd: not running: there is no ")


def test_killed(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, server__workers=1).start()
    daemon.kill_tree()
    gone = invoke(tmp_path)
    assert gone.exit_code == 3
    assert f"process {daemon.process.pid} of " in gone.stderr


def test_tls_and_a_token(tmp_path: Path) -> None:
    certs = tmp_path / "certs"
    make(certs)
    secret, line = make_token("me")
    add_line(tmp_path / "tokens", line)
    http = {"cert": certs / "server.crt", "key": certs / "server.key", "tokens_file": tmp_path / "tokens"}
    settings = {f"http__{name}": path for name, path in http.items()}
    (tmp_path / "token").write_text(f"{secret}\n")
    tls = [f"--set=http.cert={http['cert']}", f"--set=http.key={http['key']}"]
    with Daemon(tmp_path, server__workers=1, **settings) as daemon:
        refused = invoke(tmp_path, *tls)
        assert refused.exit_code == 4
        assert "asks for a token; give --token-file FILE" in refused.stderr
        token = f"--token-file={tmp_path / 'token'}"
        assert invoke(tmp_path, *tls, token).exit_code == 0
        url = f"--url=https://localhost:{daemon.http[1]}"
        assert invoke(tmp_path, url, token, f"--ca={certs / 'ca.crt'}").exit_code == 0
        assert "not trusted" in invoke(tmp_path, url, token).stderr
    hash_line = invoke(tmp_path, f"--token-file={tmp_path / 'tokens'}")
    assert hash_line.exit_code == 2
    assert "must hold one token" in hash_line.stderr


def test_a_url_of_no_use(tmp_path: Path) -> None:
    shown = invoke(tmp_path, "--url=localhost:8080")
    assert shown.exit_code == 2
    assert "write it as http://host:port" in shown.stderr


def test_what_is_wrong_comes_with_what_to_do() -> None:
    findings = [
        {"severity": "critical", "what": "The disk is full.", "do": "Make room."},
        {"severity": "attention", "what": "Alert x: \x1b[2J\u202e"},
    ]
    ill = SNAPSHOT | {
        "assessment": {
            "state": "critical",
            "headline": "2 things are wrong",
            "detail": "",
            "findings": findings,
        }
    }
    assert lines(ill)[:3] == [
        "ingestd 1 on vm: 2 things are wrong",
        "  !! The disk is full. Make room.",
        r"  ! Alert x: \x1b[2J\u202e",
    ]
    assert not read_snapshot(ill, "").is_well


def test_losses_alerts_and_nodes() -> None:
    stats = {
        **SNAPSHOT["stats"],
        "drops": {"rate_limit": 5},
        "rejects": {"schema": 2},
        "udp": {"kernel_drops": 7},
    }
    alerts = {"summary": {"rules": 3, "firing": 2, "silenced": 1, "nodes": {"ok": 1, "failed": 2}}}
    shown = lines(SNAPSHOT | {"stats": stats, "recent": {"dropped": {"rate_limit": 1}}, "alerts": alerts})
    assert "  dropped    by the kernel 7, rate limit 5; 1 in the last minute" in shown
    assert "  rejected   schema 2; 0 in the last minute" in shown
    assert "  alerts     2 firing, 1 of them silenced, of 3 rules" in shown
    assert "  nodes      1 ok, 0 late, 2 failed" in shown


def test_another_version_may_say_more() -> None:
    snapshot = read_snapshot(SNAPSHOT | {"more": [1]}, "")
    assert isinstance(snapshot, Snapshot)
    assert snapshot.is_well
    assert len(lines(SNAPSHOT)) > 5


@pytest.mark.parametrize("answer", [None, [], {}, {"stats": {}}, SNAPSHOT | {"stats": {"version": 1}}])
def test_an_answer_of_somebody_else(answer: object) -> None:
    with pytest.raises(AskError, match="http://host does not answer as an ingestd of this version"):
        read_snapshot(answer, "http://host")
