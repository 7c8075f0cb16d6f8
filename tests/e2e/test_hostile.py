"""Hostile senders against a real daemon: after each it serves others, its memory is bounded, a counter says it.

What they have in common is checked once, behind every test (`daemon`). Bad records are in test_bad_input.py.
"""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from formats import FORMATS
from tests.daemon import PATIENCE_S, Daemon, check_law, wait_for
from tests.e2e.test_acknowledged import Peer
from tests.e2e.test_tcp import line

#: Far above what a worker has of its own, far below what the senders here would like it to have.
RSS_BYTES = 220_000_000

LIMITS = {
    "limits.header_timeout": "1s",
    "limits.max_batch_bytes": "8MB",
    "limits.memory_budget": "24MB",
    "server.drain_timeout": "5s",
}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path / "daemon", **LIMITS) as daemon:
        yield daemon
        assert_unharmed(daemon)
        while Peer.opened:
            Peer.opened.pop().close()


def assert_unharmed(daemon: Daemon) -> None:
    """It takes, stores and acknowledges what others send, the law holds, and nothing crashed or grew."""
    with contextlib.closing(Peer(daemon, "witness")) as peer:
        assert peer.read() == "OK 0"
        peer.send(1, line(seq="witness")).read_until("ACK 1")
    assert Counter(record.get("seq") for record in daemon.records())["witness"] == 1
    stats = daemon.stats()
    check_law(stats["totals"])
    assert stats["worker_restarts"] == 0
    assert max(worker["resident_memory_bytes"] for worker in stats["workers"]) < RSS_BYTES
    assert "Traceback" not in daemon.log.read_text()


def closed(daemon: Daemon, reason: str) -> float:
    return daemon.metric("ingestd_connections_closed_total", reason=reason)


def drip(sock: socket.socket, data: bytes, pause_s: float) -> bool:
    """Send byte by byte until the other side has enough; whether all went out."""
    for byte in data:
        try:
            sock.sendall(bytes([byte]))
        except OSError:
            return False
        time.sleep(pause_s)
    return True


@pytest.mark.parametrize("start", [b"INGEST/1 json ", b"INGEST/1 json ack=1 client="])
def test_a_header_byte_by_byte_has_no_more_time_than_another(daemon: Daemon, start: bytes) -> None:
    with daemon.connect() as sock:
        assert not drip(sock, start + b"x" * 400, 0.05)
    assert closed(daemon, "header_timeout") == 1


def test_an_unfinished_handshake_is_given_up(tmp_path: Path, certs: Path) -> None:
    with Daemon(tmp_path, certs, **LIMITS) as daemon, socket.create_connection(daemon.tcp) as sock:
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
        drip(sock, hello, 0.02)
        wait_for(lambda: closed(daemon, "header_timeout") + closed(daemon, "tls_error") == 1, "the end of it")


def test_renegotiation_is_refused(tmp_path: Path, certs: Path) -> None:
    """TLS 1.2 let a client begin the handshake anew, at the server's cost, as often as it liked."""
    with Daemon(tmp_path, certs, **LIMITS) as daemon:
        host, port = daemon.tcp
        client = subprocess.run(
            ["openssl", "s_client", "-tls1_2", "-connect", f"{host}:{port}"],
            input="R\n" * 50,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        said = client.stdout + client.stderr
        assert "RENEGOTIATING" in said
        assert "no renegotiation" in said or "no_renegotiation" in said
        wait_for(lambda: daemon.metric("ingestd_connections_open") == 0, "the connection to end")
        assert sum(closed(daemon, reason) for reason in ("eof", "tls_error", "reset")) == 1
        assert_unharmed(daemon)
        while Peer.opened:
            Peer.opened.pop().close()


@pytest.mark.parametrize("name", FORMATS)
def test_random_bytes(daemon: Daemon, name: str) -> None:
    noise = random.Random(name).randbytes(1 << 20)
    for header in ("", f"INGEST/1 {name}\n", f"INGEST/1 {name} compression=zstd\n"):
        with contextlib.suppress(OSError), daemon.connect() as sock:
            sock.sendall(header.encode() + noise)
    peer = Peer(daemon, f"random-{name}", name)
    assert peer.read() == "OK 0"
    assert peer.send(1, noise).read_until("ACK 1")
    peer.send(2, noise[: 1 << 16]).read_until("ACK 2")
    with contextlib.suppress(OSError):
        peer.socket.sendall(noise)  # no batch at all
    assert wait_for(lambda: closed(daemon, "bad_batch") + closed(daemon, "bad_sequence"), "its end") == 1
    assert daemon.metric("ingestd_records_rejected_total") + daemon.metric("ingestd_records_received_total")


def test_a_stream_that_is_a_bomb(daemon: Daemon) -> None:
    """zstd makes 128 KiB of one value of 4 bytes."""
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(1 << 30))
    assert len(bomb) < (1 << 30) / 10_000
    with contextlib.suppress(OSError), daemon.connect() as sock:
        sock.sendall(b"INGEST/1 raw compression=zstd\n" + bomb)
        assert sock.recv(100).startswith(b"ERR invalid_frame: ")
    wait_for(lambda: closed(daemon, "frame_error") == 1, "its end")


def test_a_stream_of_tiny_lines_that_was_made_small(daemon: Daemon) -> None:
    """Within the ratio that is allowed, and each byte as dear as can be."""
    lines = zstandard.ZstdCompressor().compress(b"{\n" * 500_000)
    with daemon.connect() as sock:
        sock.sendall(b"INGEST/1 json compression=zstd\n" + lines)
        sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            sock.recv(100)
    wait_for(
        lambda: closed(daemon, "eof") + closed(daemon, "frame_error") + closed(daemon, "reset"), "its end"
    )


@pytest.mark.parametrize("declared", [True, False])
def test_a_batch_that_is_a_bomb(daemon: Daemon, declared: bool) -> None:
    compressor = zstandard.ZstdCompressor(level=19, write_content_size=declared)
    bomb = compressor.compress(bytes(1 << 30))
    peer = Peer(daemon, "bomber", "json compression=zstd")
    assert peer.read() == "OK 0"
    told = peer.send(1, bomb).read_until("ACK 1")
    assert told[0].startswith("REJECT 1 1 ")
    assert peer.send(2, zstandard.ZstdCompressor().compress(line(seq="good"))).read() == "ACK 2"


def test_a_batch_of_tiny_lines_becomes_no_mountain(daemon: Daemon) -> None:
    """8 MB of refused lines: counted to the last, the first of them kept, and acknowledged."""
    peer = Peer(daemon, "tiny", "json compression=zstd")
    assert peer.read() == "OK 0"
    told = peer.send(1, zstandard.ZstdCompressor().compress(b"{\n" * 500_000)).read_until("ACK 1")
    assert told == ["REJECT 1 500000 invalid_json", "ACK 1"]
    assert daemon.metric("ingestd_records_rejected_total") == 500_000
    assert daemon.metric("ingestd_rejects_skipped_total") >= 490_000


def test_a_batch_that_becomes_too_much_costs_its_sender_the_connection(daemon: Daemon) -> None:
    """8 MB of two-byte texts are four million records of a hundred bytes."""
    peer = Peer(daemon, "texts", "raw compression=zstd")
    assert peer.read() == "OK 0"
    peer.send(1, zstandard.ZstdCompressor().compress(b"x\n" * 3_900_000))
    assert peer.read().startswith("ERR busy: ")
    assert wait_for(lambda: closed(daemon, "memory_budget"), "its end") == 1


def test_many_unfinished_batches_share_one_budget(daemon: Daemon) -> None:
    head = struct.pack(">IQ", 8_000_000, 1)
    peers = [Peer(daemon, f"hoarder-{number}") for number in range(12)]
    for peer in peers:
        assert peer.read() == "OK 0"
        with contextlib.suppress(OSError):
            peer.socket.sendall(head + bytes(7_000_000))
    wait_for(lambda: closed(daemon, "memory_budget") >= 4, "the largest to go")
    assert daemon.metric("ingestd_held_bytes") <= 2 * 24_000_000
    assert closed(daemon, "memory_budget") < len(peers)


def test_answers_that_are_never_read(daemon: Daemon) -> None:
    """Each duplicate is answered: who reads none of that is not read any more, and is held to that."""
    peer = Peer(daemon, "deaf")
    assert peer.read() == "OK 0"
    peer.send(1, line(seq=1)).read_until("ACK 1")
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.socket.settimeout(3)
    again = struct.pack(">IQ", len(line(seq=1)), 1) + line(seq=1)
    with contextlib.suppress(TimeoutError):
        for _ in range(200_000):
            peer.socket.sendall(again)
    assert daemon.metric("ingestd_held_bytes") < 8_000_000


def test_half_open_connections(daemon: Daemon) -> None:
    """They say that they will send no more, and wait; or are reset in the middle of a batch."""
    for number in range(50):
        with daemon.connect() as sock:
            sock.sendall(b"INGEST/1 json ack=1 client=half-%d\n" % number + struct.pack(">IQ", 100, 1) + b"{")
            if number % 2:
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(100):
                    pass
            else:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for(lambda: daemon.metric("ingestd_connections_open") == 0, "all of them to be gone")
    assert closed(daemon, "eof") == 25
    assert closed(daemon, "eof") + closed(daemon, "reset") == daemon.metric(
        "ingestd_connections_accepted_total"
    )
    assert daemon.metric("ingestd_records_received_total") == 0


def test_sequences_replayed_and_skipped(daemon: Daemon) -> None:
    peer = Peer(daemon, "replayer")
    assert peer.read() == "OK 0"
    for sequence in (1, 2, 1, 2, 3, 1, 3):
        peer.send(sequence, line(seq=sequence))
    peer.read_until("ACK 3")
    assert wait_for(lambda: daemon.metric("ingestd_batches_duplicate_total") == 4, "the duplicates")
    peer.send(5, line(seq=5))
    answers = [peer.read() for _ in range(5)]
    assert "ERR sequence 5 does not follow 3" in answers
    assert closed(daemon, "bad_sequence") == 1
    assert Counter(record["seq"] for record in daemon.records()) == {1: 1, 2: 1, 3: 1}


def test_two_that_fight_for_one_client_id(daemon: Daemon) -> None:
    """Each fences the other again and again; whatever was acknowledged to either is there once."""
    acknowledged: set[int] = set()

    def fight() -> None:
        for _ in range(15):
            peer = Peer(daemon, "contested")
            answer = peer.read()
            if answer.startswith("OK "):
                first = int(answer[3:]) + 1
                with contextlib.suppress(OSError):
                    for sequence in range(first, first + 5):
                        peer.send(sequence, line(seq=sequence))
                    while (answer := peer.read()).startswith("ACK "):
                        acknowledged.add(int(answer[4:]))
                        if int(answer[4:]) == first + 4:
                            break
            peer.close()

    fighters = [threading.Thread(target=fight) for _ in range(2)]
    for fighter in fighters:
        fighter.start()
    for fighter in fighters:
        fighter.join(PATIENCE_S)
    stored = Counter(record["seq"] for record in daemon.records())
    assert acknowledged
    assert set(range(1, max(acknowledged) + 1)) <= stored.keys()
    assert set(stored.values()) == {1}


def test_a_source_over_its_rate_over_udp(tmp_path: Path) -> None:
    settings = LIMITS | {"limits.source_rate": "1KB"}
    with Daemon(tmp_path, **settings) as daemon, socket.socket(type=socket.SOCK_DGRAM) as sender:
        for sent in range(
            100, 400, 100
        ):  # what is read at once is taken as a whole, so the first hundred are
            for number in range(100):
                sender.sendto(line(seq=number), daemon.udp)
            totals = daemon.wait_settled(sent)
        assert totals["dropped"] > 0
        assert totals["written"] > 0
        assert daemon.metric("ingestd_records_dropped_total", reason="rate_limit") == totals["dropped"]


def test_garbage_at_full_speed_and_a_quiet_client(daemon: Daemon) -> None:
    """What a line of one letter costs is paid in turns: the quiet client is acknowledged all the while."""
    stop = threading.Event()

    def flood() -> None:
        with contextlib.suppress(OSError), daemon.connect() as sock:
            sock.sendall(b"INGEST/1 json\n")
            while not stop.is_set():
                sock.sendall(b"{\n" * (128 << 10))

    floods = [threading.Thread(target=flood) for _ in range(4)]
    for thread in floods:
        thread.start()
    try:
        wait_for(lambda: daemon.metric("ingestd_records_rejected_total") > 10_000, "the flood")
        peer = Peer(daemon, "quiet")
        assert peer.read() == "OK 0"
        for sequence in range(1, 31):
            assert peer.send(sequence, line(seq=sequence)).read() == f"ACK {sequence}"
    finally:
        stop.set()
        for thread in floods:
            thread.join(PATIENCE_S)


def test_ten_thousand_idle_connections(tmp_path: Path) -> None:
    """They say nothing, and others are served; the memory that they take is small."""
    want = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < want + 500:
        pytest.skip(f"{want} connections need more open files than the hard limit of {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, want + 500), hard))
    settings = {"limits.header_timeout": "10m", "limits.max_connections": want + 100}
    try:
        with Daemon(tmp_path, **settings) as daemon, contextlib.ExitStack() as idle:
            for _ in range(want):
                idle.enter_context(socket.create_connection(daemon.tcp))
            wait_for(lambda: daemon.metric("ingestd_connections_open") == want, "all of them")
            open_now = [worker["connections"] for worker in daemon.stats()["workers"]]
            # Workers that decide in the same instant can be off by one each; over thousands that stays a few.
            assert max(open_now) - min(open_now) <= want // 100
            assert_unharmed(daemon)
            idle.close()
            wait_for(lambda: daemon.metric("ingestd_connections_open") <= 1, "them to be gone")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        while Peer.opened:
            Peer.opened.pop().close()
