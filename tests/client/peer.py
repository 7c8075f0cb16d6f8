"""A small server that speaks the other side of the protocol, and misbehaves where a test asks for it.

By default it is honest: it knows its clients, keeps each batch once and acknowledges it. A *script* is called instead
for the connections it is given for, with a `Talk`. Nothing here is of the client.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import zstandard

from tests.daemon import PATIENCE_S

Batch = tuple[int, bytes]


class Talk:
    """One connection, its header read."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._data = b""
        while b"\n" not in self._data:
            if not self._more():
                raise ConnectionAbortedError("ended before its header")
        line, _, self._data = self._data.partition(b"\n")
        if not line.isascii():
            self.say("ERR header is not ASCII")
            raise ConnectionAbortedError("not this protocol")
        words = line.decode("ascii").split()
        assert words[:1] == ["INGEST/1"], words
        self.format = words[1]
        self.keys = dict(word.split("=", 1) for word in words[2:])
        self.client = self.keys.get("client", "")
        assert self.keys.get("ack", "") == ("1" if self.client else "")

    def say(self, line: str) -> None:
        self._sock.sendall(line.encode() + b"\n")

    def batch(self) -> Batch | None:
        """The next batch, decompressed; None at the end of the stream."""
        head = self._read(12)
        if head is None:
            return None
        length, sequence = struct.unpack(">IQ", head)
        payload = self._read(length)
        if payload is None:
            return None
        if self.keys.get("compression") == "zstd":
            payload = zstandard.ZstdDecompressor().decompress(payload)
        return sequence, payload

    def line(self) -> bytes:
        """The next line of a stream; empty at its end."""
        while b"\n" not in self._data:
            if not self._more():
                return b""
        line, _, self._data = self._data.partition(b"\n")
        return line

    def _read(self, size: int) -> bytes | None:
        while len(self._data) < size:
            if not self._more():
                return None
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def _more(self) -> bool:
        data = self._sock.recv(1 << 18)
        self._data += data
        return bool(data)

    def reset(self) -> None:
        """End it as a killed process with unread data does."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()


class Peer:
    """Listens on a free port of 127.0.0.1 while it is entered. `scripts` go by the number of the connection, from 0.

    Streams without acknowledgements have no number; their lines are `heard`.
    """

    def __init__(
        self, scripts: Mapping[int, Callable[[Talk], None]] | None = None, certs: Path | None = None
    ) -> None:
        self._scripts = scripts or {}
        self._tls: ssl.SSLContext | None = None
        if certs is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certs / "server.crt", certs / "server.key")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._socks: list[socket.socket] = []
        self._turns: dict[str, threading.Lock] = {}
        self.stored: dict[str, list[Batch]] = {}
        self.talks: list[Talk] = []
        self.heard: list[bytes] = []
        self.streams: list[Talk] = []

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._socks:
            sock.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def lines(self) -> list[bytes]:
        """Every line stored, in the order of its client's batches."""
        return [line for batches in self.stored.values() for _, data in batches for line in data.splitlines()]

    def serve(self, talk: Talk, limit: int = 1 << 62) -> None:
        """Be honest, for so many batches; what an earlier connection of the client sent is decided first."""
        with self._lock:
            stored = self.stored.setdefault(talk.client, [])
            turn = self._turns.setdefault(talk.client, threading.Lock())
        with turn:
            self._store(talk, stored, limit)

    def _store(self, talk: Talk, stored: list[Batch], limit: int) -> None:
        talk.say(f"OK {stored[-1][0] if stored else 0}")
        while limit and (batch := talk.batch()):
            limit -= 1
            if not stored or batch[0] > stored[-1][0]:
                assert not stored or batch[0] == stored[-1][0] + 1, (
                    f"{batch[0]} does not follow {stored[-1][0]}"
                )
                stored.append(batch)
            talk.say(f"ACK {stored[-1][0]}")

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                sock = self._listener.accept()[0]
            except OSError:
                return
            self._socks.append(sock)
            self._threads.append(threading.Thread(target=self._talk, args=(sock,), daemon=True))
            self._threads[-1].start()

    def _talk(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE_S)
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._socks.append(sock)
            talk = Talk(sock)
            if talk.client:
                with self._lock:
                    script = self._scripts.get(len(self.talks), self.serve)
                    self.talks.append(talk)
                script(talk)
            else:
                self.streams.append(talk)
                while line := talk.line():
                    self.heard.append(line)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        except OSError:
            pass  # broken by the client, or by the script
        finally:
            sock.close()
