"""Segment files for tests of who reads them, made by the store's own code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ingestd.store.segment import Compressor, Description, pack_description

INSTANCE = "0123456789abcdef"


def record(number: int, level: str = "INFO", service: str = "api", **fields: Any) -> dict[str, Any]:
    """The record of second `number` of a day."""
    time = f"2026-11-21T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000000Z"
    core = {"timestamp": time, "level": level, "service": service, "message": f"message {number}"}
    return {"received_at": time, "format": "json", **core, **fields}


def frame(
    records: Sequence[dict[str, Any]],
    number: int = 1,
    worker: int = 0,
    lines: bytes | None = None,
    v: int = 1,
) -> bytes:
    """A description and its data; `lines` instead of the records' own."""
    if lines is None:
        lines = b"".join(msgspec.json.encode(each) + b"\n" for each in records)
    data = Compressor(1).compress([lines], len(lines))
    times = [each["timestamp"] for each in records]
    description = Description(
        v=v,
        instance=INSTANCE,
        worker=worker,
        frame=number,
        frame_bytes=len(data),
        lines_bytes=len(lines),
        records=len(records),
        first=min(times, default=""),
        last=max(times, default=""),
        levels=dict(Counter(each["level"] for each in records)),
        services=sorted({each["service"] for each in records}),
        sources={f"{name}/tcp": n for name, n in Counter(each["format"] for each in records).items()},
    )
    return pack_description(description) + data


def write(folder: Path, content: bytes, worker: int = 0, opened: str = "000000", open_: bool = False) -> Path:
    """A segment of a worker."""
    path = folder / f"log_{worker}_20261121_{opened}.jsonl.zst{'.open' if open_ else ''}"
    path.write_bytes(content)
    return path


def numbers(lines: Sequence[Any]) -> list[int]:
    """What `record` was called with, of `Line`s."""
    return [int(msgspec.json.decode(line.data)["message"].split()[1]) for line in lines]
