"""The segments of a data folder, in the order in which each worker wrote them."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final, NamedTuple

from ingestd.errors import IngestdError
from ingestd.store.segment import OPEN_SUFFIX
from ingestd.visible import visible

_OPEN: Final = ".open"
_SEGMENT: Final = re.compile(r"(log_([0-9]{1,9})_([0-9]{8}_[0-9]{6})(?:_([0-9]{1,9}))?)\.jsonl\.zst(\.open)?")
_CUT: Final = re.compile(r"(log_[0-9_]+)\.([0-9]{1,18})\.cut")


class FolderError(IngestdError):
    """The data folder cannot be read."""


class Entry(NamedTuple):
    """One segment by its name; entries sort by worker, and of a worker oldest first."""

    worker: int
    opened: str
    """When, by its name: `YYYYMMDD_HHMMSS`, UTC."""
    number: int
    """Of those opened within one second."""
    path: Path
    is_open: bool
    """Whether it may be written."""
    inode: int
    """The same before and after its renaming."""
    limit_bytes: int | None = None
    """How much of it counts, where a failing disk would not let it be cut; None: all."""

    @property
    def closed_name(self) -> str:
        """What it is called once it is complete."""
        return self.path.name.removesuffix(_OPEN)


def segments(folder: Path) -> list[Entry]:
    """All segments, sorted. Raises `FolderError`."""
    found: dict[str, Entry] = {}
    limits: dict[str, int] = {}
    try:
        with os.scandir(folder) as listing:
            for item in listing:
                if match := _SEGMENT.fullmatch(item.name):
                    _, worker, opened, number, suffix = match.groups()
                    path = folder / item.name
                    found[item.name] = Entry(
                        int(worker), opened, int(number or 0), path, suffix == _OPEN, item.inode()
                    )
                elif match := _CUT.fullmatch(item.name):
                    limits[match[1]] = min(int(match[2]), limits.get(match[1], sys.maxsize))
    except PermissionError as error:
        raise FolderError(
            f"{visible(str(folder))}: {error.strerror}; run this as the daemon's user, or as a member of its group"
        ) from error
    except OSError as error:
        raise FolderError(
            f"{visible(str(folder))}: {error.strerror}; name the data_dir of the daemon, or its configuration with -c"
        ) from error
    for stem, limit_bytes in limits.items():
        if entry := found.get(stem + OPEN_SUFFIX):
            found[stem + OPEN_SUFFIX] = entry._replace(limit_bytes=limit_bytes)
    return sorted(found.values(), key=lambda entry: entry[:3])
