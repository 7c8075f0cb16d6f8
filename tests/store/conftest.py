"""Writers over a temporary folder, ended whatever the test did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingestd.store.folder import Folder
from ingestd.store.takeover import Mine
from ingestd.store.writer import SegmentWriter, WriterSettings
from tests.fakes import KeepingListener

#: Makes a writer over a folder and starts it; the keywords replace settings.
StartWriter = Callable[..., SegmentWriter]


def settings(folder: Path) -> WriterSettings:
    """A writer that does nothing by itself: no flush for an hour, no rotation."""
    return WriterSettings(
        folder=Folder.at(folder),
        mine=Mine(worker=0, strays={}, instance="run-1", counted_frames=0),
        level=1,
        max_bytes=1 << 30,
        max_age_s=3600.0,
        flush_interval_s=3600.0,
        rejects_max_bytes=1 << 20,
    )


@pytest.fixture
def heard() -> KeepingListener:
    return KeepingListener()


@pytest.fixture
def start_writer(heard: KeepingListener) -> Iterator[StartWriter]:
    running: list[SegmentWriter] = []

    def start(
        folder: Path, listener: KeepingListener = heard, start: bool = True, **changes: object
    ) -> SegmentWriter:
        writer = SegmentWriter(settings(folder)._replace(**changes), listener)  # type: ignore[arg-type]
        running.append(writer)
        if start:
            writer.start()
        return writer

    yield start
    for writer in running:
        writer.close(0)  # a second time for some: the thread has ended, nothing happens
