"""What the daemon leaves for others: the lock on its data folder, `state_dir/ingestd.json`, and the greeting."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from pathlib import Path
from typing import IO, Final

import orjson

from formats import kernel
from ingestd import __version__, journal
from ingestd.ask import STATE_FILE
from ingestd.config import Config
from ingestd.errors import StartError

LOCK_FILE: Final = ".lock"

log: Final = logging.getLogger("ingestd")


def prepare_folders(*folders: Path) -> None:
    """Make the folders where they are missing. Raises `StartError`."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        except OSError as error:
            raise StartError(
                f"cannot make the folder {folder}: {error.strerror}; make it, or set server.data_dir and state_dir"
            ) from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StartError(f"cannot write to the folder {folder}; give it to the user that runs ingestd")


def lock_data_dir(data_dir: Path) -> IO[str]:
    """Hold the folder for this daemon and its children until the last of them ends. Raises `StartError`."""
    try:
        file = (data_dir / LOCK_FILE).open("a+")
    except OSError as error:
        raise StartError(f"cannot open {data_dir / LOCK_FILE}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise StartError(
            f"another ingestd (pid {holder}) uses {data_dir}; stop it, or set server.data_dir to another folder"
        ) from None
    except OSError as error:
        file.close()
        raise StartError(
            f"cannot lock {data_dir / LOCK_FILE}: {error.strerror}; set server.data_dir to a file system with locks"
        ) from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def announce(state_dir: Path, listen: dict[str, str]) -> None:
    """Write `ingestd.json`, whole or not at all: the pid and where the daemon listens. Raises `StartError`."""
    path = state_dir / STATE_FILE
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_bytes(orjson.dumps({"pid": os.getpid(), **listen}, option=orjson.OPT_APPEND_NEWLINE))
        temporary.rename(path)
    except OSError as error:
        raise StartError(
            f"cannot write {path}: {error.strerror}; make room or set server.state_dir to another folder"
        ) from error


def withdraw(state_dir: Path) -> None:
    """The daemon is gone: so is its `ingestd.json`."""
    (state_dir / STATE_FILE).unlink(missing_ok=True)


def greet(config: Config, listen: dict[str, str], workers: int, seconds: float) -> None:
    """Tell the person who started it where it listens, and a line to paste that sends a first log; tell the journal
    in one line."""
    if not kernel.COMPILED:
        log.warning(
            "the kernels of the formats are not compiled: records take twice the CPU; see ingestd doctor"
        )
    if journal.is_stderr():
        log.info(
            "ingestd %s is ready after %.2f s with %d workers: TCP %s, UDP %s, HTTP %s",
            *(__version__, seconds, workers, listen["tcp"], listen["udp"], listen["http"]),
            extra=journal.event("ready"),
        )
        return
    tcp = config.listen.tcp
    host, _, port = listen["tcp"].rpartition(":")
    line = r"""printf '{"level":"error","service":"api","message":"hi"}\n'"""
    send = (
        f"nc -q1 {host.strip('[]')} {port}"
        if tcp.plaintext
        else f"openssl s_client -quiet -connect {listen['tcp']}"
    )
    print(
        f"ingestd {__version__} is ready after {seconds:.2f} s with {workers} workers\n"
        f"  TCP   {listen['tcp']}  ({'plain text' if tcp.plaintext else 'TLS'})\n"
        f"  UDP   {listen['udp']}\n"
        f"  HTTP  {'https' if config.http.cert else 'http'}://{listen['http']}/  (dashboard, /metrics, /api/stats)\n"
        f"  data  {config.server.data_dir}\n"
        f"Send a first log, and see it arrive:\n"
        f"  {line} | {send}\n"
        f"  zstdcat {config.server.data_dir}/*.open",
        file=sys.stdout,
        flush=True,
    )
