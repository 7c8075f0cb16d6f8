"""Segment files as a store writes them, made by the test's own means."""

import json
import struct
from collections.abc import Iterable
from pathlib import Path

import zstandard

from tools.loadgen.payloads import FIRST_SEQ

RUN = "ab12cd34"


def frame(*lines: str, level: int = 1) -> bytes:
    """One zstd frame of LF-ended lines."""
    return zstandard.ZstdCompressor(level=level, write_checksum=True).compress(
        "".join(line + "\n" for line in lines).encode()
    )


def skippable(content: bytes = b"{}") -> bytes:
    """A skippable frame, such as leads a data frame with its description."""
    return struct.pack("<II", 0x184D2A5E, len(content)) + content


def stored_json(seq: int, run: str = RUN, message: str = "hello", **more: object) -> str:
    """A JSON record as stored: enrichment in front, what the sender sent behind it."""
    record = {
        "hostname": "vm",
        "received_at": "2026-11-20T12:00:00.000000Z",
        "timestamp": "2026-11-20T12:00:00.000000Z",
        "message": message,
        "run": run,
        "seq": seq,
        **more,
    }
    return json.dumps(record, separators=(",", ":"))


def stored_raw(seq: int, run: str = RUN, text: str = "hello", **more: object) -> str:
    """A raw line as stored: the marker ends the message."""
    record = {"hostname": "vm", "level": "INFO", "message": f"{text} run={run} seq={seq}", **more}
    return json.dumps(record, separators=(",", ":"))


def write(path: Path, seqs: Iterable[int], per_frame: int = 100) -> Path:
    """A segment of JSON records, with a description before each frame."""
    numbers = [FIRST_SEQ + seq for seq in seqs]
    frames = [numbers[at : at + per_frame] for at in range(0, len(numbers), per_frame)]
    path.write_bytes(b"".join(skippable() + frame(*map(stored_json, part)) for part in frames))
    return path
