"""The question before a reload: would the code that is installed now start with the configuration that is there now?

`ingestd check --reload` is run by the same interpreter with the same options as the daemon: it loads all that a start
loads, checks the configuration and the files it names, and reads the inheritance of the running daemon. If it can, it
prints the identity of code and configuration; where that is the daemon's own, only files that the configuration names
can have changed: certificates.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from ingestd import inherit
from ingestd.config import Config

#: It takes half a second; on a machine that does not get so far in this time nothing is to be changed.
PATIENCE_S: Final = 60.0

_PACKAGES: Final = ("ingestd", "formats")


class Verdict(NamedTuple):
    """`identity` of what would run, or `faults`: lines for people."""

    identity: str
    faults: list[str]


def identity(config: Config) -> str:
    """One word for the code that is installed and this configuration."""
    digest = hashlib.sha256(msgspec.json.encode(config))
    for line in (sys.version, *_code(), *_distributions()):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _code() -> Iterator[str]:
    """Every file of our packages, with the size and time that change when it does."""
    root = Path(__file__).parent.parent
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                known = path.stat()
                yield f"{path} {known.st_size} {known.st_mtime_ns}"


def _distributions() -> Iterator[str]:
    """Every installed distribution, by the folder that has its name and version."""
    for folder in sorted(set(sys.path)):
        yield from sorted(str(path) for path in Path(folder or ".").glob("*.dist-info"))


def own_command() -> list[str]:
    """The command line of this process, with the interpreter's whole path."""
    return [sys.executable, *sys.orig_argv[1:]]


def check_command() -> list[str]:
    """`ingestd check --reload` as this `ingestd run` was started, with its options."""
    head = own_command()[: len(sys.orig_argv) - len(sys.argv) + 1]
    options = sys.argv[2:]  # behind "run"
    return [*head, "check", "--reload", *options]


class Rehearsal:
    """One run of the check, in the background."""

    def __init__(self, will: int) -> None:
        """`will`: what `inherit.write` returned; it is closed here. Raises `OSError`."""
        self._began_s = time.monotonic()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the verdict
        try:
            self._process = subprocess.Popen(
                check_command(),
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=subprocess.STDOUT,
                pass_fds=[will],
                env=os.environ | {inherit.VARIABLE: str(will)},
            )
        finally:
            os.close(will)

    def verdict(self) -> Verdict | None:
        """What came of it; None as long as it runs."""
        code = self._process.poll()
        if code is None and time.monotonic() < self._began_s + PATIENCE_S:
            return None
        self.cancel()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").splitlines()
        self._said.close()
        if code is None:
            return Verdict("", [*lines, f"the check did not end within {PATIENCE_S:g} s"])
        if code or not lines:
            return Verdict("", lines or [f"the check ended with code {code}"])
        return Verdict(lines[-1], [])

    def cancel(self) -> None:
        """End it, and take leave of it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
