"""Who a client certificate says its holder is, in the words of `openssl x509 -text`.

    CN:web1   DNS:web1.example.org   URI:spiffe://example.org/web1   SHA256:9F:86:D0:…

The first three are what the CA wrote into it: the subject's common name and the alternative names (RFC 5280, 4.1.2.6
and 4.2.1.6). The last is the fingerprint of this one certificate. All are compared whole; there are no wildcards, for
what a CA signed is a name and not a pattern. Names of DNS are compared in lower case (RFC 4343).
"""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Iterator
from typing import Any, Final

KINDS: Final = ("CN", "DNS", "URI", "SHA256")

_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


def identity(text: str) -> str:
    """An identity as somebody writes it, in the form that is compared. Raises ValueError that says what is allowed."""
    kind, colon, value = text.partition(":")
    kind = kind.strip().upper()
    value = value.strip()
    if not colon or kind not in KINDS or not value:
        raise ValueError('must be "CN:name", "DNS:name", "URI:uri" or "SHA256:fingerprint" of a certificate')
    if kind == "DNS":
        value = value.lower()
    if kind == "SHA256":
        value = value.replace(":", "").lower()
        if not _FINGERPRINT.fullmatch(value):
            raise ValueError("a SHA-256 fingerprint has 64 hexadecimal digits, colons between them or not")
    return f"{kind}:{value}"


def identities(peer: ssl.SSLObject) -> frozenset[str]:
    """All that the peer's certificate, which the handshake verified, says of it; nothing where there is none."""
    der = peer.getpeercert(binary_form=True)
    if der is None:
        return frozenset()
    return frozenset({*_names(peer), f"SHA256:{hashlib.sha256(der).hexdigest()}"})


def _names(peer: ssl.SSLObject) -> Iterator[str]:
    cert: dict[str, Any] = peer.getpeercert() or {}
    for relative_name in cert.get("subject", ()):
        for kind, value in relative_name:
            if kind == "commonName":
                yield f"CN:{value}"
    for kind, value in cert.get("subjectAltName", ()):
        if kind == "DNS":
            yield f"DNS:{value.lower()}"
        elif kind == "URI":
            yield f"URI:{value}"
