"""Acknowledged batches end to end: what was acknowledged is on disk once, whoever dies, and each client is told so."""

from __future__ import annotations

import io
import os
import signal
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Self

import fastavro
import pytest
import zstandard

from formats.schemas.log_entry_pb2 import LogBatch, LogEntry
from tests.daemon import Daemon, wait_for
from tests.e2e.test_tcp import line


class Peer:
    """A client that speaks the protocol by hand."""

    opened: ClassVar[list[Peer]] = []

    def __init__(self, daemon: Daemon, client: str, header: str = "json") -> None:
        self.opened.append(self)
        self.socket = daemon.connect()
        self.socket.settimeout(30)
        self.answers = self.socket.makefile("rb")
        self.socket.sendall(f"INGEST/1 {header} ack=1 client={client}\n".encode())

    def send(self, sequence: int, payload: bytes) -> Self:
        self.socket.sendall(struct.pack(">IQ", len(payload), sequence) + payload)
        return self

    def read(self) -> str:
        return self.answers.readline().decode().rstrip("\n")

    def read_until(self, answer: str) -> list[str]:
        read = [self.read()]
        while read[-1] != answer:
            assert read[-1], f"the end came before {answer}: {read}"
            read.append(self.read())
        return read

    def close(self) -> None:
        self.answers.close()
        self.socket.close()


@pytest.fixture(autouse=True)
def _close_peers() -> Iterator[None]:
    yield
    while Peer.opened:
        Peer.opened.pop().close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path / "daemon", **{"segment.flush_interval": "20s"}) as daemon:
        yield daemon


def counts(daemon: Daemon) -> Counter[object]:
    return Counter(record["seq"] for record in daemon.records())


def test_an_acknowledged_batch_is_on_disk(daemon: Daemon) -> None:
    peer = Peer(daemon, "c1")
    assert peer.read() == "OK 0"
    assert peer.send(1, line(seq=1) + line(seq=2)).read() == "ACK 1"
    assert counts(daemon) == {1: 1, 2: 1}  # no flush interval has passed: it was written for this
    peer.close()


def test_a_batch_sent_again_is_stored_once(daemon: Daemon) -> None:
    peer = Peer(daemon, "c1")
    peer.read()
    peer.send(1, line(seq=1)).send(2, line(seq=2)).read_until("ACK 2")
    assert peer.send(1, line(seq=1)).read() == "ACK 2"
    peer.close()
    peer = Peer(daemon, "c1")
    assert peer.read() == "OK 2"
    assert peer.send(2, line(seq=2)).read() == "ACK 2"
    assert peer.send(3, line(seq=3)).read() == "ACK 3"
    peer.close()
    assert counts(daemon) == {1: 1, 2: 1, 3: 1}
    assert daemon.metric("ingestd_batches_duplicate_total") == 2


def test_refused_records_are_told_and_the_others_stored(daemon: Daemon) -> None:
    peer = Peer(daemon, "c1")
    peer.read()
    peer.send(1, line(seq=1) + b"{bad\n" + b'[1]\n{"level":7e9}\n' + line(seq=2))
    told = peer.read_until("ACK 1")
    assert told[:-1] == ["REJECT 1 1 invalid_json", "REJECT 1 1 invalid_level", "REJECT 1 1 not_an_object"]
    assert peer.send(2, b"nonsense").read_until("ACK 2")[0] == "REJECT 2 1 invalid_json"
    peer.close()
    peer = Peer(daemon, "c1")
    assert peer.read() == "OK 2"  # although nothing of the second was stored
    peer.close()
    assert counts(daemon) == {1: 1, 2: 1}


@pytest.mark.parametrize(
    ("sequence", "answer"),
    [
        (3, "ERR sequence 3 does not follow 1"),
        (0, "ERR sequence 0 does not follow 1"),
        (2**63, f"ERR sequence {2**63} does not follow 1"),
    ],
)
def test_a_gap_is_refused(daemon: Daemon, sequence: int, answer: str) -> None:
    peer = Peer(daemon, "c1")
    peer.read()
    peer.send(1, line(seq=1)).read_until("ACK 1")
    assert peer.send(sequence, line(seq=9)).read() == answer
    assert peer.read() == ""
    peer.close()


def test_a_newer_connection_fences_the_older(daemon: Daemon) -> None:
    older = Peer(daemon, "c1")
    older.read()
    newer = Peer(daemon, "c1")
    assert newer.read() == "OK 0"
    assert older.read() == "ERR fenced by a newer connection of this client"
    assert newer.send(1, line(seq=1)).read() == "ACK 1"
    other = Peer(daemon, "c2")
    assert other.read() == "OK 0"
    assert other.send(7, line(seq=7)).read() == "ACK 7"  # after OK 0 a client may begin anywhere


def test_a_length_out_of_bounds_ends_the_connection(daemon: Daemon) -> None:
    for length in (0, 2**32 - 1):
        peer = Peer(daemon, "c1")
        peer.read()
        peer.socket.sendall(struct.pack(">IQ", length, 1))
        assert peer.read().startswith(f"ERR batch of {length} bytes, allowed are 1 to")
        peer.close()


def test_byte_by_byte(daemon: Daemon) -> None:
    peer = Peer(daemon, "c1")
    peer.read()
    for byte in struct.pack(">IQ", len(line(seq=1)), 1) + line(seq=1):
        peer.socket.sendall(bytes([byte]))
    assert peer.read() == "ACK 1"
    peer.close()


AVRO = {
    "type": "record",
    "name": "Log",
    "fields": [{"name": name, "type": "string"} for name in ("timestamp", "level", "service", "message")]
    + [{"name": "seq", "type": "long"}],
}


def test_each_format_in_batches(daemon: Daemon) -> None:
    entry = LogEntry(timestamp="2026-11-20T12:00:00.000001Z", level="INFO", service="pb", message="m", seq=4)
    batch = LogBatch(entries=[entry, entry]).SerializeToString()
    container = io.BytesIO()
    avro = {"timestamp": "2026-11-20T12:00:00.000001Z", "level": "INFO", "service": "avro", "message": "m"}
    fastavro.writer(container, AVRO, [avro | {"seq": 5}])
    syslog = b"<13>1 2026-11-20T12:00:00.000001Z host app - - - syslog"
    journal = b"__REALTIME_TIMESTAMP=1795176000000000\nMESSAGE=journal\nSYSLOG_IDENTIFIER=j\n\n"
    payloads = {
        "raw": b"just text\nand more",
        "syslog": syslog,
        "journald": journal,
        "protobuf": bytes([len(batch) & 0x7F | 0x80, len(batch) >> 7]) + batch,
        "avro": container.getvalue(),
        "auto": line(seq=6) + syslog + b"\ntext",
        "json compression=zstd": zstandard.ZstdCompressor().compress(line(seq=7)),
    }
    for number, (header, payload) in enumerate(payloads.items()):
        peer = Peer(daemon, f"c{number}", header)
        assert peer.read() == "OK 0"
        assert peer.send(1, payload).read() == "ACK 1", header
        peer.close()
    by_format = Counter(record["format"] for record in daemon.records())
    assert by_format == {"raw": 3, "syslog": 2, "journald": 1, "protobuf": 2, "avro": 1, "json": 2}


def test_a_batch_that_is_not_what_it_should_be_is_one_reject(daemon: Daemon) -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(64 << 20))
    for number, (header, payload, reason) in enumerate(
        [
            ("json compression=zstd", b"not zstd", "invalid_frame"),
            ("json compression=zstd", bomb, "oversize"),
            ("protobuf", b"\xff" * 11, "invalid_frame"),
            ("protobuf", b"\x02\x12\x00", "invalid_protobuf"),
            ("avro", b"no container", "invalid_frame"),
        ]
    ):
        peer = Peer(daemon, f"c{number}", header)
        assert peer.read() == "OK 0"
        assert peer.send(1, payload).read_until("ACK 1") == [f"REJECT 1 1 {reason}", "ACK 1"]
        assert peer.send(1, payload).read() == "ACK 1"
        peer.close()
    assert daemon.records() == []


def test_a_killed_worker_loses_nothing_acknowledged(daemon: Daemon) -> None:
    peers = [Peer(daemon, f"c{number}") for number in range(4)]
    for peer in peers:
        peer.read()
    for sequence in range(1, 21):
        for number, peer in enumerate(peers):
            peer.send(sequence, line(seq=f"{number}-{sequence}"))
    for peer in peers:
        peer.read_until("ACK 20")
    for worker in daemon.stats()["workers"]:
        os.kill(worker["pid"], signal.SIGKILL)
    for number in range(4):
        peer = Peer(daemon, f"c{number}")
        assert peer.read() == "OK 20"
        assert peer.send(21, line(seq=f"{number}-21")).read() == "ACK 21"
        peer.close()
    expected = {f"{number}-{sequence}": 1 for number in range(4) for sequence in range(1, 22)}
    assert counts(daemon) == expected


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL", "no checkpoint"])
def test_a_new_start_knows_every_client(tmp_path: Path, how: str) -> None:
    daemon = Daemon(tmp_path / "daemon")
    with daemon:
        for client in ("c1", "c2"):
            peer = Peer(daemon, client)
            peer.read()
            for sequence in range(41, 44):
                peer.send(sequence, line(seq=f"{client}-{sequence}"))
            peer.read_until("ACK 43")
            peer.close()
        if how == "SIGKILL":
            daemon.kill_tree()
            daemon.process.returncode = 0  # as was meant
    if how == "no checkpoint":
        (tmp_path / "daemon" / "state" / "clients.json").unlink()
    with daemon:
        for client in ("c1", "c2"):
            peer = Peer(daemon, client)
            assert peer.read() == "OK 43"
            assert peer.send(44, line(seq=f"{client}-44")).read() == "ACK 44"
            peer.close()
    assert counts(daemon) == {f"{client}-{n}": 1 for client in ("c1", "c2") for n in range(41, 45)}


def test_a_compressed_stream_without_acknowledgements(daemon: Daemon) -> None:
    with daemon.connect() as sender:
        data = b"".join(line(seq=n) for n in range(1000))
        compressor = zstandard.ZstdCompressor().compressobj()
        sender.sendall(b"INGEST/1 json compression=zstd\n" + compressor.compress(data) + compressor.flush())
        sender.shutdown(socket.SHUT_WR)
        assert sender.recv(1) == b""
    wait_for(lambda: daemon.metric("ingestd_records_received_total") == 1000, "all to be received")
