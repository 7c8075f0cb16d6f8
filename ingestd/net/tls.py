"""The server's TLS context: 1.2 and 1.3, and mutual where a CA for clients is configured."""

from __future__ import annotations

import ssl
from pathlib import Path

from ingestd.errors import StartError


def server_context(cert: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
    """A context for the listener. Raises `StartError` that names the file at fault."""
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
            f"cannot load listen.tcp.cert {cert} with listen.tcp.key {key}: {error}; `ingestd certs` makes a pair"
        ) from error
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ssl.SSLError) as error:
            raise StartError(f"cannot load listen.tcp.client_ca {client_ca}: {error}") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context
