"""Alerts, from a record that is sent to somebody who is told; over crashes, reloads, storms and dead receivers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.alerts.asked import ask, silence
from tests.alerts.managers import alertmanager, known
from tests.alerts.receivers import Hook
from tests.daemon import PATIENCE_S, Daemon, check_law, wait_for
from tests.e2e.reloading import configure, reload

SECRET = "31337-secret"
ERRORS = 'name="errors", kind="match", level="ERROR", pattern="boom"'

#: The command line's exit codes.
FIRES, QUIET = 1, 0


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as served:
        yield served


def rules(*tables: str) -> str:
    return f"[{', '.join(f'{{{table}}}' for table in tables)}]"


def webhook(hook: Hook, name: str = "ops") -> str:
    return f'name="{name}", kind="webhook", url="{hook.url}", secret="{SECRET}"'


def daemon(folder: Path, hook: Hook, *tables: str, **settings: object) -> Daemon:
    """One with these rules, that tells `hook`."""
    given = {"alert": rules(*tables), "notifier": rules(webhook(hook)), "alerts.builtin": "false"}
    return Daemon(folder, **given | settings)


def error(service: str = "api", message: str = "boom") -> bytes:
    return json.dumps({"level": "ERROR", "service": service, "message": message}).encode() + b"\n"


def told(hook: Hook, status: str, count: int = 1, rule: str = "errors") -> list[Any]:
    """Wait until so many notices of this status came; these."""

    def found() -> list[Any]:
        every = [each for each in hook.notices() if each["commonLabels"].get("rule") == rule]
        return [each for each in every if each["status"] == status]

    return wait_for(lambda: len(got := found()) >= count and got, f"{count} {status} notices") or []


def sidecar(running: Daemon) -> psutil.Process:
    """The child that is no worker."""
    workers = {worker["pid"] for worker in running.stats()["workers"]}
    (found,) = (child for child in psutil.Process(running.process.pid).children() if child.pid not in workers)
    return found


def kept(running: Daemon) -> dict[str, Any]:
    """What is kept for the next process."""
    whole: dict[str, Any] = json.loads((running.folder / "state/alerts.json").read_bytes())
    return whole


def wait_told_and_kept(running: Daemon) -> None:
    """Wait until it is on disk that the alert was told, and delivered."""
    wait_for(
        lambda: (
            (running.folder / "state/alerts.json").exists()
            and any(group["told"] for group in kept(running)["engine"]["groups"])
            and not any(kept(running)["waiting"].values())
        ),
        "the file to say that it was told",
    )


def test_from_a_record_to_the_webhook_and_to_its_end(tmp_path: Path, hook: Hook) -> None:
    with daemon(tmp_path, hook, ERRORS + ', resolve_after="1s", labels={team="core"}') as running:
        running.send(b'{"level":"INFO","service":"api","message":"boom"}\n' + error(message="fine"))
        running.send(error() * 3)
        (firing,) = told(hook, "firing")
        (over,) = told(hook, "resolved")
        running.wait_settled(5)
        assert len(running.records()) == 5
        latency = running.metric("ingestd_notification_latency_seconds_count")
    assert all(received.is_signed_by(SECRET) for received in hook.received)
    (alert,) = firing["alerts"]
    assert alert["labels"] == {"team": "core", "severity": "warning", "rule": "errors", "service": "api"}
    assert json.loads(alert["annotations"]["sample"])["message"] == "boom"
    assert over["alerts"][0]["fingerprint"] == alert["fingerprint"]
    assert over["alerts"][0]["count"] == 3
    assert latency == 2


def test_each_format_over_each_door(tmp_path: Path, hook: Hook) -> None:
    by_service = ERRORS + ', group_by=["rule", "service"]'
    with daemon(tmp_path, hook, by_service) as running:
        running.send(error("json"))
        running.send(b"<11>1 2026-11-20T12:00:00Z h syslog - - - boom\n")
        with running.connect() as sock:
            sock.sendall(b"INGEST/1 raw\nERROR boom\n")
        wait_for(
            lambda: {each["groupLabels"]["service"] for each in hook.notices()} >= {"json", "syslog"},
            "notices of both",
        )


def test_a_node_that_fails_and_comes_back(tmp_path: Path, hook: Hook) -> None:
    beat = b'{"kind":"heartbeat","node":"web-1","service":"shop","interval":0.3,"version":"2.4"}\n'
    with daemon(tmp_path, hook) as running:
        running.send(beat)
        (firing,) = told(hook, "firing", rule="node-failed")
        assert firing["commonLabels"]["node"] == "web-1"
        (node,) = ask(running, "/api/nodes?state=failed").json["nodes"]
        assert (node["node"], node["version"]) == ("web-1", "2.4")
        assert running.metric("ingestd_nodes", state="failed") == 1

        def beats() -> bool:
            running.send(beat)
            return "resolved" in hook.states("node-failed")

        wait_for(beats, "its return to be told")
        assert running.stats()["totals"]["received"] == 0, "heartbeats are no records"


def test_an_alertmanager_has_what_fires_as_long_as_it_does(tmp_path: Path, hook: Hook) -> None:
    silent = 'name="silent", kind="absence", service="billing", silent_for="1s", resolve_after="0s", for="0s"'
    with alertmanager(tmp_path / "am", hook) as url:
        manager = rules(f'name="am", kind="alertmanager", url="{url}"')
        with daemon(tmp_path / "d", hook, silent, ERRORS, notifier=manager) as running:
            wait_for(lambda: [each["labels"]["alertname"] for each in known(url)] == ["silent"], "the alert")
            running.send(error("<api>"))
            wait_for(lambda: len(known(url)) == 2, "the other")
            running.send(b'{"service":"billing","message":"back"}\n')
            wait_for(
                lambda: any(
                    alert["status"] == "resolved" and alert["labels"]["alertname"] == "silent"
                    for told in hook.notices()
                    for alert in told["alerts"]
                ),
                "it to tell the end of the first",
            )
            (other,) = [each for each in known(url) if each["labels"]["alertname"] == "errors"]
    assert other["labels"]["service"] == "<api>"


class TestNothingIsForgottenAndNothingToldTwice:
    #: Fires by itself, and until there is a record of the service.
    SILENT = 'name="silent", kind="absence", service="billing", silent_for="1s"'

    def check(self, running: Daemon, hook: Hook) -> None:
        """After an interruption: it fires still, was told once, and its end is told."""
        wait_for(lambda: ask(running, "/api/alerts").status == 200, "the alerts to be taken up")
        assert [each["rule"] for each in ask(running, "/api/alerts?rule=silent").json["alerts"]] == ["silent"]
        assert hook.states("silent") == ["firing"]
        running.send(b'{"service":"billing","message":"back"}\n')
        told(hook, "resolved", rule="silent")
        assert hook.states("silent")[:2] == ["firing", "resolved"]
        assert ask(running, "/api/alerts").json["history"][-1]["rule"] == "silent"

    def test_over_a_crash_of_the_sidecar(self, tmp_path: Path, hook: Hook) -> None:
        with daemon(tmp_path, hook, self.SILENT) as running:
            told(hook, "firing", rule="silent")
            wait_told_and_kept(running)
            before = sidecar(running)
            before.send_signal(signal.SIGKILL)
            wait_for(lambda: not before.is_running() or before.status() == psutil.STATUS_ZOMBIE, "its end")
            wait_for(lambda: _answers(running), "another sidecar")
            self.check(running, hook)

    def test_over_a_restart_of_the_daemon(self, tmp_path: Path, hook: Hook) -> None:
        running = daemon(tmp_path, hook, self.SILENT)
        with running:
            told(hook, "firing", rule="silent")
        with running:
            self.check(running, hook)

    def test_over_a_reload_that_brings_another_rule(self, tmp_path: Path, hook: Hook) -> None:
        running = Daemon(tmp_path)
        first = f"[[alert]]\n{self.SILENT.replace(', ', chr(10))}\n"
        second = first + '[[alert]]\nname = "more"\nkind = "match"\nservice = "other"\n'
        table = f"[[notifier]]\n{webhook(hook).replace(', ', chr(10))}\n"
        configure_before_start(running, first + table)
        with running:
            told(hook, "firing", rule="silent")
            wait_told_and_kept(running)
            configure(running, second + table)
            reload(running, "applied")
            running.send(b'{"service":"other","message":"x"}\n')
            told(hook, "firing", rule="more")
            self.check(running, hook)

    def test_what_was_not_delivered_is_delivered_by_the_next(self, tmp_path: Path, hook: Hook) -> None:
        running = daemon(tmp_path, hook, ERRORS)
        hook.status = 503
        with running:
            running.send(error())
            wait_for(lambda: hook.received, "an attempt")
        hook.status = 200
        hook.received.clear()
        with running:
            assert len(told(hook, "firing")) == 1
            wait_told_and_kept(running)
        assert len(hook.received) == 1

    def test_silences_go_on(self, tmp_path: Path, hook: Hook) -> None:
        running = daemon(tmp_path, hook, ERRORS)
        with running:
            id_ = silence(running, rule="errors")
        with running:
            running.send(error())
            wait_for(lambda: ask(running, "/api/alerts").json["alerts"], "the alert")
            assert ask(running, "/api/alerts").json["alerts"][0]["silenced_by"] == [id_]
            assert hook.received == []
            ask(running, f"/api/silences/{id_}", "DELETE")
            told(hook, "firing")


def _answers(running: Daemon) -> bool:
    try:
        return ask(running, "/healthz").status == 200
    except OSError:
        return False


def configure_before_start(running: Daemon, text: str) -> None:
    running.folder.mkdir(parents=True, exist_ok=True)
    configure(running, text)


def test_a_file_that_is_no_state_is_set_aside(tmp_path: Path, hook: Hook) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/alerts.json").write_bytes(b"{torn")
    with daemon(tmp_path, hook, ERRORS) as running:
        running.send(error())
        told(hook, "firing")
        assert (tmp_path / "state/alerts.json.bad").read_bytes() == b"{torn"


def test_a_dead_a_hung_and_a_failing_notifier_leave_the_others_and_the_records_alone(
    tmp_path: Path, hook: Hook
) -> None:
    with Hook() as gone:
        dead = webhook(gone, "dead")
    with Hook() as hung, Hook() as failing:
        hung.holds.set()
        failing.status = 500
        notifiers = rules(
            dead,
            webhook(hung, "hung"),
            webhook(failing, "failing"),
            'name="broken", kind="command", command=["false"]',
            webhook(hook),
        )
        with daemon(tmp_path, hook, ERRORS, notifier=notifiers) as running:
            for number in range(20):
                running.send(error(f"s{number}"))
            told(hook, "firing")
            running.wait_settled(20)
            wait_for(
                lambda: all(
                    running.metric("ingestd_notifications_total", notifier=name, outcome="failed")
                    for name in ("dead", "failing", "broken")
                ),
                "them to have failed",
            )
            views = {view["name"]: view for view in ask(running, "/api/alerts").json["notifiers"]}
            hung.released.set()
        log = running.log.read_text()
    assert views["broken"]["last_error"] == "false: exit code 1"
    assert views["ops"]["last_error"] == ""
    assert views["dead"]["waiting"] == 1, "one notice for the group, whatever happened in it"
    for text in (log, json.dumps(views)):
        assert SECRET not in text
        assert "key=31337" not in text
    assert len(re.findall("notifier dead failed", log)) <= 2, "a dead notifier does not fill the log"


def test_a_storm_is_few_notices_bounded_memory_and_no_record_lost(tmp_path: Path, hook: Hook) -> None:
    """Every record of many services matches three rules; the notifier is slow besides."""
    tables = (
        'name="all", kind="match", level="TRACE"',
        'name="each", kind="match", level="INFO", pattern="[a-z]", group_by=["rule"]',
        'name="rate", kind="rate", level="TRACE", more_than=10, window="1s", per_service=true',
    )
    count = 300_000
    services = [f"service-{number}" for number in range(3000)]
    block = b"".join(
        json.dumps({"level": "INFO", "service": service, "message": "all is on fire"}).encode() + b"\n"
        for service in services
    )
    with daemon(tmp_path, hook, *tables) as running:
        running.send(error())
        told(hook, "firing", rule="all")
        process = sidecar(running)
        before = process.memory_info().rss
        for _ in range(count // len(services)):
            running.send(block)
        totals = running.wait_settled(count)
        check_law(totals)
        assert totals["written"] == count + 1
        wait_for(
            lambda: running.metric("ingestd_alerts_firing", rule="all") >= 1000,
            "as many alerts as there may be",
        )
        assert sidecar(running).pid == process.pid
        grown = process.memory_info().rss - before
        assert running.metric("ingestd_alerts_series_dropped_total", rule="all") > 0
        seconds = max(1.0, hook.received[-1].at_s - hook.received[0].at_s)
    assert grown < 100 << 20
    # Three groups; each may spend ten notices, and then one each ten seconds.
    assert len(hook.received) <= 3 * (10 + seconds / 10 + 1)
    largest = max(len(received.body) for received in hook.received)
    assert largest < 200_000


def run_cli(running: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    host, port = running.http
    command = [sys.executable, "-m", "ingestd", "alerts", *arguments, "--url", f"http://{host}:{port}"]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, env=os.environ | {"USER": "ann"}
    )


def test_from_the_command_line(tmp_path: Path, hook: Hook) -> None:
    with daemon(tmp_path, hook, ERRORS) as running:
        quiet = run_cli(running, "list")
        assert (quiet.returncode, quiet.stdout) == (QUIET, "nothing fires, of 2 rules\n")
        running.send(error("a\x1b[2J"))
        told(hook, "firing")
        fires = run_cli(running, "list", "--all")
        assert fires.returncode == FIRES
        assert "firing    warning " in fires.stdout
        assert r"errors: 1 record of a\x1b[2J matched" in fires.stdout
        assert "rule      node-failed: absence, critical, inactive, built in" in fires.stdout
        assert "\x1b" not in fires.stdout
        made = run_cli(running, "silence", "rule=err*", "--for", "2h", "--comment", "known")
        assert made.returncode == 0, made.stderr
        id_ = made.stdout.split()[1]
        held = run_cli(running, "list")
        assert held.returncode == QUIET
        assert held.stdout.startswith("silenced  warning ")
        assert f"silence   {id_}  until " in held.stdout
        assert run_cli(running, "silence", "--end", id_).returncode == 0
        again = run_cli(running, "silence", "--end", id_)
        assert again.returncode != 0
        assert "there is no silence" in again.stderr
        whole = json.loads(run_cli(running, "list", "--json").stdout)
        assert whole["firing"] == 1
