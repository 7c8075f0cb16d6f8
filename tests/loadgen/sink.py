"""A real server that takes what loadgen sends: TLS or plain TCP, a thread per connection.

It keeps what it read, closes as a good server does (close_notify for close_notify, FIN for FIN), and misbehaves where
a test asks for it. Nothing here is of the daemon.
"""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PATIENCE_S = 30.0

Behaviour = Callable[[int, socket.socket, int], bool]
"""Called with the connection's number, its socket and the bytes read so far; False: close it without reading on."""


def obey(_number: int, _connection: socket.socket, _received: int) -> bool:
    """Take everything."""
    return True


def reset(connection: socket.socket) -> None:
    """Close with a reset, as a killed process with unread data does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one PEM file that is its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sink")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "sink.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class Sink:
    """Listens on a free port of 127.0.0.1 while it is entered."""

    def __init__(self, pem: Path | None = None, behave: Behaviour = obey) -> None:
        """`pem` None: plain TCP."""
        self._tls = None
        if pem is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(pem)
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self.received: list[bytearray] = []

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def stop(self) -> None:
        """Take no more connections."""
        self._stop.set()

    @property
    def data(self) -> bytes:
        """All that was read, without the header lines, connection by connection."""
        return b"".join(bytes(data.partition(b"\n")[2]) for data in self.received)

    def _accept(self) -> None:
        with self._listener:
            while not self._stop.is_set():
                try:
                    connection = self._listener.accept()[0]
                except TimeoutError:
                    continue
                self.received.append(bytearray())
                thread = threading.Thread(target=self._serve, args=(len(self.received) - 1, connection))
                self._threads.append(thread)
                thread.start()

    def _serve(self, number: int, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_S)
        data = self.received[number]
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            while self._behave(number, connection, len(data)):
                part = connection.recv(1 << 18)
                if not part:
                    if isinstance(connection, ssl.SSLSocket):
                        connection = connection.unwrap()
                    break
                data += part
        except OSError:
            pass  # the sender broke it; what was read stays
        finally:
            connection.close()
