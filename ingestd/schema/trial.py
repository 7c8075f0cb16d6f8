"""Compiling schemas for once in a process of its own, so that one that takes for ever never gets into a worker.

Schemas come from strangers and the libraries keep the GIL: a thread alone would stop the heart of the worker. The
registry judges each schema too; here the bound is tighter, since what passes is compiled again in the worker, and a
record is judged, since references can make that take for ever.

    [[source…], names], as JSON --stdin--> python -m ingestd.schema.trial --stdout--> for each source "+" or "-"
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

CPU_S: Final = 1
MEMORY_BYTES: Final = 1 << 30

#: Of a machine that is busy with something else.
_TIMEOUT_S: Final = 30.0

_PASSED: Final = ord("+")

_RECORD: Final = (
    b'{"timestamp":"2026-11-20T12:00:00.000000Z","level":"INFO","service":"api","message":"hello"}\n'
)


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


def main() -> None:
    """The process."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sources, names = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[list[Source], list[str]])
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    for source in sources:
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + CPU_S, most))
        try:
            Schema.of(source, names).why_not(_RECORD)
        except UnusableSchemaError:
            os.write(sys.stdout.fileno(), b"-")
        else:
            os.write(sys.stdout.fileno(), b"+")


if __name__ == "__main__":
    main()
