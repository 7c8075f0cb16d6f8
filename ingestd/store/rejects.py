"""Refused records, kept where a person can look at them: `rejects_<worker>.jsonl.zst`.

One JSON line each: `time`, `reason`, `detail`, `format`, `transport`, `source` and `data` (text) or `data_base64` (what
is not UTF-8). Every append is a complete zstd frame, so `zstdcat` reads the file at any time. It is bounded twice: a
file past `max_bytes` is renamed over `rejects_<worker>.1.jsonl.zst`, and one second keeps at most `RATE_BYTES` of
refused data; an attacker who sends nothing but garbage fills neither the disk nor the core. What a failing disk does
not take is counted and given up: nothing was promised of it.
"""

from __future__ import annotations

import base64
import errno
import logging
import os
import time
from collections.abc import Callable
from typing import Final

import orjson
import zstandard

from ingestd.store.batch import Event, Listener, Rejected
from ingestd.store.folder import Folder
from ingestd.store.segment import SUFFIX, free_bad, pieces

#: Refused bytes kept per second and worker, each record's own fields included; the others are counted only.
RATE_BYTES: Final = 1 << 20
_FIELDS_BYTES: Final = 256

#: Refused records that may wait while the disk fails; the others are counted only. They are not behind the gate that
#: pauses reading, so without a bound a sender of garbage would fill the memory then.
WAITING_BYTES: Final = 4 << 20

_PIECE_BYTES: Final = 1 << 12

log = logging.getLogger("ingestd.store")


def kept_bytes(entry: Rejected) -> int:
    """What a refused record counts against the bounds."""
    return len(entry.data) + _FIELDS_BYTES


class RejectsFile:
    """Appends to the worker's rejects file; it is made when the first record comes. Raises `OSError`."""

    def __init__(
        self, folder: Folder, worker: int, max_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder
        self.path = folder.path / f"rejects_{worker}{SUFFIX}"
        self._older = folder.path / f"rejects_{worker}.1{SUFFIX}"
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
        try:
            self._folder.check()
            if self._fd is None:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
                self._mend(self._fd)
            start = os.fstat(self._fd).st_size
            self._write(self._fd, frame, start)
        except OSError:
            self.close()  # the next one mends what this one left
            raise
        if start + len(frame) >= self._max_bytes:
            self.close()
            self.path.rename(self._older)

    def _write(self, fd: int, frame: bytes, start: int) -> None:
        try:
            if os.write(fd, frame) < len(frame):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(fd, start)
            raise

    def _mend(self, fd: int) -> None:
        """Set aside a frame that is torn, or what is appended behind it could not be read."""
        content = os.pread(fd, os.fstat(fd).st_size, 0)
        good = _whole_frames(content)
        if good < len(content):
            bad = free_bad(self.path)
            try:
                bad.write_bytes(content[good:])
            except OSError:
                bad.unlink(missing_ok=True)
                raise
            os.ftruncate(fd, good)

    def close(self) -> None:
        """Close the file; a later `keep` opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class RejectsKeeper:
    """Bounds what waits for a rejects file, counts what is not kept, and says once that it fails.

    `skips` and `admit` are called on the event loop's thread, the other methods on the writer's; each number has one
    writer.
    """

    def __init__(
        self, file: RejectsFile, listener: Listener, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._file = file
        self._tell = listener
        self._clock = clock
        self._second = 0
        self._second_bytes = 0  # admitted in this second
        self._admitted_bytes = self._taken_bytes = 0
        self._failing = False

    def skips(self, records: int) -> bool:
        """Whether the bound of this second is reached: so many are then counted, and need not even be made."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._second_bytes = second, 0
        if self._second_bytes < RATE_BYTES:
            return False
        self._skipped(records)
        return True

    def admit(self, rejected: list[Rejected]) -> bool:
        """Whether there is room for these to wait."""
        nbytes = sum(map(kept_bytes, rejected))
        waiting_bytes = self._admitted_bytes - self._taken_bytes
        if waiting_bytes and waiting_bytes + nbytes > WAITING_BYTES:
            self._skipped(len(rejected))
            return False
        self._admitted_bytes += nbytes
        self._second_bytes += nbytes
        return True

    def keep(self, rejected: list[Rejected]) -> None:
        """Append what was admitted."""
        self._taken_bytes += sum(map(kept_bytes, rejected))
        try:
            skipped = self._file.keep(rejected)
        except OSError as error:
            skipped = len(rejected)
            self._tell(Event("ingestd_write_errors_total", "rejects"))
            if not self._failing:
                log.error("cannot keep rejected records in %s: %s", self._file.path, error.strerror)
            self._failing = True
        else:
            if self._failing:
                log.warning("rejected records are kept in %s again", self._file.path)
            self._failing = False
        self._skipped(skipped)

    def _skipped(self, records: int) -> None:
        if records:
            self._tell(Event("ingestd_rejects_skipped_total", "", records))

    def close(self) -> None:
        self._file.close()


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
