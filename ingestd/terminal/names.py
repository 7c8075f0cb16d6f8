"""The services of a data folder, for completion: as the descriptions of its newest segments name them, so in no time.

Shells put what they are offered into the command line as it is. A sender may name its service `$(reboot)`; so only
names that no shell reads anything into are offered.
"""

from __future__ import annotations

import os
import re
from itertools import groupby, islice
from pathlib import Path
from typing import Final

from ingestd.terminal.folder import segments
from ingestd.terminal.frames import Frame, walk

_SEGMENTS_PER_WORKER: Final = 2
_FRAMES: Final = 2000
_HARMLESS: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@/+-]{0,254}")


def services(folder: Path) -> set[str]:
    """Those that mean themselves in every shell. Raises `FolderError` and `OSError`."""
    found: set[str] = set()
    for _, entries in groupby(segments(folder), key=lambda entry: entry.worker):
        for entry in list(entries)[-_SEGMENTS_PER_WORKER:]:
            fd = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                size = os.fstat(fd).st_size
                for frame in islice(walk(fd, 0, size, final=not entry.is_open), _FRAMES):
                    if isinstance(frame, Frame):
                        found.update(frame.description.services)
            finally:
                os.close(fd)
    return set(filter(_HARMLESS.fullmatch, found))
