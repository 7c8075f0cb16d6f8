"""Ways to the daemon: TLS TCP, plain TCP, UDP.

A transport takes blocks, tells what the server said, and closes in a way that shows whether the server read
all of it: close_notify (TLS), then FIN, then reading until the server's own end. Under TLS that end must be
its close_notify: a process that was killed sends a FIN too, but not that. On plain TCP the FIN has to do, if
no reset came with it.

UDP sends whole records in datagrams under 1,400 bytes. Where the kernel can (UDP_SEGMENT, Linux 4.18), one
send carries up to 64 of equal size, and the kernel cuts them before the receiver's queue, so that drops are
still counted singly (measured: tests/loadgen/measure.py).
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tools.loadgen.payloads import DATAGRAM_LIMIT_BYTES

CONNECT_TIMEOUT_S = 10.0
SEND_TIMEOUT_S = 30.0
"""A server that takes nothing for so long is given up as broken."""
CLOSE_TIMEOUT_S = 30.0
"""How long the server may take to read what is in flight and close."""

_MESSAGE_LIMIT_BYTES = 512
_NO_CLOSE_NOTIFY = "the server ended without close_notify"
_STILL_TALKING = (
    "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"  # OpenSSL: ours is sent, and the server has something to say
)
_SOL_UDP, _UDP_SEGMENT = 17, 103  # linux/udp.h; not in the socket module
_SEGMENTS_LIMIT = 64  # UDP_MAX_SEGMENTS of Linux before 6.9
_SEND_LIMIT_BYTES = 65_507  # a UDP payload, and so a segmented send
_SEGMENT_ERRORS = (
    errno.EINVAL,
    errno.EIO,
    errno.EMSGSIZE,
)  # udp(7), UDP_SEGMENT: MTU too small, no checksum offload
_SEND_BUFFER_BYTES = 4 * 1024 * 1024


class SetupError(Exception):
    """Trying again will not help; the message says what to do."""


class ServerClosedError(ConnectionError):
    """The server closed first: what was on its way may be lost."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send. `tls` None means plain TCP."""

    address: str
    port: int
    udp: bool
    tls: ssl.SSLContext | None

    @property
    def transport(self) -> str:
        """`udp`, `tls` or `tcp`."""
        return "udp" if self.udp else "tcp" if self.tls is None else "tls"


class Transport(Protocol):
    """One connection. OSError from any method: it is broken; abort it."""

    def send(self, block: memoryview) -> None:
        """Hand over whole records; returns when the kernel has them all."""

    def notice(self) -> str:
        """What the server has said so far, without waiting: a line, or "". ServerClosedError: it closed first."""

    def close(self) -> str:
        """Close in order and return what the server said last; returning means that it read everything."""

    def interrupt(self) -> None:
        """Make whatever waits in it fail; for another thread, so that the descriptor stays the owner's to close."""

    def abort(self) -> None:
        """Drop it at once; more than once does not matter."""


def client_tls(ca_file: str | None, insecure: bool) -> ssl.SSLContext:
    """A context that trusts `ca_file` (None: the system's CAs), or anybody. SetupError: the file is no CA."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SetupError(f"--ca {ca_file}: not a PEM certificate file ({error})") from error
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def show_certificate(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    """Have the client show this certificate where it is asked for one. SetupError: the files are no such pair."""
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise SetupError(f"--cert {cert} with --key {key}: {error}") from error


def connect(target: Target, header: str, datagram_bytes: int, preamble: bytes = b"") -> Transport:
    """Open a transport and say the header line, and what the format's stream begins with (`preamble`).

    `header` is the format and the keys behind it, as in `json schema=orders`. OSError: try again. SetupError: do not.
    """
    if target.udp:
        return UdpTransport(target, datagram_bytes)
    return TcpTransport(target, header, preamble)


class TcpTransport:
    """A TCP connection with its header line sent, with or without TLS."""

    def __init__(self, target: Target, header: str, preamble: bytes = b"") -> None:
        plain = socket.create_connection((target.address, target.port), CONNECT_TIMEOUT_S)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = plain if target.tls is None else _handshake(plain, target, target.tls)
            self._socket.settimeout(SEND_TIMEOUT_S)
            self._readable = select.poll()
            self._readable.register(self._socket, select.POLLIN)
            self._heard = b""
            self._interrupted = False
            self.send(memoryview(f"INGEST/1 {header}\n".encode() + preamble))
        except BaseException:
            plain.close()
            raise

    def send(self, block: memoryview) -> None:
        """See Transport. Not sendall: with TLS that would wrap this same loop more dearly."""
        send, done, size = self._socket.send, 0, len(block)
        while done < size:
            done += send(block[done:])

    def notice(self) -> str:
        """See Transport. One poll where the server is silent, as it is."""
        while self._readable.poll(0):
            self._socket.settimeout(0)
            try:
                data = self._socket.recv(_MESSAGE_LIMIT_BYTES)
            except (ssl.SSLWantReadError, BlockingIOError):
                break  # no data but TLS's own, such as a session ticket
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                data = b""
            finally:
                self._socket.settimeout(SEND_TIMEOUT_S)
            if not data:
                raise ServerClosedError("the server closed the connection")
            self._heard = (self._heard + data)[-_MESSAGE_LIMIT_BYTES:]
            if b"\n" in data:
                break
        return self._message()

    def close(self) -> str:
        """See Transport."""
        self.notice()
        deadline_s = time.monotonic() + CLOSE_TIMEOUT_S
        if isinstance(self._socket, ssl.SSLSocket):
            _say_close(self._socket, deadline_s)
        # the base class's: SSLSocket.shutdown would forget the session that is still to be read from
        socket.socket.shutdown(self._socket, socket.SHUT_WR)
        while self._read_on(deadline_s):
            pass
        self._read_fin(deadline_s)
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:  # a FIN hides the reset that follows it from recv
            raise ServerClosedError(f"the connection was reset (errno {error})")
        if self._interrupted:  # the end that was read is not the server's
            raise ServerClosedError("broken off: the server did not close in time")
        self._socket.close()
        return self._message()

    def interrupt(self) -> None:
        """See Transport."""
        self._interrupted = True
        with contextlib.suppress(OSError):  # it is closed already
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def abort(self) -> None:
        """See Transport."""
        self._socket.close()

    def _read_on(self, deadline_s: float) -> bool:
        self._socket.settimeout(max(0.001, deadline_s - time.monotonic()))
        try:
            data = self._socket.recv(_MESSAGE_LIMIT_BYTES)
        except ssl.SSLZeroReturnError:
            return False
        except ssl.SSLEOFError as error:
            raise ServerClosedError(_NO_CLOSE_NOTIFY) from error
        self._heard = (self._heard + data)[-_MESSAGE_LIMIT_BYTES:]
        return bool(data)

    def _read_fin(self, deadline_s: float) -> None:
        """Wait for the FIN behind a close_notify: a server that closed over unread data sends a reset instead."""
        self._socket.settimeout(max(0.001, deadline_s - time.monotonic()))
        while socket.socket.recv(self._socket, _MESSAGE_LIMIT_BYTES):
            pass

    def _message(self) -> str:
        line, newline, _ = self._heard.partition(b"\n")
        return line.decode("utf-8", "replace").strip() if newline else ""


def _handshake(plain: socket.socket, target: Target, tls: ssl.SSLContext) -> ssl.SSLSocket:
    try:
        return tls.wrap_socket(plain, server_hostname=target.address, suppress_ragged_eofs=False)
    except ssl.SSLCertVerificationError as error:
        raise SetupError(
            f"the certificate of {target.address}:{target.port} is not trusted ({error.verify_message}): "
            "name its CA with --ca FILE (make run puts it in certs/ca.crt), or use --insecure"
        ) from error
    except ssl.SSLError as error:
        if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            raise SetupError(
                f"{target.address}:{target.port} does not speak TLS: is this the right --tcp-port? "
                "For a listener with plaintext = true use --plain"
            ) from error
        raise


def _say_close(secure: ssl.SSLSocket, deadline_s: float) -> None:
    """Send close_notify and do not wait for the answer, which is read later, after what the server still says."""
    secure.setblocking(False)
    while True:
        try:
            secure.unwrap()
        except ssl.SSLWantWriteError:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([], [secure], [], left_s)[1]:
                raise TimeoutError("the server reads nothing more") from None
            continue
        except ssl.SSLWantReadError:
            pass  # ours is sent, the answer is still to come
        except ssl.SSLEOFError as error:
            raise ServerClosedError(_NO_CLOSE_NOTIFY) from error
        except ssl.SSLError as error:
            if error.reason != _STILL_TALKING:
                raise
        return


class UdpTransport:
    """A connected UDP socket. Nothing confirms a datagram; only refusals come back, with the next send."""

    def __init__(self, target: Target, datagram_bytes: int) -> None:
        """Blocks will be cut every `datagram_bytes`, where the caller's records end too."""
        family, kind, protocol, _, address = socket.getaddrinfo(
            target.address, target.port, type=socket.SOCK_DGRAM
        )[0]
        self._datagram_bytes = datagram_bytes
        self._socket = socket.socket(family, kind, protocol)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            self._socket.settimeout(SEND_TIMEOUT_S)
            self._socket.connect(address)
        except BaseException:
            self._socket.close()
            raise
        self._step_bytes = datagram_bytes
        if datagram_bytes < DATAGRAM_LIMIT_BYTES:
            self._segment(min(_SEGMENTS_LIMIT, _SEND_LIMIT_BYTES // datagram_bytes))

    def send(self, block: memoryview) -> None:
        """See Transport; the last datagram may be smaller."""
        send, done = self._socket.send, 0
        while done < len(block):
            try:
                done += send(block[done : done + self._step_bytes])
            except OSError as error:
                if error.errno not in _SEGMENT_ERRORS or self._step_bytes == self._datagram_bytes:
                    raise
                self._segment(1)  # this route cannot, and nothing of this send has left

    def notice(self) -> str:
        """See Transport: UDP servers say nothing."""
        return ""

    def close(self) -> str:
        """See Transport; for UDP it only says that the kernel has them. ConnectionRefusedError: nobody listened."""
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._socket.close()
        if error:
            raise ConnectionRefusedError(error, "datagrams were refused")
        return ""

    def interrupt(self) -> None:
        """See Transport: a send to a socket does not hang."""

    def abort(self) -> None:
        """See Transport."""
        self._socket.close()

    def _segment(self, datagrams: int) -> None:
        """Let each send carry so many datagrams; where the kernel does not know how, it stays at one."""
        size = self._datagram_bytes if datagrams > 1 else 0
        with contextlib.suppress(OSError):  # before Linux 4.18
            self._socket.setsockopt(_SOL_UDP, _UDP_SEGMENT, size)
            self._step_bytes = self._datagram_bytes * datagrams
