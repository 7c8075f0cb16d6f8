"""What workers notice, from a record's receipt to what the daemon says of it."""

from __future__ import annotations

import json
import socket
import urllib.error
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.daemon import Daemon, wait_for
from tests.e2e.reloading import reload
from tests.e2e.test_acknowledged import Peer

RULES = """
[[alert]]
name = "full"
kind = "match"
level = "ERROR"
service = "db"
pattern = "no space left"

[[alert]]
name = "errors"
kind = "match"
level = "ERROR"
"""


def daemon_with(folder: Path, rules: str = RULES, **settings: object) -> Daemon:
    folder.mkdir(exist_ok=True)
    (folder / "ingestd.toml").write_text(rules)
    return Daemon(folder, **settings)


def line(**fields: object) -> bytes:
    return json.dumps({"level": "INFO", "service": "db", "message": "x", **fields}).encode() + b"\n"


def firing(daemon: Daemon, rule: str) -> list[dict[str, Any]]:
    """None, too, while a new sidecar waits for what the old one knows, and says so."""
    try:
        answer = json.loads(daemon.get(f"/api/alerts?rule={rule}"))
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        return []
    return [alert for alert in answer["alerts"] if alert["state"] == "firing"]


def nodes(daemon: Daemon) -> dict[str, dict[str, Any]]:
    return {node["node"]: node for node in json.loads(daemon.get("/api/nodes"))["nodes"]}


def test_one_record_is_noticed(tmp_path: Path) -> None:
    with daemon_with(tmp_path / "d") as daemon:
        daemon.send(line() * 100 + line(level="ERROR", message="no space left on device") + line() * 100)
        (alert,) = wait_for(lambda: firing(daemon, "full"), "the alert")
        assert alert["labels"]["service"] == "db"
        assert "no space left on device" in json.dumps(alert)
        assert len(firing(daemon, "errors")) == 1
        assert daemon.metric("ingestd_records_level_total", level="INFO") == 200
        assert daemon.metric("ingestd_records_level_total", level="ERROR") == 1


def test_matches_are_told_over_reloads(tmp_path: Path) -> None:
    """A new sidecar hears what the old one did not, and new workers look for new rules."""
    with daemon_with(tmp_path / "d") as daemon:
        daemon.send(line(level="ERROR"))
        wait_for(lambda: firing(daemon, "errors"), "the alert")
        (tmp_path / "d" / "ingestd.toml").write_text(RULES.replace('"errors"', '"failures"'))
        reload(daemon, "applied")
        daemon.send(line(level="ERROR"))
        wait_for(lambda: firing(daemon, "failures"), "the alert of the new rule")


def test_heartbeats_are_told_and_not_stored(tmp_path: Path) -> None:
    with daemon_with(tmp_path / "d", "") as daemon:
        beat = {"kind": "heartbeat", "node": "node-1", "interval": "10s", "version": "2.1"}
        daemon.send(line() + line(**beat) + line())
        daemon.send(line(kind="heartbeat", node="unfinished").rstrip(b"\n"))
        wait_for(lambda: "unfinished" in nodes(daemon), "the node of a last line without its end")
        wait_for(lambda: "node-1" in nodes(daemon), "the node")
        node = nodes(daemon)["node-1"]
        assert (node["service"], node["version"], node["interval_seconds"]) == ("db", "2.1", 10.0)
        assert node["source"] == "127.0.0.1"
        totals = daemon.wait_settled(2)
        assert totals["received"] == totals["written"] == 2
        assert daemon.metric("ingestd_heartbeats_received_total", format="json", transport="tcp") == 2
        assert [record.get("kind") for record in daemon.records()] == [None, None]


def test_heartbeats_are_records_too_where_they_are_stored(tmp_path: Path) -> None:
    with daemon_with(tmp_path / "d", "", heartbeat__store="true") as daemon:
        daemon.send(line(kind="heartbeat"))
        wait_for(lambda: nodes(daemon), "the node")
        assert nodes(daemon).keys() == {"127.0.0.1"}
        assert daemon.wait_settled(1)["written"] == 1
        assert daemon.metric("ingestd_heartbeats_received_total") == 0
        assert daemon.records()[0]["kind"] == "heartbeat"


def test_a_batch_of_a_heartbeat_is_acknowledged(tmp_path: Path) -> None:
    with daemon_with(tmp_path / "d", "") as daemon, closing(Peer(daemon, "c")) as peer:
        peer.read_until("OK 0")
        peer.send(1, line(kind="heartbeat", node="node-1"))
        peer.send(2, line(kind="heartbeat", node="node-2") + line())
        peer.read_until("ACK 2")
        wait_for(lambda: nodes(daemon).keys() == {"node-1", "node-2"}, "the nodes")
        assert daemon.wait_settled(1)["written"] == 1
        assert daemon.metric("ingestd_heartbeats_received_total", format="json", transport="tcp") == 2


def test_a_heartbeat_over_udp(tmp_path: Path) -> None:
    with daemon_with(tmp_path / "d", "") as daemon, socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(line(kind="heartbeat", host="node-u"), daemon.udp)
        wait_for(lambda: "node-u" in nodes(daemon), "the node")
        assert daemon.metric("ingestd_heartbeats_received_total", transport="udp") == 1
        assert daemon.stats()["totals"]["received"] == 0
