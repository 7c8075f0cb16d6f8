"""The daemon's own log: lines on stderr, or where stderr is the journal of systemd, entries with fields.

The service manager says in JOURNAL_STREAM which stream is the journal (systemd.exec(5)). Entries go by the journal's
native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/), one datagram each, with a priority, the place in the
code, the process that says it and, for what an operator looks for, an `INGESTD_EVENT`:

    journalctl -u ingestd INGESTD_EVENT=worker_died

A journal that does not read must not hold up records: an entry waits for `PATIENCE_S` once, the next for no time, until
one gets through, which says how many did not.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

PATH: Final = Path("/run/systemd/journal/socket")
IDENTIFIER: Final = "ingestd"
PATIENCE_S: Final = 0.25

#: syslog(3), by the levels of logging.
_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG: Final = 7

_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

_TOO_LARGE: Final = (errno.EMSGSIZE, errno.ENOBUFS)
_GONE: Final = (errno.ECONNREFUSED, errno.ECONNRESET, errno.ENOTCONN)

#: Fields of every entry of this process.
_own: dict[str, str] = {"INGESTD_PROCESS": "supervisor"}


def set_up() -> None:
    """Have all loggers write to where this process's log goes."""
    if is_stderr():
        try:
            handler: logging.Handler = JournalHandler(PATH)
        except OSError:
            handler = logging.StreamHandler()  # the stream ends there as well, without fields
        logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])
    else:
        line = "%(asctime)s %(name)s[%(process)d] %(levelname)s %(message)s"
        logging.basicConfig(level=logging.INFO, format=line)


def is_stderr(environ: Mapping[str, str] = os.environ, stream: IO[str] | None = None) -> bool:
    """Whether stderr is the journal: it may have been redirected since the manager set the variable."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat((stream or sys.stderr).fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


def complaint(text: str) -> str:
    """An error as it is written to stderr: before each line, the priority that the journal takes out (sd-daemon(3))."""
    if not is_stderr():
        return text
    return "\n".join(f"<3>{line}" for line in text.splitlines())


def be(process: str, worker: int | None = None) -> None:
    """Name this process in all of its entries, as a child does after the fork; `worker` is the number of its slot."""
    _own["INGESTD_PROCESS"] = process
    if worker is None:
        _own.pop("INGESTD_WORKER", None)
    else:
        _own["INGESTD_WORKER"] = str(worker)


def event(name: str, worker: int | None = None) -> dict[str, object]:
    """For `extra=` of a call that logs: what happened, in one word for programs, and to which worker."""
    return {"ingestd_event": name} | ({} if worker is None else {"ingestd_worker": worker})


class JournalHandler(logging.Handler):
    """Sends records to the journal. Never raises, and waits for `PATIENCE_S` at most."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError` where no journal listens."""
        super().__init__()
        self._path = path
        self._lost = 0
        self._socket = self._connected()

    def _connected(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.connect(str(self._path))
        except OSError:
            made.close()
            raise
        return made

    def emit(self, record: logging.LogRecord) -> None:
        fields = fields_of(record, self.format(record))
        if self._lost:
            fields["MESSAGE"] += f" ({self._lost} messages before this did not reach the journal)"
        data = encoded(fields)
        try:
            self._send(data)
        except OSError:
            self._lost += 1
        else:
            self._lost = 0

    def _send(self, data: bytes) -> None:
        self._socket.settimeout(0 if self._lost else PATIENCE_S)
        try:
            self._socket.send(data)
        except OSError as error:
            if error.errno in _TOO_LARGE:
                _send_large(self._socket, data)
            elif error.errno in _GONE:  # perhaps started anew, with another socket
                before, self._socket = self._socket, self._connected()
                before.close()
                self._socket.settimeout(0)
                self._socket.send(data)
            else:
                raise

    def close(self) -> None:
        self._socket.close()
        super().close()


def fields_of(record: logging.LogRecord, message: str) -> dict[str, str]:
    """The fields of an entry."""
    fields = {
        "MESSAGE": message,
        "PRIORITY": str(next((said for level, said in _PRIORITIES if record.levelno >= level), _DEBUG)),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "CODE_FILE": record.pathname,
        "CODE_LINE": str(record.lineno),
        "CODE_FUNC": record.funcName or "",
        "INGESTD_LOGGER": record.name,
        **_own,
    }
    for attribute in ("ingestd_event", "ingestd_worker"):
        value = getattr(record, attribute, None)
        if value is not None:
            fields[attribute.upper()] = str(value)
    return fields


def encoded(fields: Mapping[str, str]) -> bytes:
    """As the journal takes them: `KEY=value` and a line end; a value of several lines, with its length before it.

    KEY LF | length, 64 bits, little-endian | value | LF
    """
    pieces = []
    for key, value in fields.items():
        data = value.encode(errors="backslashreplace")
        if b"\n" in data:
            pieces.append(b"%b\n%b%b\n" % (key.encode(), len(data).to_bytes(8, "little"), data))
        else:
            pieces.append(b"%b=%b\n" % (key.encode(), data))
    return b"".join(pieces)


def _send_large(sock: socket.socket, data: bytes) -> None:
    """What is too large for a datagram goes in a sealed memfd, which the datagram carries."""
    fd = os.memfd_create("ingestd-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(data)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        socket.send_fds(sock, [b""], [fd])
    finally:
        os.close(fd)
