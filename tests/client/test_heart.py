"""Heartbeats of the client: they come whatever becomes of batches, and change nothing about these."""

from __future__ import annotations

import asyncio
import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingestd.client import AsyncClient, Client, ConfigurationError, Tls
from tests.client.peer import Peer
from tests.daemon import PATIENCE_S, Daemon, wait_for

OFTEN_S = 0.05


def client_of(folder: Path, *addresses: str, **settings: Any) -> Client:
    given = {"client_id": "web-1", "spool_dir": folder / "spool", "heartbeat_interval_s": OFTEN_S}
    return Client(list(addresses), **(given | settings))


def test_they_say_who_lives(tmp_path: Path) -> None:
    with Peer() as peer:
        with client_of(tmp_path, peer.address, service="shop", node="n1", version="2.1", token="secret"):
            wait_for(lambda: len(peer.heard) >= 3, "three heartbeats")
        assert len(peer.streams) == 1
        assert peer.streams[0].format == "json"
        assert peer.streams[0].keys == {"token": "secret"}
        first, second, *_ = map(json.loads, peer.heard)
        wanted = {"kind": "heartbeat", "service": "shop", "node": "n1", "version": "2.1", "interval": OFTEN_S}
        assert first.items() >= wanted.items()
        times = [datetime.fromisoformat(beat["timestamp"]) for beat in (first, second)]
        assert times[0] < times[1] <= datetime.now(UTC)


def test_by_default_they_name_the_host_and_the_client(tmp_path: Path) -> None:
    with Peer() as peer, Client(peer.address, client_id="web-1", spool_dir=tmp_path / "spool"):
        wait_for(lambda: peer.heard, "a heartbeat")
        beat = json.loads(peer.heard[0])
        assert (beat["service"], beat["node"], beat["interval"]) == ("web-1", socket.gethostname(), 10.0)
        assert "version" not in beat


def test_none_is_sent_where_that_is_not_wanted(tmp_path: Path) -> None:
    with Peer() as peer, client_of(tmp_path, peer.address, heartbeat_interval_s=0) as client:
        client.send(b"{}")
        client.flush(PATIENCE_S)
        assert not peer.streams


def test_they_come_while_batches_wait(tmp_path: Path) -> None:
    with Peer({0: lambda talk: talk.say("OK 0")}) as peer, client_of(tmp_path, peer.address) as client:
        client.send(b"{}")
        wait_for(lambda: len(peer.heard) >= 3, "three heartbeats")
        assert client.stats().acknowledged <= 1
        client.flush(PATIENCE_S)


def test_they_go_on_after_the_server_was_away(tmp_path: Path) -> None:
    with Peer() as first, Peer() as second, client_of(tmp_path, first.address, second.address) as client:
        wait_for(lambda: first.heard, "a heartbeat")
        first.streams[0].reset()
        wait_for(lambda: second.heard, "one at the next address")
        second.streams[0].say("ERR shutting down")
        wait_for(lambda: len(first.streams) == 2, "one at the first address again")
        assert client.stats().last_error == ""


def test_a_server_that_is_not_there_is_no_matter(tmp_path: Path) -> None:
    """Nor is one that cannot be trusted; records wait in the spool, and the client closes as ever."""
    with client_of(tmp_path, "127.0.0.1:1", tls=Tls(ca=__file__)) as client:
        client.send(b"{}")
        client.flush(PATIENCE_S, durable=True)
        assert client.close(0.1) is False


@pytest.mark.parametrize(
    "settings",
    [{"heartbeat_interval_s": -1}, {"heartbeat_interval_s": 1e6}, {"node": ""}, {"service": "x" * 256}],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        client_of(tmp_path, "127.0.0.1:1", **settings)


@pytest.mark.parametrize("face", ["threads", "asyncio"])
def test_a_daemon_knows_the_node(tmp_path: Path, certs: Path, face: str) -> None:
    settings: dict[str, Any] = {
        "client_id": "web-1",
        "spool_dir": tmp_path / "spool",
        "tls": Tls(ca=certs / "ca.crt", server_name="localhost"),
        "node": "node-1",
        "version": "2.1",
    }
    with Daemon(tmp_path / "daemon", certs) as daemon:
        address = f"{daemon.tcp[0]}:{daemon.tcp[1]}"

        def node() -> dict[str, Any] | None:
            found = json.loads(daemon.get("/api/nodes"))["nodes"]
            return found[0] if found else None

        async def go() -> None:
            async with AsyncClient(address, **settings) as client:
                await client.send(b'{"message":"x"}')
                await client.flush(PATIENCE_S)
                await asyncio.to_thread(wait_for, node, "the node")

        if face == "asyncio":
            asyncio.run(go())
        else:
            with Client(address, **settings) as client:
                client.send(b'{"message":"x"}')
                client.flush(PATIENCE_S)
                wait_for(node, "the node")
        found = node()
        assert found is not None
        assert (found["node"], found["service"], found["version"]) == ("node-1", "web-1", "2.1")
        assert found["interval_seconds"] == 10.0
        assert daemon.wait_settled(1)["received"] == 1
