"""Refused records, kept where a person can look at them: `rejects_<worker>.jsonl.zst`.

One JSON line each: `time`, `reason`, `detail`, `format`, `transport`, `source` and `data` (text) or `data_base64` (what
is not UTF-8). Every append is a complete zstd frame, so `zstdcat` reads the file at any time. It is bounded twice: a
file past `max_bytes` is renamed over `rejects_<worker>.1.jsonl.zst`, and one second keeps at most `RATE_BYTES` of
refused data; an attacker who sends nothing but garbage fills neither the disk nor the core.
"""

from __future__ import annotations

import base64
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson
import zstandard

from ingestd.store.batch import Rejected
from ingestd.store.segment import SUFFIX, free_bad, pieces

#: Refused bytes kept per second and worker, each record's own fields included; the others are counted only.
RATE_BYTES: Final = 1 << 20
_FIELDS_BYTES: Final = 256

_PIECE_BYTES: Final = 1 << 12


def kept_bytes(entry: Rejected) -> int:
    """What a refused record counts against the bounds."""
    return len(entry.data) + _FIELDS_BYTES


class RejectsFile:
    """Appends to the worker's rejects file; it is made when the first record comes. Raises `OSError`."""

    def __init__(
        self, folder: Path, worker: int, max_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.path = folder / f"rejects_{worker}{SUFFIX}"
        self._older = folder / f"rejects_{worker}.1{SUFFIX}"
        self._max_bytes = max_bytes
        self._clock = clock
        self._compressor = zstandard.ZstdCompressor(write_checksum=True)
        self._fd: int | None = None
        self._second: int | None = None
        self._kept_bytes = 0

    def keep(self, rejected: list[Rejected]) -> int:
        """Append what the bounds allow; returns how many were skipped."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._kept_bytes = second, 0
        lines = []
        for entry in rejected:
            size = kept_bytes(entry)
            if self._max_bytes == 0 or self._kept_bytes + size > max(RATE_BYTES, size):
                continue
            self._kept_bytes += size
            lines.append(_line(entry))
        if lines:
            self._append(self._compressor.compress(b"".join(lines)))
        return len(rejected) - len(lines)

    def _append(self, frame: bytes) -> None:
        if self._fd is None:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            self._mend(self._fd)
        start = os.fstat(self._fd).st_size
        try:
            if os.write(self._fd, frame) < len(frame):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(self._fd, start)
            raise
        if start + len(frame) >= self._max_bytes:
            self.close()
            self.path.rename(self._older)

    def _mend(self, fd: int) -> None:
        """Set aside a frame that a crash left torn, or what is appended behind it could not be read."""
        content = os.pread(fd, os.fstat(fd).st_size, 0)
        good = _whole_frames(content)
        if good < len(content):
            free_bad(self.path).write_bytes(content[good:])
            os.ftruncate(fd, good)

    def close(self) -> None:
        """Close the file; a later `keep` opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _whole_frames(content: bytes) -> int:
    """How many bytes of `content` are complete zstd frames. Fed in small pieces, since what is fed beyond a frame's
    end is copied: whole, a file of small frames would cost the square of its size."""
    good = position = 0
    decompressor = zstandard.ZstdDecompressor()
    while good < len(content):
        frame = decompressor.decompressobj()
        try:
            for piece in pieces(content, good, _PIECE_BYTES):
                frame.decompress(piece)
                position += len(piece)
                if frame.eof:
                    break
        except zstandard.ZstdError:
            break
        if not frame.eof:
            break
        good = position = position - len(frame.unused_data)
    return good


def _line(entry: Rejected) -> bytes:
    record = {
        "time": entry.time,
        "reason": entry.reason,
        "detail": entry.detail,
        "format": entry.format,
        "transport": entry.transport,
        "source": entry.source,
    }
    try:
        record["data"] = entry.data.decode()
    except UnicodeDecodeError:
        record["data_base64"] = base64.b64encode(entry.data).decode()
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
