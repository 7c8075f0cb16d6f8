"""A disk that does not write: what is wrong with it, told once and taken back when it works again.

What an operator does about it tells faults apart: make room, allow writing, bring the folder back, look at the disk
(`stats.DISK_FAULTS`). Each try that failed is counted; the log gets a line when the fault changes.
"""

from __future__ import annotations

import errno
import logging
from pathlib import Path
from typing import Final

from ingestd.store.batch import Event, Failing, Listener

_FAULTS: Final = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EFBIG: "full",
    errno.EROFS: "read_only",
    errno.EACCES: "read_only",
    errno.EPERM: "read_only",
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.ESTALE: "missing",
}

_HINTS: Final = {
    "full": "free some space",
    "read_only": "make it writable again",
    "missing": "bring it back, or restart",
    "error": "check the disk",
}

log = logging.getLogger("ingestd.store")


class DiskFaults:
    """How writing to `folder` goes."""

    def __init__(self, folder: Path, listener: Listener) -> None:
        self._folder = folder
        self._tell = listener
        self._fault = ""

    def failed(self, operation: str, error: OSError) -> None:
        """`operation` is one of the labels of `ingestd_write_errors_total`."""
        self._tell(Event("ingestd_write_errors_total", operation))
        fault = _FAULTS.get(error.errno or 0, "error")
        if fault == self._fault:
            return
        self._fault = fault
        self._tell(Failing(fault))
        log.error(
            "cannot %s a segment in %s: %s; nothing is lost, reading pauses when the buffer is full: %s",
            operation,
            self._folder,
            error.strerror,
            _HINTS[fault],
        )

    def passed(self) -> None:
        """The disk did what was asked of it."""
        if self._fault:
            self._fault = ""
            self._tell(Failing(""))
            log.warning("segments in %s can be written again", self._folder)
