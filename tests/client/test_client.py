"""The synchronous face against a peer that misbehaves on demand; tests/e2e/test_client.py has the real daemon."""

from __future__ import annotations

import datetime
import errno
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, get_type_hints

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ingestd.client import (
    Acknowledgement,
    Client,
    ClosedError,
    ConfigurationError,
    FencedError,
    Options,
    RecordError,
    RefusedError,
    Rejection,
    SpoolError,
    SpoolFullError,
    Tls,
    engine,
    segment_file,
)
from ingestd.client.options import Address, Settings
from tests.client.peer import Peer, Talk
from tests.daemon import PATIENCE_S, wait_for
from tests.fakes import FaultyOs

RECORDS = [b'{"seq":%d}' % number for number in range(1_000)]


class MakeClient:
    """Makes clients on one spool folder, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *addresses: str, **settings: Any) -> Client:
        small: dict[str, Any] = {"client_id": "web-1", "spool_dir": self.folder, "batch_records": 100}
        small |= {"linger_s": 0.01, "max_backoff_s": 0.2, "heartbeat_interval_s": 0}
        return Client(list(addresses), **(small | settings))


@pytest.fixture
def make(tmp_path: Path) -> MakeClient:
    return MakeClient(tmp_path / "spool")


def send_all(client: Client, records: list[bytes] = RECORDS) -> None:
    for record in records:
        client.send(record)


def test_every_record_arrives_once_and_in_order(make: MakeClient) -> None:
    with Peer() as peer, make(peer.address) as client:
        send_all(client)
        client.flush(PATIENCE_S)
        stats = client.stats()
        assert (stats.taken, stats.acknowledged, stats.spooled_batches) == (1_000, 1_000, 0)
        assert (stats.connections, stats.dropped, stats.rejected, stats.last_error) == (1, 0, {}, "")
        assert peer.lines() == RECORDS
        assert [len(data.splitlines()) for _, data in peer.stored["web-1"]] == [100] * 10
        assert peer.talks[0].keys == {"ack": "1", "client": "web-1", "compression": "zstd"}


def test_a_batch_that_does_not_fill_goes_after_the_linger(make: MakeClient) -> None:
    with Peer() as peer, make(peer.address) as client:
        client.send(RECORDS[0])
        wait_for(lambda: peer.lines() == RECORDS[:1], "the record to arrive by itself")


def test_blocks_and_records_keep_their_order(make: MakeClient) -> None:
    block = b"\n".join(RECORDS[10:300]) + b"\n"
    with Peer() as peer, make(peer.address, batch_bytes=2_000, spool_bytes=1 << 20) as client:
        send_all(client, RECORDS[:10])
        client.send_many(block, 290)
        client.send_many(b"\n".join(RECORDS[300:305]), 5)
        send_all(client, RECORDS[305:310])
        client.flush(PATIENCE_S)
        assert peer.lines() == RECORDS[:310]
        assert client.stats().acknowledged == 310
        assert max(len(data) for _, data in peer.stored["web-1"]) <= 2_000


def test_large_records_are_divided_by_size(make: MakeClient) -> None:
    records = [b"%d" % number * 20_000 for number in range(1, 10)]
    with Peer() as peer, make(peer.address, format="raw", batch_bytes=50_000) as client:
        send_all(client, records)
        client.flush(PATIENCE_S)
        assert peer.lines() == records
        assert max(len(data) for _, data in peer.stored["web-1"]) <= 50_000


def test_a_record_that_no_batch_can_carry_is_not_taken(make: MakeClient) -> None:
    with Peer() as peer, make(peer.address, batch_bytes=1_000, spool_bytes=100_000) as client:
        with pytest.raises(RecordError, match="25001 bytes"):
            client.send(b"x" * 25_001)
        with pytest.raises(RecordError):
            client.send_many(b"", 0)
        client.send(b"y" * 20_000)
        client.flush(PATIENCE_S)
        assert peer.lines() == [b"y" * 20_000]


def test_avro_containers_are_batches_of_their_own(make: MakeClient) -> None:
    with Peer() as peer, make(peer.address, format="avro", compression="none") as client:
        with pytest.raises(RecordError, match="send_many"):
            client.send(b"x")
        client.send_many(b"Obj\x01 one", 1)
        client.send_many(b"Obj\x01 two", 1)
        client.flush(PATIENCE_S)
        assert [data for _, data in peer.stored["web-1"]] == [b"Obj\x01 one", b"Obj\x01 two"]


def test_several_threads_may_send(make: MakeClient) -> None:
    with Peer() as peer, make(peer.address) as client:
        threads = [
            threading.Thread(target=send_all, args=(client, RECORDS[first::4] * 5)) for first in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.flush(PATIENCE_S)
        assert sorted(peer.lines()) == sorted(RECORDS * 5)


def break_after(peer: list[Peer], batches: int) -> Callable[[Talk], None]:
    """A server that stores so many batches and dies before it acknowledges the last."""

    def script(talk: Talk) -> None:
        peer[0].serve(talk, batches)
        batch = talk.batch()
        assert batch is not None
        peer[0].stored[talk.client].append(batch)
        talk.reset()

    return script


def test_a_server_that_dies_again_and_again_stores_all_once(make: MakeClient) -> None:
    peers: list[Peer] = []
    with Peer({number: break_after(peers, number) for number in range(5)}) as peer:
        peers.append(peer)
        with make(peer.address) as client:
            send_all(client, RECORDS * 3)
            client.flush(PATIENCE_S)
            assert peer.lines() == RECORDS * 3
            assert client.stats().connections == 6


def test_without_a_server_all_is_spooled_and_sent_by_the_next_process(make: MakeClient) -> None:
    with Peer() as gone:
        address = gone.address
    client = make(address)
    send_all(client)
    client.flush(PATIENCE_S, durable=True)
    with pytest.raises(TimeoutError, match=r"not done after 0\.05 s"):
        client.flush(0.05)
    assert not client.close(0.05)
    told: list[Acknowledgement] = []
    with Peer() as peer, make(peer.address, on_acknowledge=told.append) as again:
        assert again.first_sequence == 11
        again.send(b"last")
        again.flush(PATIENCE_S)
        assert peer.lines() == [*RECORDS, b"last"]
        assert again.stats().acknowledged == 1_001
        assert [one.inherited for one in told] == [True] * 10 + [False]


def test_the_next_address_is_tried(make: MakeClient) -> None:
    with Peer() as gone:
        address = gone.address
    with Peer() as peer, make(address, peer.address) as client:
        send_all(client)
        client.flush(PATIENCE_S)
        assert peer.lines() == RECORDS


def test_back_and_forth_between_servers_that_know_nothing_of_each_other(make: MakeClient) -> None:
    """The first would refuse what follows a gap; it is sent there under another id."""
    with Peer() as first, Peer() as second:
        for number, peer in enumerate([first, second, first, second]):
            with make(peer.address) as client:
                send_all(client, RECORDS[number * 250 : (number + 1) * 250])
                client.flush(PATIENCE_S)
        assert first.lines() == RECORDS[:250] + RECORDS[500:750]
        assert second.lines() == RECORDS[250:500] + RECORDS[750:]


def test_rejections_are_told_once_and_counted(make: MakeClient) -> None:
    def refuse(talk: Talk) -> None:
        talk.say("OK 0")
        assert talk.batch() is not None
        talk.say("REJECT 1 2 invalid_json")
        talk.reset()  # before it is acknowledged

    def refuse_again(talk: Talk) -> None:
        talk.say("OK 0")
        assert talk.batch() is not None
        talk.say("REJECT 1 2 invalid_json\nREJECT 1 1 oversize\nACK 1")
        assert talk.batch() is None

    told: list[Rejection | Acknowledgement] = []
    with Peer({0: refuse, 1: refuse_again}) as peer:
        with make(peer.address, on_reject=told.append, on_acknowledge=told.append) as client:
            send_all(client, RECORDS[:5])
            client.flush(PATIENCE_S)
            assert client.stats().rejected == {"invalid_json": 2, "oversize": 1}
        assert told == [
            Rejection(1, 2, "invalid_json"),
            Rejection(1, 1, "oversize"),
            Acknowledgement(1, 5, inherited=False),
        ]


def test_a_callback_that_fails_harms_nothing(make: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise ValueError("mine")

    with Peer() as peer, make(peer.address, on_acknowledge=fail) as client:
        send_all(client)
        client.flush(PATIENCE_S)
        assert peer.lines() == RECORDS
    assert "a callback of the client failed" in caplog.text


def say(line: str) -> Callable[[Talk], None]:
    return lambda talk: talk.say(line)


def test_who_is_fenced_stops_and_keeps_the_spool(make: MakeClient) -> None:
    with Peer({0: say("ERR fenced by a newer connection of this client")}) as peer:
        with make(peer.address) as client:
            client.send(RECORDS[0])
            with pytest.raises(FencedError, match="same client_id"):
                client.flush(PATIENCE_S)
            with pytest.raises(FencedError):
                client.send(RECORDS[1])
            assert not client.close()
        assert len(peer.talks) == 1
        with make(peer.address) as again:
            again.flush(PATIENCE_S)
            wait_for(lambda: peer.lines() == RECORDS[:1], "what was in the spool")


@pytest.mark.parametrize("reason", ["bad token", "unknown key x", "sequence 9 does not follow 5"])
def test_a_refusal_is_told_and_tried_again(make: MakeClient, reason: str) -> None:
    with Peer({0: say(f"ERR {reason}"), 1: say(f"ERR {reason}")}) as peer, make(peer.address) as client:
        client.send(RECORDS[0])
        with pytest.raises(RefusedError, match=reason):
            client.flush(PATIENCE_S)
        assert reason in client.stats().last_error
        wait_for(lambda: peer.lines() == RECORDS[:1], "it to be taken at last")


@pytest.mark.parametrize(
    "line", ["ERR shutting down", "ERR busy: too many connections"], ids=["shutting down", "busy"]
)
def test_a_passing_error_is_not_told(make: MakeClient, line: str) -> None:
    with Peer({0: say(line), 1: say(line)}) as peer, make(peer.address) as client:
        client.send(RECORDS[0])
        client.flush(PATIENCE_S)
        assert peer.lines() == RECORDS[:1]


@pytest.mark.parametrize("line", ["HTTP/1.1 400 Bad Request", "ACK 1", "OK -1", "\0\0"])
def test_a_server_of_another_kind_is_a_refusal(make: MakeClient, line: str) -> None:
    with Peer({0: say(line)}) as peer, make(peer.address) as client:
        client.send(RECORDS[0])
        with pytest.raises(RefusedError, match="does not speak"):
            client.flush(PATIENCE_S)


def test_a_server_that_never_acknowledges_is_left(make: MakeClient) -> None:
    def hang(talk: Talk) -> None:
        talk.say("OK 0")
        while talk.batch():
            pass

    with Peer({0: hang}) as peer, make(peer.address, ack_timeout_s=0.3) as client:
        client.send(RECORDS[0])
        client.flush(PATIENCE_S)
        assert peer.lines() == RECORDS[:1]


def test_an_idle_connection_that_the_server_closes_is_no_problem(make: MakeClient) -> None:
    peers: list[Peer] = []
    with Peer({0: lambda talk: peers[0].serve(talk, 1)}) as peer, make(peer.address) as client:
        peers.append(peer)
        client.send(RECORDS[0])
        client.flush(PATIENCE_S)
        client.send(RECORDS[1])
        client.flush(PATIENCE_S)
        assert peer.lines() == RECORDS[:2]
        assert client.stats().last_error == ""


class TestFull:
    """The spool is full, as nobody takes anything."""

    SMALL: ClassVar[dict[str, Any]] = {
        "spool_bytes": 20_000,
        "batch_bytes": 2_000,
        "memory_bytes": 4_000,
        "compression": "none",
    }

    def test_blocked_senders_are_told_in_time(self, make: MakeClient) -> None:
        with Peer() as gone:
            address = gone.address
        client = make(address, **self.SMALL, block_timeout_s=0.1)
        taken = 0
        with pytest.raises(SpoolFullError, match="no room"):
            while True:
                client.send(b"%06d" % taken + b"x" * 94)
                taken += 1
        assert client.stats().taken == taken
        assert client.stats().spooled_bytes <= 20_000
        client.close(0)

    def test_blocked_senders_go_on_when_there_is_room(self, make: MakeClient) -> None:
        go = threading.Event()
        peers: list[Peer] = []

        def late(talk: Talk) -> None:
            go.wait(PATIENCE_S)
            peers[0].serve(talk)

        records = [b"%06d" % number + b"x" * 94 for number in range(2_000)]
        with Peer({0: late}) as peer, make(peer.address, **self.SMALL) as client:
            peers.append(peer)
            sender = threading.Thread(target=send_all, args=(client, records))
            sender.start()
            wait_for(lambda: client.stats().spooled_bytes > 16_000, "the spool to be full")
            assert sender.is_alive()
            go.set()
            sender.join(PATIENCE_S)
            client.flush(PATIENCE_S)
            assert peer.lines() == records

    def test_what_is_dropped_is_counted(self, make: MakeClient) -> None:
        go = threading.Event()
        peers: list[Peer] = []

        def late(talk: Talk) -> None:
            go.wait(PATIENCE_S)
            peers[0].serve(talk)

        with Peer({0: late}) as peer, make(peer.address, **self.SMALL, when_full="drop") as client:
            peers.append(peer)
            sent = 0
            while client.stats().dropped < 100:
                client.send(b"%06d" % sent + b"x" * 94)
                sent += 1
            go.set()
            client.flush(PATIENCE_S)
            stats = client.stats()
            assert stats.taken + stats.dropped == sent
            assert stats.acknowledged == stats.taken == len(set(peer.lines()))

    def test_what_has_no_room_at_the_end_is_counted(self, make: MakeClient) -> None:
        with Peer() as gone:
            address = gone.address
        client = make(address, **self.SMALL, when_full="drop")
        for number in range(1_000):
            client.send(b"%06d" % number + b"x" * 94)
        client.close(0)
        stats = client.stats()
        with Peer() as peer, make(peer.address, **self.SMALL) as again:
            again.flush(PATIENCE_S)
            wait_for(lambda: not again.stats().spooled_batches, "the spool to be empty")
            assert len(peer.lines()) + stats.dropped == 1_000


class TestTls:
    """Certificates that are good, and those that are not."""

    def test_a_trusted_server_takes_all(self, make: MakeClient, certs: Path) -> None:
        tls = Tls(ca=certs / "ca.crt", server_name="localhost")
        with Peer(certs=certs) as peer, make(peer.address, tls=tls) as client:
            send_all(client)
            client.flush(PATIENCE_S)
            assert peer.lines() == RECORDS

    def test_an_unknown_ca_is_refused(self, make: MakeClient, certs: Path) -> None:
        with Peer(certs=certs) as peer, make(peer.address, tls=Tls()) as client:
            client.send(RECORDS[0])
            with pytest.raises(RefusedError, match="not trusted"):
                client.flush(PATIENCE_S)
            assert not client.close()

    def test_another_name_is_refused(self, make: MakeClient, certs: Path) -> None:
        tls = Tls(ca=certs / "ca.crt", server_name="other.example")
        with Peer(certs=certs) as peer, make(peer.address, tls=tls) as client:
            client.send(RECORDS[0])
            with pytest.raises(RefusedError, match="not trusted"):
                client.flush(PATIENCE_S)

    def test_a_missing_file_is_named_and_may_come_later(
        self, make: MakeClient, certs: Path, tmp_path: Path
    ) -> None:
        ca = tmp_path / "ca.crt"
        with Peer(certs=certs) as peer, make(peer.address, tls=Tls(ca=ca, server_name="localhost")) as client:
            client.send(RECORDS[0])
            with pytest.raises(RefusedError, match=str(ca)):
                client.flush(PATIENCE_S)
            ca.write_bytes((certs / "ca.crt").read_bytes())
            wait_for(lambda: peer.lines() == RECORDS[:1], "the record, once the file is there")

    def test_an_expired_certificate_is_refused(self, make: MakeClient, tmp_path: Path) -> None:
        expired(tmp_path)
        tls = Tls(ca=tmp_path / "server.crt", server_name="localhost")
        with Peer(certs=tmp_path) as peer, make(peer.address, tls=tls) as client:
            client.send(RECORDS[0])
            with pytest.raises(RefusedError, match="expired"):
                client.flush(PATIENCE_S)

    def test_tls_where_none_is_spoken_is_refused(self, make: MakeClient) -> None:
        with Peer() as peer, make(peer.address, tls=Tls()) as client:
            client.send(RECORDS[0])
            with pytest.raises(RefusedError, match="no TLS"):
                client.flush(PATIENCE_S)
            assert not client.close()


def expired(folder: Path) -> None:
    """A certificate of yesterday, which is its own CA, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now - datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "server.crt").write_bytes(made.public_bytes(pem))
    (folder / "server.key").write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_disk_that_fails_holds_records_up_and_loses_none(
    make: MakeClient, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    faulty = FaultyOs()
    monkeypatch.setattr(segment_file, "os", faulty)
    monkeypatch.setattr(engine, "_DISK_RETRY_S", 0.05)
    with Peer() as peer, make(peer.address) as client:
        send_all(client, RECORDS[:500])
        client.flush(PATIENCE_S)
        faulty.errors[call] = errno.ENOSPC
        send_all(client, RECORDS[500:])
        with pytest.raises(TimeoutError, match="No space left"):
            client.flush(0.3)
        assert peer.lines() == RECORDS[:500]
        faulty.errors.clear()
        client.flush(PATIENCE_S)
        assert peer.lines() == RECORDS
        assert client.stats().last_error == ""


def test_closed_is_closed(make: MakeClient) -> None:
    with Peer() as peer:
        client = make(peer.address)
        client.send(RECORDS[0])
        assert client.close()
        assert client.close()
        for call in (lambda: client.send(b"x"), lambda: client.send_many(b"x", 1), client.flush):
            with pytest.raises(ClosedError):
                call()
        assert peer.lines() == RECORDS[:1]


def test_a_spool_has_one_client(make: MakeClient) -> None:
    with Peer() as peer, make(peer.address), pytest.raises(SpoolError, match="in use"):
        make(peer.address)


def test_a_fork_may_not_send(make: MakeClient) -> None:
    with Peer() as peer, make(peer.address) as client:
        client.send(RECORDS[0])
        client.flush(PATIENCE_S)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: threads and a fork
            pid = os.fork()
        if not pid:
            code = 1
            try:
                client.send(RECORDS[1])
            except ClosedError as error:
                code = 0 if "fork" in str(error) else 2
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        client.send(RECORDS[2])
        client.flush(PATIENCE_S)
        assert peer.lines() == [RECORDS[0], RECORDS[2]]


def test_a_fork_does_not_hold_the_folder(make: MakeClient) -> None:
    with Peer() as peer:
        client = make(peer.address)
        ours, theirs = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(theirs)
            os.read(ours, 1)
            os._exit(0)
        client.close()
        make(peer.address).close()
        os.close(ours)
        os.close(theirs)
        assert os.waitpid(pid, 0)[1] == 0


def test_who_forgets_to_close_loses_nothing(tmp_path: Path) -> None:
    """At the end of the process what was handed over goes into the spool."""
    program = (
        "from ingestd.client import Client\n"
        f"client = Client('127.0.0.1:1', client_id='web-1', spool_dir={str(tmp_path / 'spool')!r}, linger_s=60)\n"
        "client.send(b'last words')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE_S)
    with Peer() as peer, Client(peer.address, client_id="web-1", spool_dir=tmp_path / "spool"):
        wait_for(lambda: peer.lines() == [b"last words"], "the record")


def test_it_loads_nothing_but_zstandard() -> None:
    program = "import sys, ingestd.client; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    third_party = {
        name for name in loaded if name not in sys.stdlib_module_names and not name.startswith("_")
    }
    assert third_party - {"ingestd", "zstandard"} <= {"sitecustomize", "distutils-precedence"}
    assert loaded.isdisjoint({"uvloop", "msgspec", "aiohttp", "numpy", "click", "formats", "tools"})


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"client_id": "a b"}, "client_id"),
        ({"client_id": "x" * 56}, "client_id"),
        ({"format": "xml"}, "format"),
        ({"compression": "gzip"}, "compression"),
        ({"when_full": "panic"}, "when_full"),
        ({"spool_sync": "never"}, "spool_sync"),
        ({"token": "two words"}, "token"),
        ({"schema": ""}, "schema"),
        ({"schema": "x" * 300, "token": "y" * 300}, "too long together"),
        ({"linger_s": 0}, "linger_s"),
        ({"batch_records": 0}, "batch_records"),
        ({"batch_bytes": 1 << 25}, "batch_bytes"),
        ({"spool_bytes": 1 << 20}, "spool_bytes"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(
    make: MakeClient, settings: dict[str, Any], word: str
) -> None:
    with pytest.raises(ConfigurationError, match=word):
        make("127.0.0.1:1", **settings)


@pytest.mark.parametrize("address", ["", "host", "host:", ":3001", "host:0", "host:70000", "host:http"])
def test_an_address_that_makes_no_sense_is_named(make: MakeClient, address: str) -> None:
    with pytest.raises(ConfigurationError, match="address"):
        make(address)


def test_no_address_at_all_is_told(make: MakeClient) -> None:
    with pytest.raises(ConfigurationError, match="at least one"):
        make()


def test_an_address_may_be_ipv6() -> None:
    assert Address.parse("[::1]:3001") == Address("::1", 3001)
    assert str(Address.parse("[::1]:3001")) == "[::1]:3001"


def test_the_signatures_know_every_option() -> None:
    hints, known = get_type_hints(Settings), get_type_hints(Options)
    assert hints == {name: hints[name] for name in known if not isinstance(known[name], property)}
    assert hints.keys() == known.keys()


def test_waiting_costs_no_time_where_nothing_waits(make: MakeClient) -> None:
    with Peer() as peer, make(peer.address) as client:
        started_s = time.monotonic()
        client.flush(PATIENCE_S)
        client.flush(PATIENCE_S, durable=True)
        assert time.monotonic() - started_s < PATIENCE_S / 2
