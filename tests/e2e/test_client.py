"""The client library against real daemons: every acknowledged record is on disk exactly once, whatever is restarted."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from ingestd.client import AsyncClient, Client, FencedError, RefusedError, Tls
from tests.daemon import PATIENCE_S, Daemon, wait_for


def address(daemon: Daemon) -> str:
    return f"{daemon.tcp[0]}:{daemon.tcp[1]}"


def client_of(daemon: Daemon, folder: Path, **settings: Any) -> Client:
    given: dict[str, Any] = {"client_id": "web-1", "spool_dir": folder / "spool", "max_backoff_s": 0.2}
    return Client(address(daemon), **(given | settings))


def records(first: int, count: int) -> list[bytes]:
    return [
        b'{"level":"ERROR","service":"api","message":"no route","seq":%d}' % seq
        for seq in range(first, first + count)
    ]


def stored(*daemons: Daemon) -> list[int]:
    return sorted(record["seq"] for daemon in daemons for record in daemon.records())


def test_acknowledged_over_tls_is_on_disk(tmp_path: Path, certs: Path) -> None:
    tls = Tls(ca=certs / "ca.crt", server_name="localhost")
    with Daemon(tmp_path, certs) as daemon, client_of(daemon, tmp_path, tls=tls) as client:
        for record in records(0, 20_500):
            client.send(record)
        client.flush(PATIENCE_S)
        assert stored(daemon) == list(range(20_500))
        assert client.stats().acknowledged == 20_500


@pytest.mark.parametrize("victim", ["worker", "tree", "stopped"])
def test_a_daemon_that_dies_under_load(tmp_path: Path, victim: str) -> None:
    """Killed or stopped with batches on their way; what was sent again is stored once."""
    daemon = Daemon(tmp_path).start()
    try:
        settings = dict(daemon.settings)
        port = daemon.tcp[1]
        with client_of(daemon, tmp_path, batch_records=50) as client:
            sent = 0
            for _ in range(2):
                for record in records(sent, 5_000):
                    client.send(record)
                sent += 5_000
                before = client.stats().acknowledged
                wait_for(lambda before=before: client.stats().acknowledged > before, "some acknowledgements")
                if victim == "worker":
                    wait_for(lambda of=daemon: of.stats()["state"] == "ready", "all workers")
                    psutil.Process(daemon.stats()["workers"][0]["pid"]).kill()
                    continue
                if victim == "tree":
                    daemon.kill_tree()
                else:
                    assert daemon.stop(signal.SIGTERM) == 0
                daemon = Daemon(tmp_path, **(settings | {"listen.tcp.port": port})).start()
            client.flush(PATIENCE_S)
            assert stored(daemon) == list(range(sent))
    finally:
        if daemon.process.poll() is None:
            daemon.kill_tree()


def test_two_daemons_one_gone(tmp_path: Path) -> None:
    """The client goes on with the second, and comes back to the first when that is the one that is left."""
    first, second = Daemon(tmp_path / "first"), Daemon(tmp_path / "second")
    with second:
        with first:
            addresses = [address(first), address(second)]
            settings: dict[str, Any] = {
                "client_id": "web-1",
                "spool_dir": tmp_path / "spool",
                "max_backoff_s": 0.2,
            }
            client = Client(addresses, **settings)
            for record in records(0, 5_000):
                client.send(record)
            client.flush(PATIENCE_S)
            assert stored(first) == list(range(5_000))
        for record in records(5_000, 5_000):
            client.send(record)
        client.flush(PATIENCE_S)
        assert stored(second) == list(range(5_000, 10_000))
        port = first.tcp[1]
        again = Daemon(tmp_path / "first", **{"listen.tcp.port": port})
        with again:
            client.close()
            with Client(address(again), **settings) as back:
                for record in records(10_000, 5_000):
                    back.send(record)
                back.flush(PATIENCE_S)
            assert stored(again, second) == list(range(15_000))


def test_rejects_are_told(tmp_path: Path) -> None:
    told = []
    with Daemon(tmp_path) as daemon, client_of(daemon, tmp_path, on_reject=told.append) as client:
        for record in [*records(0, 10), b"{not json", b"[", *records(10, 10)]:
            client.send(record)
        client.flush(PATIENCE_S)
        assert stored(daemon) == list(range(20))
        assert sum(client.stats().rejected.values()) == sum(rejection.records for rejection in told) == 2
        assert len(daemon.rejects()) == 2


def test_two_processes_with_one_id_do_not_fight(tmp_path: Path) -> None:
    """A folder that was copied: the older is fenced and stops; what it did not send is still in its spool."""
    with Daemon(tmp_path) as daemon, client_of(daemon, tmp_path) as older:
        older.send(records(0, 1)[0])
        older.flush(PATIENCE_S)
        with client_of(daemon, tmp_path / "copy") as newer:
            newer.send(records(1, 1)[0])
            newer.flush(PATIENCE_S)
            with pytest.raises(FencedError):
                older.send(records(2, 1)[0])  # refused at once where it knows already
                older.flush(PATIENCE_S)
        assert stored(daemon) == [0, 1]
    assert not older.close()


def test_a_wrong_ca_is_told_and_what_was_sent_is_kept(tmp_path: Path, certs: Path) -> None:
    with Daemon(tmp_path, certs) as daemon:
        with client_of(daemon, tmp_path, tls=Tls()) as client:
            client.send(records(0, 1)[0])
            with pytest.raises(RefusedError, match="not trusted"):
                client.flush(PATIENCE_S)
        tls = Tls(ca=certs / "ca.crt", server_name="localhost")
        with client_of(daemon, tmp_path, tls=tls) as client:
            wait_for(lambda: not client.stats().spooled_batches, "the spool to be empty")
        assert stored(daemon) == [0]


def test_the_asyncio_face(tmp_path: Path) -> None:
    async def go(where: str) -> None:
        async with AsyncClient(where, client_id="web-1", spool_dir=tmp_path / "spool") as client:
            for record in records(0, 2_000):
                await client.send(record)
            await client.flush(PATIENCE_S)

    with Daemon(tmp_path) as daemon:
        asyncio.run(go(address(daemon)))
        assert stored(daemon) == list(range(2_000))


@pytest.mark.parametrize("format_", ["raw", "syslog", "journald", "protobuf"])
def test_other_formats(tmp_path: Path, format_: str) -> None:
    from formats.schemas.log_entry_pb2 import LogEntry

    made = {
        "raw": lambda seq: b"2026-11-20 12:00:00,123 ERROR api: number %d" % seq,
        "syslog": lambda seq: b"<131>1 2026-11-20T12:00:00Z web1 api - - - number %d" % seq,
        "journald": lambda seq: (
            b"__REALTIME_TIMESTAMP=1763640000000000\nPRIORITY=3\nMESSAGE=number %d\n\n" % seq
        ),
        "protobuf": lambda seq: LogEntry(message=f"number {seq}").SerializeToString(),
    }[format_]
    with Daemon(tmp_path) as daemon, client_of(daemon, tmp_path, format=format_) as client:
        for seq in range(2_500):
            client.send(made(seq))
        client.flush(PATIENCE_S)
        messages = [record["message"] for record in daemon.records()]
        assert sorted(messages) == sorted(f"number {seq}" for seq in range(2_500))
