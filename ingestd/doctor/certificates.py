"""Certificates: how long they are valid, and for which names. That they fit their keys is asked by config_files."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509

from ingestd.config import Config
from ingestd.doctor.finding import Finding, Machine, fail, ok, warn

#: Time to get another one.
SOON: Final = datetime.timedelta(days=14)

_LIST_BEGINS: Final = b"-----BEGIN X509 CRL-----"


def examine(config: Config, machine: Machine, now: datetime.datetime) -> Iterator[Finding]:
    """All of this module; the files were found readable, and certificates, before."""
    tcp, http = config.listen.tcp, config.http
    if not tcp.plaintext:
        yield from _server("certificate of listen.tcp", Path(tcp.cert), tcp.address, machine, now)
        if tcp.client_ca:
            yield from authorities("listen.tcp.client_ca", Path(tcp.client_ca), now)
    if http.cert:
        yield from _server("certificate of http", Path(http.cert), http.address, machine, now)


def _server(
    check: str, path: Path, address: str, machine: Machine, now: datetime.datetime
) -> Iterator[Finding]:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    yield validity(check, path, certificate, now)
    yield names(check, path, certificate, address, machine)


def validity(check: str, path: Path, certificate: x509.Certificate, now: datetime.datetime) -> Finding:
    """Whether it is valid now, and for some time yet."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    renew = f"put another in place and reload; for one by ingestd: rm {path} and its key, ingestd certs {path.parent}"
    if now < begins:
        return fail(
            check, f"{path} is valid from {begins:%Y-%m-%d %H:%M} on: is the clock right?", "timedatectl"
        )
    if now > ends:
        return fail(check, f"{path} expired on {ends:%Y-%m-%d}: no sender trusts it", renew)
    left = ends - now
    if left < SOON:
        return warn(check, f"{path} expires on {ends:%Y-%m-%d}, in {left.days} days", renew)
    return ok(check, f"{path} is valid until {ends:%Y-%m-%d}, for {left.days} days")


def names(check: str, path: Path, certificate: x509.Certificate, address: str, machine: Machine) -> Finding:
    """Whether senders elsewhere, who know this machine by its name, would accept it."""
    check = f"names in the {check}"
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        says = f"{path} has no alternative names, which all TLS clients of today want"
        return fail(check, says, f"ingestd certs {path.parent} --host {machine.hostname} makes one that has")
    hosts = alternative.get_values_for_type(x509.DNSName)
    addresses = [str(each) for each in alternative.get_values_for_type(x509.IPAddress)]
    said = ", ".join([*hosts, *addresses])
    if _covers(hosts, addresses, machine.hostname) or _is_certain(address, addresses):
        return ok(check, f"{path} is for {said}")
    says = f"{path} is for {said}, and not for {machine.hostname}, by which senders may know this machine"
    return warn(
        check, says, f"if they do: a certificate with that name, by ingestd certs --host {machine.hostname}"
    )


def _covers(hosts: list[str], addresses: list[str], name: str) -> bool:
    """Whether the certificate is for that name, a wildcard standing for its first label (RFC 6125, 6.4.3)."""
    _, _, parent = name.partition(".")
    wanted = {name.lower(), f"*.{parent.lower()}"}
    # A short host name goes for the full one that begins with it: which domain it is in, senders know.
    return name in addresses or any(
        host.lower() in wanted or host.lower().startswith(f"{name.lower()}.") for host in hosts
    )


def _is_certain(address: str, addresses: list[str]) -> bool:
    """Whether the only address that is listened on is in it."""
    return not ipaddress.ip_address(address).is_unspecified and address in addresses


def authorities(check: str, path: Path, now: datetime.datetime) -> Iterator[Finding]:
    """The CAs of clients, and their lists of revoked certificates: one past its time refuses everybody."""
    content = path.read_bytes()
    for certificate in x509.load_pem_x509_certificates(content):
        subject = certificate.subject.rfc4514_string()
        yield validity(f"{check}, {subject}", path, certificate, now)
    for block in content.split(_LIST_BEGINS)[1:]:
        revoked = x509.load_pem_x509_crl(_LIST_BEGINS + block)
        subject = revoked.issuer.rfc4514_string()
        ends = revoked.next_update_utc
        if ends is not None and now > ends:
            says = f"the list of revoked certificates of {subject} ended on {ends:%Y-%m-%d}: every client is refused"
            yield fail(check, says, f"put a current one into {path} and reload")
        elif ends is not None:
            yield ok(check, f"the list of revoked certificates of {subject} holds until {ends:%Y-%m-%d}")
