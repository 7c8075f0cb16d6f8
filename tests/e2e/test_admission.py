"""Who may send, end to end: real handshakes, tokens and sources against the real daemon.

Sources beside 127.0.0.1 are other addresses of the loopback network, which Linux has without being told.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ingestd.tokens import make_token
from tests.daemon import PATIENCE_S, Daemon, wait_for
from tests.pki import Authority, Pair


def read(sock: socket.socket) -> bytes:
    """All that the daemon says; a handshake that it refuses and a reset say nothing."""
    said = b""
    try:
        while part := sock.recv(4096):
            said += part
    except (ssl.SSLError, ConnectionResetError):
        return said
    return said


def fails(daemon: Daemon, reason: str) -> int:
    return int(daemon.metric("ingestd_auth_failures_total", reason=reason))


def messages(daemon: Daemon) -> set[object]:
    return {record["message"] for record in daemon.records()}


class Mutual(NamedTuple):
    """A daemon that knows certain clients, and certificates of all kinds."""

    daemon: Daemon
    pairs: dict[str, Pair | None]

    def say(self, who: str, message: str) -> bytes:
        """A connection of somebody that sends one record and ends; what it is told."""
        context = ssl.create_default_context(cafile=self.daemon.certs and self.daemon.certs / "ca.crt")
        pair = self.pairs[who]
        if pair is not None:
            context.load_cert_chain(pair.cert, pair.key)
        plain = socket.create_connection(self.daemon.tcp, timeout=PATIENCE_S)
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as sock:
                sock.sendall(b'{"message":"%b"}\n' % message.encode())
                if pair is None or who not in LISTED:
                    return read(sock)
                sock.unwrap().close()
        except OSError:
            pass  # TLS 1.3 tells the client of its certificate when it has begun to send
        return b""


LISTED = ("dns", "uri", "common name", "fingerprint")
BAD = ("expired", "another CA's", "revoked", "a server's")


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory, certs: Path) -> Iterator[Mutual]:
    folder = tmp_path_factory.mktemp("mutual")
    ours, theirs = Authority(folder / "ours"), Authority(folder / "theirs")
    web, spiffe = (
        x509.DNSName("web1.example.org"),
        x509.UniformResourceIdentifier("spiffe://example.org/web2"),
    )
    pairs: dict[str, Pair | None] = {
        "dns": ours.issue("anybody", web),
        "uri": ours.issue("anybody", spiffe),
        "common name": ours.issue("web3"),
        "fingerprint": ours.issue("web4"),
        "not listed": ours.issue("web5", x509.DNSName("web5.example.org")),
        "a listed name of another kind": ours.issue("web1.example.org", x509.DNSName("web3")),
        "expired": ours.issue("web3", web, expired=True),
        "another CA's": theirs.issue("web3", web),
        "revoked": (revoked := ours.issue("web3", web)),
        "a server's": ours.issue("web3", web, purpose=ExtendedKeyUsageOID.SERVER_AUTH),
        "none": None,
    }
    four = pairs["fingerprint"]
    assert four is not None
    client_ca = folder / "client_ca.pem"
    client_ca.write_bytes(ours.cert.read_bytes() + ours.revocations(revoked))
    clients = [
        "DNS:WEB1.example.org",
        "URI:spiffe://example.org/web2",
        "CN:web3",
        f"SHA256:{four.fingerprint}",
    ]
    settings = {"listen.tcp.client_ca": client_ca, "auth.clients": clients, "server.workers": 1}
    with Daemon(folder / "daemon", certs, **settings) as daemon:
        yield Mutual(daemon, pairs)


@pytest.mark.parametrize("who", LISTED)
def test_a_certificate_on_the_list_may_send(mutual: Mutual, who: str) -> None:
    mutual.say(who, f"by {who}")
    wait_for(lambda: f"by {who}" in messages(mutual.daemon), f"the record by {who}")


@pytest.mark.parametrize("who", ["not listed", "a listed name of another kind"])
def test_a_good_certificate_that_is_not_on_the_list(mutual: Mutual, who: str) -> None:
    before = fails(mutual.daemon, "certificate_not_listed")
    assert mutual.say(who, f"by {who}") == b"ERR unauthorized\n"
    assert fails(mutual.daemon, "certificate_not_listed") == before + 1
    assert f"by {who}" not in messages(mutual.daemon)
    assert mutual.daemon.metric("ingestd_connections_closed_total", reason="unauthorized") >= 1


@pytest.mark.parametrize("who", [*BAD, "none"])
def test_a_bad_certificate_or_none(mutual: Mutual, who: str) -> None:
    reason = "no_certificate" if who == "none" else "bad_certificate"
    before = fails(mutual.daemon, reason)
    assert mutual.say(who, f"by {who}") == b""
    wait_for(lambda: fails(mutual.daemon, reason) == before + 1, f"a count of {reason}")
    assert f"by {who}" not in messages(mutual.daemon)


def test_tls_1_1_is_refused(mutual: Mutual) -> None:
    closed = mutual.daemon.metric("ingestd_connections_closed_total", reason="tls_error")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    plain = socket.create_connection(mutual.daemon.tcp, timeout=PATIENCE_S)
    with plain, pytest.raises((ssl.SSLError, ConnectionResetError)):
        context.wrap_socket(plain)
    wait_for(
        lambda: mutual.daemon.metric("ingestd_connections_closed_total", reason="tls_error") == closed + 1,
        "the refusal to be counted",
    )


class Secrets(NamedTuple):
    """A daemon that asks for tokens, unless one sends from 127.0.0.2, and knows nobody beyond 127.0.0.3."""

    daemon: Daemon
    path: Path
    any: str
    web: str

    def talk(self, data: bytes, source: str = "127.0.0.1") -> bytes:
        with self.connect(source) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            return read(sock)

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(self.daemon.tcp, PATIENCE_S, source_address=(source, 0))

    def datagram(self, message: str, source: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((source, 0))
            sock.sendto(b'{"message":"%b"}' % message.encode(), self.daemon.udp)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secrets]:
    folder = tmp_path_factory.mktemp("secrets")
    path = folder / "tokens"
    (any_, any_line), (web, web_line) = make_token("any"), make_token("web", "web-*")
    path.write_text(f"{any_line}\n{web_line}\n")
    settings: dict[str, Any] = {
        "server.workers": 1,
        "auth.networks": ["127.0.0.0/30"],
        "auth.tokens_file": path,
        "auth.tokenless_networks": ["127.0.0.2"],
    }
    with Daemon(folder / "daemon", **settings) as daemon:
        yield Secrets(daemon, path, any_, web)


def header(token: str, keys: str = "") -> bytes:
    return f"INGEST/1 json token={token}{keys}\n".encode()


def test_the_token_opens(secrets: Secrets) -> None:
    assert secrets.talk(header(secrets.any) + b'{"message":"token"}\n') == b""
    wait_for(lambda: "token" in messages(secrets.daemon), "the record")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"message":"refused"}\n', "no_token"),
        (b"<13>Nov 20 12:00:00 web1 refused\n", "no_token"),
        (b"INGEST/1 json\n" + b'{"message":"refused"}\n', "no_token"),
        (b"INGEST/", "no_token"),
        (header("ingestd_guess") + b'{"message":"refused"}\n', "unknown_token"),
    ],
)
def test_without_the_right_token(secrets: Secrets, data: bytes, reason: str) -> None:
    before = fails(secrets.daemon, reason)
    assert secrets.talk(data) in (b"ERR unauthorized\n", b"")  # nobody is told who ended within the header
    wait_for(lambda: fails(secrets.daemon, reason) == before + 1, f"a count of {reason}")
    assert "refused" not in messages(secrets.daemon)


def test_a_token_cannot_fence_the_client_of_another(secrets: Secrets) -> None:
    batch = b'{"message":"web-1"}'
    with secrets.connect() as own:
        own.sendall(header(secrets.web, " ack=1 client=web-1") + struct.pack(">IQ", len(batch), 1) + batch)
        with own.makefile("rb") as answers:
            assert [answers.readline(), answers.readline()] == [b"OK 0\n", b"ACK 1\n"]
            assert secrets.talk(header(secrets.web, " ack=1 client=db-1")) == b"ERR unauthorized\n"
            assert secrets.talk(header("ingestd_guess", " ack=1 client=web-1")) == b"ERR unauthorized\n"
            own.sendall(struct.pack(">IQ", len(batch), 2) + batch)
            assert answers.readline() == b"ACK 2\n"
    assert fails(secrets.daemon, "client_not_allowed") == 1


def test_an_exempt_network_needs_no_token(secrets: Secrets) -> None:
    assert secrets.talk(b'{"message":"exempt"}\n', "127.0.0.2") == b""
    secrets.datagram("exempt datagram", "127.0.0.2")
    wait_for(lambda: {"exempt", "exempt datagram"} <= messages(secrets.daemon), "the records")


def test_another_network_is_refused_when_it_connects(secrets: Secrets) -> None:
    accepted = secrets.daemon.metric("ingestd_connections_accepted_total")
    before = fails(secrets.daemon, "network")
    with suppress(OSError):  # it may be closed before all is said
        assert secrets.talk(header(secrets.any), "127.0.0.9") == b""
    wait_for(lambda: fails(secrets.daemon, "network") == before + 1, "the refusal")
    assert secrets.daemon.metric("ingestd_connections_accepted_total") == accepted


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.9"])
def test_datagrams_that_may_not_come_are_counted_as_such(secrets: Secrets, source: str) -> None:
    refused = secrets.daemon.metric("ingestd_udp_refused_datagrams_total")
    received = secrets.daemon.metric("ingestd_records_received_total", transport="udp")
    for _ in range(3):
        secrets.datagram("refused datagram", source)
    wait_for(
        lambda: secrets.daemon.metric("ingestd_udp_refused_datagrams_total") == refused + 3, "the datagrams"
    )
    assert secrets.daemon.metric("ingestd_records_received_total", transport="udp") == received


def test_tokens_come_and_go_while_the_daemon_runs(secrets: Secrets) -> None:
    passing, line = make_token("passing")
    lasting = secrets.path.read_text()
    assert secrets.talk(header(passing)) == b"ERR unauthorized\n"
    replace(secrets.path, lasting + line + "\n")
    wait_for(lambda: secrets.talk(header(passing)) == b"", "the new token to hold")
    withdrawn = fails(secrets.daemon, "token_withdrawn")
    with secrets.connect() as open_, secrets.connect() as other:
        open_.sendall(header(passing, " ack=1 client=a"))
        other.sendall(header(secrets.any, " ack=1 client=b"))
        assert (open_.recv(64), other.recv(64)) == (b"OK 0\n", b"OK 0\n")
        replace(secrets.path, lasting)
        assert read(open_) == b"ERR unauthorized\n"
        assert secrets.talk(header(passing)) == b"ERR unauthorized\n"
        batch = b'{"message":"goes on"}'
        other.sendall(struct.pack(">IQ", len(batch), 1) + batch)
        assert other.recv(64) == b"ACK 1\n"
    assert fails(secrets.daemon, "token_withdrawn") == withdrawn + 1


def test_a_file_of_tokens_gone_bad_shuts_nobody_out(secrets: Secrets) -> None:
    lasting = secrets.path.read_text()
    replace(secrets.path, "not a token\n")
    wait_for(lambda: "the 2 tokens known before still hold" in secrets.daemon.log.read_text(), "the message")
    assert secrets.talk(header(secrets.any)) == b""
    replace(secrets.path, lasting)


@pytest.mark.parametrize(
    "start",
    [
        "INGEST/1 json token={0} token={0}\n",
        "INGEST/1 json token:{0}\n",
        "INGEST/1 json {0}\n",
        "INGEST/1 token={0}\n",
        "INGEST/token={0} json\n",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(secrets: Secrets, start: str) -> None:
    said = secrets.talk(start.format(secrets.any).encode())
    assert said.startswith(b"ERR ")
    assert secrets.any[8:20].encode() not in said


def test_no_secret_is_told(secrets: Secrets) -> None:
    secrets.talk(header(secrets.any))
    told = secrets.daemon.log.read_text() + "".join(
        secrets.daemon.get(path).decode() for path in ("/api/stats", "/metrics", "/")
    )
    for secret in (secrets.any, secrets.web):
        assert secret[8:20] not in told
    for process in (secrets.daemon.process.pid, os.getpid()):
        assert secrets.any.encode() not in Path(f"/proc/{process}/cmdline").read_bytes()


def replace(path: Path, text: str) -> None:
    """Another content in one step, as docs/security.md says to."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)
