"""The log senders of other people that tests run: out of the Debian packages that tests/packages.txt lists.

`make test` unpacks those under .venv/debian. Nothing is installed and no service is started: rsyslogd and syslog-ng run
in the foreground, on a configuration and a socket of their own, and are ended by their process. What is missing skips
the test that asks for it, and says why. Lines and configurations come out of docs/formats.md, with other addresses and
certificates, so that what a reader copies is what is tested.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.daemon import PATIENCE_S, Daemon, wait_for

ROOT: Final = Path(__file__).parent.parent.parent
DOCUMENT: Final = ROOT / "docs/formats.md"

_DEBIAN: Final = Path(sys.prefix) / "debian"
_FOLDERS: Final = ("bin", "usr/bin", "usr/sbin", "lib/systemd", "usr/lib/systemd")
_LIBRARIES: Final = (
    "lib/*-linux-gnu",
    "usr/lib/*-linux-gnu",
    "usr/lib/*-linux-gnu/systemd",
    "usr/lib/syslog-ng",
)

Command = list[str | Path]

#: Each program, and what has it say that it runs.
_ASKED: Final = {
    "rsyslogd": "-v",
    "syslog-ng": "--version",
    "journalctl": "--version",
    "systemd-journal-remote": "--version",
    "nc.openbsd": "-h",
    "prometheus-alertmanager": "--version",
    "mandoc": "/dev/null",
    "zsh": "--version",
}

JOURNAL_ENTRY: Final = {
    "__REALTIME_TIMESTAMP": b"1763640000123456",
    "__MONOTONIC_TIMESTAMP": b"1000",
    "_BOOT_ID": b"0123456789abcdef0123456789abcdef",
    "_HOSTNAME": b"web1",
    "_SYSTEMD_UNIT": b"api.service",
    "_PID": b"77",
    "PRIORITY": b"3",
    "SYSLOG_IDENTIFIER": b"api",
    "MESSAGE": b"no route",
}


def program(name: str) -> Path:
    """A program of the unpacked packages; skips the test where it is not there or does not run."""
    found = [path for folder in _FOLDERS if (path := _DEBIAN / folder / name).exists()]
    if not found:
        pytest.skip(f"{name} is not in {_DEBIAN}: `make test-commands` puts it there if there is apt-get")
    said = subprocess.run([found[0], _ASKED[name]], env=environment(), capture_output=True, text=True)
    if said.returncode:
        pytest.skip(f"{found[0]} does not run here: {said.stderr.strip()}")
    return found[0]


def environment() -> dict[str, str]:
    """The environment for such programs: their libraries before those of the system; times in UTC."""
    folders = [str(path) for pattern in _LIBRARIES for path in _DEBIAN.glob(pattern)]
    return os.environ | {"LD_LIBRARY_PATH": ":".join(folders), "TZ": "UTC"}


def wrapper(path: Path, *command: str | Path) -> None:
    """Make an executable `path` that runs an unpacked program with these arguments, and those it is given."""
    words = " ".join(f"'{word}'" for word in command)
    libraries = environment()["LD_LIBRARY_PATH"]
    path.write_text(f"#!/bin/sh\nLD_LIBRARY_PATH='{libraries}' exec {words} \"$@\"\n")
    path.chmod(0o755)


def document_blocks(start: str, end: str) -> list[str]:
    """The blocks of code of docs/formats.md between two texts, not indented any more."""
    text = DOCUMENT.read_text(encoding="utf-8")
    section = text[text.index(start) :]
    section = section[: section.index(end, len(start))]
    blocks = re.findall(r"(?<=\n\n)(?:    .*\n)+", section)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in blocks]


def document_config(path: str, daemon: Daemon) -> str:
    """The configuration that docs/formats.md has for a file, to send to `daemon`."""
    config = document_blocks(f"`{path}`", "\n## ")[0]
    for said, meant in (("/etc/ingestd/certs", str(daemon.certs)), ("3001", str(daemon.tcp[1]))):
        assert said in config, config
        config = config.replace(said, meant)
    return config


def make_journal(path: Path, entries: list[dict[str, bytes]]) -> None:
    """Make a genuine journal file of entries, some of whose values may be binary."""
    text = b"".join(b"".join(_export(*field) for field in entry.items()) + b"\n" for entry in entries)
    command: Command = [program("systemd-journal-remote"), "-o", path, "-"]
    subprocess.run(command, env=environment(), input=text, capture_output=True, check=True)


def _export(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return b"%b\n%b%b\n" % (name.encode(), len(value).to_bytes(8, "little"), value)
    return b"%b=%b\n" % (name.encode(), value)


@contextmanager
def rsyslog(folder: Path, daemon: Daemon, action: str = "") -> Iterator[Path]:
    """An rsyslogd that forwards to `daemon`; the datagram socket that it listens on, for RFC 5424 and local syslog.

    `action` is its configuration, that of docs/formats.md if it is empty.
    """
    binary = program("rsyslogd")
    modules = next(_DEBIAN.glob("usr/lib/*/rsyslog"))
    log = folder / "log"
    config = f"""\
global(workDirectory="{folder}")
module(load="imuxsock" sysSock.use="off")
input(type="imuxsock" socket="{log}" useSpecialParser="off" parseHostname="on" ignoreTimestamp="off"
      rateLimit.interval="0")
"""
    action = action or document_config("/etc/rsyslog.d/ingestd.conf", daemon)
    (folder / "conf").write_text(config + action)
    command: Command = [binary, "-n", "-f", folder / "conf", "-i", folder / "pid", "-M", modules]
    with _running(command, folder, log):
        yield log


@contextmanager
def syslog_ng(folder: Path, daemon: Daemon, destination: str = "") -> Iterator[Path]:
    """A syslog-ng that forwards to `daemon`; the datagram socket that it listens on, for RFC 5424.

    `destination` is its configuration, that of docs/formats.md if it is empty.
    """
    binary = program("syslog-ng")
    (modules,) = _DEBIAN.glob("usr/lib/syslog-ng/*.*/")
    log = folder / "log"
    config = f"""\
@version: 3.35
options {{ keep-hostname(yes); }};
source s_src {{ unix-dgram("{log}" flags(syslog-protocol)); }};
"""
    destination = destination or document_config("/etc/syslog-ng/conf.d/ingestd.conf", daemon)
    (folder / "conf").write_text(config + destination)
    state = [f"--{name}={folder / name}" for name in ("persist-file", "pidfile", "control")]
    command: Command = [binary, "--foreground", "--no-caps", f"--cfgfile={folder / 'conf'}", *state]
    command += [f"--module-path={modules}", "--stderr"]
    with _running(command, folder, log):
        yield log


@contextmanager
def _running(command: Command, folder: Path, listens: Path) -> Iterator[None]:
    """A program in the foreground, from when the socket `listens` is there; ended by SIGTERM."""
    said = folder / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )

    def is_listening() -> bool:
        assert process.poll() is None, f"{command[0]} ended:\n{said.read_text()}"
        return listens.exists()

    try:
        wait_for(is_listening, f"{command[0]} to listen")
        yield
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
