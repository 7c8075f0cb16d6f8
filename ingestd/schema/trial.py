"""Compiling schemas for once in a process of its own, so that one that takes for ever never gets into a worker.

Schemas come from strangers and the libraries keep the GIL: a thread alone would stop the heart of the worker. The
registry judges each schema too; here the bound is tighter, since what passes is compiled again in the worker, and a
record is judged, since references can make that take for ever.

    [[source…], names], as JSON --stdin--> python -m ingestd.schema.trial --stdout--> for each source "+" or "-"

The registry's own process does the same when a schema is registered (`is_light`), and the answer is kept, so that no
worker has to wait for a process: under a full load one takes seconds. For the same reason nothing of formats/ is
loaded here, which would be three quarters of the CPU time.
"""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from ingestd.schema.schema import Schema, Source, UnusableSchemaError
from ingestd.schema.structs import has_struct

CPU_S: Final = 1
MEMORY_BYTES: Final = 1 << 30

#: Of a machine that is busy with something else.
_TIMEOUT_S: Final = 30.0

#: A schema with a Struct has no references and only plain patterns: up to this length it needs no trial.
_PLAIN_CHARS: Final = 16_384

_PASSED: Final = ord("+")

_RECORD: Final = (
    b'{"timestamp":"2026-11-20T12:00:00.000000Z","level":"INFO","service":"api","message":"hello"}\n'
)


def is_plain(source: Source) -> bool:
    """Whether a schema is such that it needs no trial."""
    return len(source.text) <= _PLAIN_CHARS and has_struct(source.text)


def passed(sources: Sequence[Source], own_names: Collection[str]) -> list[Source]:
    """Those that can be compiled within the limits. Raises OSError where there is no process to be had."""
    found = []
    rest = list(sources)
    while rest:
        verdicts = _ask(rest, own_names)
        found += [source for source, verdict in zip(rest, verdicts, strict=False) if verdict == _PASSED]
        rest = rest[len(verdicts) + 1 :]  # the one behind the last verdict ended the process
    return found


def _ask(sources: Sequence[Source], own_names: Collection[str]) -> bytes:
    try:
        return subprocess.run(
            [sys.executable, "-P", "-m", __name__],
            input=msgspec.json.encode((sources, sorted(own_names))),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired as expired:
        return expired.stdout or b""


def is_light(source: Source, own_names: Collection[str]) -> bool:
    """Compile a schema and judge a record by it, here and now. Where that goes beyond the limits, the process ends."""
    _, most_s = resource.getrlimit(resource.RLIMIT_CPU)
    _, most_bytes = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + CPU_S, most_s))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, most_bytes))
    try:
        Schema.of(source, own_names).why_not(_RECORD)
    except UnusableSchemaError:
        return False
    return True


def main() -> None:
    """The process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sources, names = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[list[Source], list[str]])
    for source in sources:
        os.write(sys.stdout.fileno(), b"+" if is_light(source, names) else b"-")


if __name__ == "__main__":
    main()
