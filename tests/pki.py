"""A certificate authority for tests: makes the certificates that `ingestd certs` never would."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)


class Pair(NamedTuple):
    """A certificate and its key as files."""

    cert: Path
    key: Path
    serial: int

    @property
    def fingerprint(self) -> str:
        """SHA-256, as OpenSSL prints it."""
        cert = x509.load_pem_x509_certificate(self.cert.read_bytes())
        return cert.fingerprint(hashes.SHA256()).hex(":").upper()


class Authority:
    """A CA whose certificate is `ca.crt` of its folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(f"CA {folder.name}")
        self.now = datetime.datetime.now(datetime.UTC)
        cert = (
            x509.CertificateBuilder(
                self._name, self._name, self._key.public_key(), x509.random_serial_number()
            )
            .not_valid_before(self.now - 9 * _DAY)
            .not_valid_after(self.now + _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.cert = folder / "ca.crt"
        self.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        common_name: str,
        *names: x509.GeneralName,
        expired: bool = False,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    ) -> Pair:
        """A certificate, for clients unless it has another purpose."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder(
                self._name, _name(common_name), key.public_key(), x509.random_serial_number()
            )
            .not_valid_before(self.now - 2 * _DAY)
            .not_valid_after(self.now + (-_DAY if expired else _DAY))
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        cert = builder.sign(self._key, hashes.SHA256())
        stem = f"{len(list(self._folder.iterdir()))}"
        pair = Pair(self._folder / f"{stem}.crt", self._folder / f"{stem}.key", cert.serial_number)
        pair.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pair

    def revocations(self, *revoked: Pair) -> bytes:
        """A list of revoked certificates, as PEM."""
        builder = x509.CertificateRevocationListBuilder(self._name, self.now - _DAY, self.now + _DAY)
        for pair in revoked:
            entry = x509.RevokedCertificateBuilder(pair.serial, self.now - _DAY).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
