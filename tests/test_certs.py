"""Certificates: accepted under strict verification by OpenSSL and Python, private, and never overwritten."""

import shutil
import socket
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ingestd.certs import LEAF_VALIDITY, make
from ingestd.errors import IngestdError

FILES = ("ca.crt", "ca.key", "client.crt", "client.key", "server.crt", "server.key")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    make(folder, ["logs.example.com", "192.0.2.7"])
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def handshake(folder: Path, server_name: str) -> None:
    """A mutual TLS handshake in memory, both sides as strict as they can be."""
    contexts = []
    for protocol, name in ((ssl.PROTOCOL_TLS_SERVER, "server"), (ssl.PROTOCOL_TLS_CLIENT, "client")):
        context = ssl.SSLContext(protocol)
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(folder / "ca.crt")
        context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
        contexts.append(context)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = contexts[0].wrap_bio(to_server, to_client, server_side=True)
    client = contexts[1].wrap_bio(to_client, to_server, server_hostname=server_name)
    waiting = [client, server]
    for _ in range(10):  # TLS 1.3 takes two turns of each side
        for side in tuple(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass  # it is the other side's turn
    assert not waiting


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "logs.example.com", "192.0.2.7"])
def test_strict_mutual_tls(made: Path, name: str) -> None:
    handshake(made, name)


def test_strict_mutual_tls_by_the_name_of_this_machine(made: Path) -> None:
    handshake(made, socket.gethostname())


def test_another_name_is_refused(made: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made, "other.example.com")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
@pytest.mark.parametrize(("name", "purpose"), [("server", "sslserver"), ("client", "sslclient")])
def test_openssl_accepts_the_chain_strictly(made: Path, name: str, purpose: str) -> None:
    command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.crt", f"{name}.crt"]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_certificate_has_one_purpose(made: Path) -> None:
    for name, purpose in (
        ("server", ExtendedKeyUsageOID.SERVER_AUTH),
        ("client", ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        cert = x509.load_pem_x509_certificate((made / f"{name}.crt").read_bytes())
        assert list(cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [purpose]
        assert cert.not_valid_after_utc - cert.not_valid_before_utc == LEAF_VALIDITY


def test_keys_are_private_and_nothing_else_is_left(made: Path) -> None:
    assert tuple(sorted(path.name for path in made.iterdir())) == FILES
    for path in made.glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    first = make(tmp_path)
    before = contents(tmp_path)
    second = make(tmp_path)
    assert [(pair.name, pair.made) for pair in first] == [("ca", True), ("server", True), ("client", True)]
    assert [pair.made for pair in second] == [False, False, False]
    assert [pair.expires for pair in first] == [pair.expires for pair in second]
    assert contents(tmp_path) == before


def test_force_makes_all_anew(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "server.key").chmod(0o644)
    before = contents(tmp_path)
    assert all(pair.made for pair in make(tmp_path, force=True))
    after = contents(tmp_path)
    assert all(after[name] != before[name] for name in FILES)
    assert stat.S_IMODE((tmp_path / "server.key").stat().st_mode) == 0o600
    handshake(tmp_path, "localhost")


def test_one_pair_is_renewed_by_the_same_ca(tmp_path: Path) -> None:
    make(tmp_path)
    ca = (tmp_path / "ca.crt").read_bytes()
    (tmp_path / "server.crt").unlink()
    (tmp_path / "server.key").unlink()
    assert [pair.name for pair in make(tmp_path) if pair.made] == ["server"]
    assert (tmp_path / "ca.crt").read_bytes() == ca
    handshake(tmp_path, "localhost")


def test_further_clients_have_their_names(tmp_path: Path) -> None:
    make(tmp_path)
    before = contents(tmp_path)
    pairs = make(tmp_path, clients=["web1.example.org", "web2", "web2"])
    assert [(pair.name, pair.made) for pair in pairs[3:]] == [("web1.example.org", True), ("web2", True)]
    cert = x509.load_pem_x509_certificate((tmp_path / "web1.example.org.crt").read_bytes())
    assert cert.subject.rfc4514_string() == "CN=web1.example.org"
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["web1.example.org"]
    purposes = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert before.items() <= contents(tmp_path).items()
    assert stat.S_IMODE((tmp_path / "web2.key").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "name", ["", "ca", "server", "client", "../web", "Web", ".web", "web-", "w" * 65, "a b"]
)
def test_a_client_that_is_no_host_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(IngestdError, match="--client"):
        make(tmp_path / "certs", clients=[name])
    assert not (tmp_path / "certs").exists()


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (["server.key"], "server.crt is there but server.key is not"),
        (["server.crt"], "server.key is there but server.crt is not"),
        (["ca.crt", "ca.key"], "client.crt is there but the ca.crt that signed it is not"),
    ],
)
def test_half_of_what_is_needed(tmp_path: Path, gone: list[str], message: str) -> None:
    make(tmp_path)
    for name in gone:
        (tmp_path / name).unlink()
    before = contents(tmp_path)
    with pytest.raises(IngestdError, match=message) as caught:
        make(tmp_path)
    assert "--force" in str(caught.value)
    assert contents(tmp_path) == before


def test_a_ca_with_the_key_of_another(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "ca.key").write_bytes((tmp_path / "client.key").read_bytes())
    with pytest.raises(IngestdError, match=r"ca\.key: not the key of ca\.crt"):
        make(tmp_path)


@pytest.mark.parametrize("name", ["ca.key", "ca.crt", "server.crt"])
def test_a_file_that_is_not_pem(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    (tmp_path / name).write_text("hello\n")
    with pytest.raises(IngestdError, match=f"{name}: not a PEM"):
        make(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(IngestdError, match="name a folder you may write"):
        make(tmp_path / "file" / "certs")


@pytest.mark.parametrize("host", ["", "bücher.example"])
def test_a_host_that_is_none(tmp_path: Path, host: str) -> None:
    with pytest.raises(IngestdError, match="--host"):
        make(tmp_path / "certs", [host])
    assert not (tmp_path / "certs").exists()
