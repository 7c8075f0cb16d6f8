"""Certificates to start with: a CA, a server and a client certificate signed by it, as PEM files in one folder.

For development and small installations; where there is a CA already, name its files in the configuration
instead. ECDSA P-256, with the extensions that RFC 5280 wants, so that strict verification (OpenSSL's
`-x509_strict`, Python's VERIFY_X509_STRICT) accepts the chain. A private key is never readable by others,
not even for the moment in which it is written. What is there is kept, so that `make` may call this each time:
a file is replaced only with `force`, and then all are, since a new CA makes the old certificates worthless.
"""

import datetime
import ipaddress
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ingestd.errors import IngestdError

CA_VALIDITY: Final = datetime.timedelta(days=3652)  # ten years
LEAF_VALIDITY: Final = datetime.timedelta(days=825)  # the longest that Apple's TLS accepts of a private CA
CLOCK_SKEW: Final = datetime.timedelta(hours=1)  # a peer whose clock is behind accepts a new one too
LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")

_SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
_CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH

#: A host name, so one of a file too. The longest common name has 64 characters (RFC 5280, appendix A.1).
_CLIENT_NAME: Final = re.compile(r"(?!(?:ca|server|client)$)[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as `make` left them."""

    name: str
    cert: Path
    key: Path
    made: bool
    """False if both were there and have been kept."""
    expires: datetime.datetime


@dataclass(frozen=True, slots=True)
class _Issuer:
    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make(
    folder: Path, hosts: Sequence[str] = (), clients: Sequence[str] = (), *, force: bool = False
) -> tuple[Pair, ...]:
    """`ca`, `server` and `client` (.crt and .key) in `folder`, which is made if need be; and one of each of `clients`.

    The server certificate is for `LOCAL_HOSTS`, the name of this machine and `hosts` (names or IP addresses). That of a
    client of `clients`, a host name, says so in its common name and as an alternative name, for `[auth] clients`.
    Raises IngestdError if a file is missing beside its other half or cannot be read or written.
    """
    names = _alternative_names([*LOCAL_HOSTS, socket.gethostname(), *hosts])
    leaves = ["server", "client", *dict.fromkeys(map(_client_name, clients))]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = {name for name in ("ca", *leaves) if not force and _is_there(folder, name)}
        if there and "ca" not in there:
            raise IngestdError(
                f"{folder}: {min(there)}.crt is there but the ca.crt that signed it is not; "
                "put ca.crt and ca.key back, or make all anew with --force"
            )
        issuer = _read_issuer(folder) if "ca" in there else _write_ca(folder)
        for name in leaves:
            if name not in there:
                _write_leaf(folder, name, issuer, names)
        return tuple(_pair(folder, name, made=name not in there) for name in ("ca", *leaves))
    except OSError as error:
        raise IngestdError(
            f"{error.filename or folder}: {error.strerror}; name a folder you may write"
        ) from error


def _client_name(name: str) -> str:
    if not _CLIENT_NAME.fullmatch(name):
        raise IngestdError(
            f"--client {name!r}: a host name of at most 64 of a-z 0-9 . -, and not ca, server or client"
        )
    return name


def _is_there(folder: Path, name: str) -> bool:
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    if cert.exists() == key.exists():
        return cert.exists()
    here, gone = (cert, key) if cert.exists() else (key, cert)
    raise IngestdError(f"{here} is there but {gone.name} is not; put it back, or make all anew with --force")


def _read_issuer(folder: Path) -> _Issuer:
    cert, path = _read_cert(folder / "ca.crt"), folder / "ca.key"
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:  # TypeError: it has a passphrase
        reason = "not a PEM private key without a passphrase; make all anew with --force"
        raise IngestdError(f"{path}: {reason}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != cert.public_key():
        raise IngestdError(f"{path}: not the key of ca.crt beside it; make all anew with --force")
    return _Issuer(cert, key)


def _read_cert(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise IngestdError(f"{path}: not a PEM certificate; make all anew with --force") from error


def _pair(folder: Path, name: str, *, made: bool) -> Pair:
    cert = folder / f"{name}.crt"
    return Pair(name, cert, folder / f"{name}.key", made, _read_cert(cert).not_valid_after_utc)


def _write_ca(folder: Path) -> _Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    # The host is in the name so that the CAs of two machines can be told apart in a trust store.
    subject = _name(f"ingestd CA of {socket.gethostname()}"[:64])  # ub-common-name, RFC 5280 appendix A.1
    cert = (
        _builder(subject, subject, key.public_key(), key.public_key(), CA_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(folder, "ca", cert, key)
    return _Issuer(cert, key)


def _write_leaf(folder: Path, name: str, issuer: _Issuer, names: Sequence[x509.GeneralName]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(
            _name(f"ingestd {name}" if name in ("server", "client") else name),
            issuer.cert.subject,
            key.public_key(),
            issuer.key.public_key(),
            LEAF_VALIDITY,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_SERVER if name == "server" else _CLIENT]), critical=False)
    )
    if name != "client":
        own = names if name == "server" else [x509.DNSName(name)]
        builder = builder.add_extension(x509.SubjectAlternativeName(own), critical=False)
    _write(folder, name, builder.sign(issuer.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    validity: datetime.timedelta,
) -> x509.CertificateBuilder:
    start = datetime.datetime.now(datetime.UTC) - CLOCK_SKEW
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + validity)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative_names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    return [_alternative_name(host) for host in dict.fromkeys(hosts)]


def _alternative_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass  # then it is a name
    try:
        if host:
            return x509.DNSName(host)
    except ValueError:
        pass  # not ASCII, told below with the rest
    raise IngestdError(f"--host {host!r}: not an IP address or a host name in ASCII (xn--… for others)")


def _write(folder: Path, name: str, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _replace(folder / f"{name}.key", pem, 0o600)
    _replace(folder / f"{name}.crt", cert.public_bytes(serialization.Encoding.PEM), 0o644)


def _replace(path: Path, content: bytes, mode: int) -> None:
    """Write beside and rename, so that no reader ever sees half a file or a key with the mode of an old one."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    beside.replace(path)
