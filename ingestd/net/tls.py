"""TLS for a listener: versions 1.2 and 1.3, mutual where a CA for clients is configured; why a handshake failed.

The file of CAs may hold their lists of revoked certificates (CRL, RFC 5280) too. Where it holds one, the CA of every
client needs a current one there: OpenSSL refuses what it cannot look up.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from ingestd.errors import StartError

#: What OpenSSL calls it when a client should have shown a certificate.
_NO_CERTIFICATE: Final = "PEER_DID_NOT_RETURN_A_CERTIFICATE"


def server_context(
    cert: Path, key: Path, client_ca: Path | None = None, section: str = "listen.tcp"
) -> ssl.SSLContext:
    """A context for a listener. Raises `StartError` that names the file at fault and its key in `section`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # Log senders write and never read. A session ticket would wait unread in their receive buffer, and closing a socket
    # with unread data resets the connection: what they sent last would be lost. So no tickets.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise StartError(
            f"cannot load {section}.cert {cert} with {section}.key {key}: {error}; `ingestd certs` makes a pair"
        ) from error
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ssl.SSLError) as error:
            raise StartError(f"cannot load {section}.client_ca {client_ca}: {error}") from error
        context.verify_mode = ssl.CERT_REQUIRED
        if context.cert_store_stats()["crl"]:
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def explain(error: ssl.SSLError) -> str:
    """Why a handshake failed, in OpenSSL's words."""
    return getattr(error, "verify_message", "") or error.reason or str(error)


def certificate_fault(error: ssl.SSLError) -> str:
    """What was wrong with the client's certificate, one of stats.AUTH_REASONS; empty where something else was."""
    if error.reason == _NO_CERTIFICATE:
        return "no_certificate"
    return "bad_certificate" if isinstance(error, ssl.SSLCertVerificationError) else ""
