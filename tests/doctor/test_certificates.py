"""Certificates that expire, name others, or have a list of revoked ones that ended."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ingestd.config import Config
from ingestd.doctor import certificates
from ingestd.doctor.finding import Machine

MACHINE = Machine(hostname="logs")
DAY = datetime.timedelta(days=1)


def of(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.mark.parametrize(
    ("before_end", "verdict", "words"),
    [
        (15 * DAY, "ok", "for 15 days"),
        (14 * DAY - DAY / 24, "warn", "in 13 days"),
        (DAY / 2, "warn", "in 0 days"),
        (-DAY, "fail", "expired on"),
        (10_000 * DAY, "fail", "is the clock right?"),
    ],
)
def test_validity(certs: Path, before_end: datetime.timedelta, verdict: str, words: str) -> None:
    certificate = of(certs / "server.crt")
    now = certificate.not_valid_after_utc - before_end
    finding = certificates.validity("certificate", certs / "server.crt", certificate, now)
    assert (finding.verdict, words in finding.says) == (verdict, True), finding


def named(*names: str) -> x509.Certificate:
    """A certificate with these alternative names; with none, without the extension."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "logs")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + DAY)
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(alternative, critical=False)
    return builder.sign(key, hashes.SHA256())


@pytest.mark.parametrize(
    ("hostname", "said", "verdict"),
    [
        ("logs", ("localhost", "logs"), "ok"),
        ("logs", ("logs.example.org",), "ok"),
        ("LOGS.example.org", ("logs.example.org",), "ok"),
        ("logs.example.org", ("*.example.org",), "ok"),
        ("a.logs.example.org", ("*.example.org",), "warn"),
        ("logs", ("localhost", "logs2.example.org"), "warn"),
        ("logs", (), "fail"),
    ],
)
def test_names(hostname: str, said: tuple[str, ...], verdict: str) -> None:
    finding = certificates.names("x", Path("c"), named(*said), "0.0.0.0", Machine(hostname=hostname))
    assert finding.verdict == verdict, finding


def test_one_that_listens_on_a_named_address_alone_is_certain(certs: Path) -> None:
    certificate = of(certs / "server.crt")
    stranger = Machine(hostname="elsewhere")
    assert certificates.names("x", Path("c"), certificate, "127.0.0.1", stranger).verdict == "ok"
    assert certificates.names("x", Path("c"), certificate, "0.0.0.0", stranger).verdict == "warn"


@pytest.mark.parametrize(("until", "verdict"), [(DAY, "ok"), (-DAY, "fail")])
def test_a_list_of_revoked_certificates_ends(
    tmp_path: Path, certs: Path, until: datetime.timedelta, verdict: str
) -> None:
    now = datetime.datetime.now(datetime.UTC)
    key = serialization.load_pem_private_key((certs / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    revoked = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(of(certs / "ca.crt").subject)
        .last_update(now - 3 * DAY)
        .next_update(now + until)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "cas"
    path.write_bytes((certs / "ca.crt").read_bytes() + revoked.public_bytes(serialization.Encoding.PEM))
    authority, listed = certificates.authorities("listen.tcp.client_ca", path, now)
    assert (authority.verdict, listed.verdict) == ("ok", verdict)
    assert ("every client is refused" in listed.says) == (verdict == "fail")


def test_all_that_the_configuration_names_are_looked_at(certs: Path) -> None:
    tcp = msgspec.structs.replace(
        Config().listen.tcp, cert=str(certs / "server.crt"), client_ca=str(certs / "ca.crt")
    )
    config = msgspec.structs.replace(
        Config(),
        listen=msgspec.structs.replace(Config().listen, tcp=tcp),
        http=msgspec.structs.replace(Config().http, cert=str(certs / "server.crt")),
    )
    now = datetime.datetime.now(datetime.UTC)
    findings = list(certificates.examine(config, MACHINE, now))
    assert len(findings) == 5
    assert {finding.verdict for finding in findings} == {"ok"}
    plain = msgspec.structs.replace(
        Config(),
        listen=msgspec.structs.replace(Config().listen, tcp=msgspec.structs.replace(tcp, plaintext=True)),
    )
    assert list(certificates.examine(plain, MACHINE, now)) == []
