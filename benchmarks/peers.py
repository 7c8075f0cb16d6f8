"""Other log daemons from Debian's packages, beside ingestd on the same records: unpacked, never installed.

Each runs in the foreground, on loopback, in a folder of its own, with the load that ingestd had. How one is configured,
and in whose favour, is said in its module: `rsyslog`, `syslog_ng`.
"""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, Self

from benchmarks import procfs
from benchmarks.daemon import wait_for
from benchmarks.errors import UnavailableError
from benchmarks.load import Offer, Target, send
from benchmarks.outcome import Peer

#: No load here lasts longer.
_LONGEST_S: Final = 120.0

#: In every record of loadgen, and not in the header line that it opens a stream with, which a peer takes for a record.
_MARK: Final = b"seq"


class Setting(NamedTuple):
    """One way to run a program on loadgen's records of a format.

    `config` is the text of its configuration, in which `{folder}`, `{certs}`, `{host}` and `{port}` are filled in; it
    must have all records written to `{folder}/records`. `zipped`: with gzip.
    """

    name: str
    does: str
    format: str
    transport: str
    config: str
    zipped: bool = False


class Program(NamedTuple):
    """A daemon: its Debian packages, with the libraries that a Debian system does not have anyway.

    `libraries` are patterns of the folders of its libraries, `binary` is the program, both below the root it is
    unpacked to; `modules` are below the first of `libraries`. `options`, with `{folder}` and `{modules}` filled in,
    have it run in the foreground on `{folder}/config`. `version` finds its version in its answer to `version_option`.
    """

    name: str
    packages: tuple[str, ...]
    libraries: tuple[str, ...]
    modules: str
    binary: str
    options: tuple[str, ...]
    version_option: str
    version: Callable[[str], str]
    settings: tuple[Setting, ...]


class Unpacked:
    """A program unpacked under `folder`. UnavailableError: this is not Debian, or there is no network."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        root = _unpack(program, folder)
        libraries = [path for pattern in program.libraries for path in root.glob(pattern)]
        self.binary = root / program.binary
        self.modules = libraries[0] / program.modules
        self.environment = os.environ | {"LD_LIBRARY_PATH": ":".join(map(str, libraries))}

    def version(self) -> str:
        """As it says itself. UnavailableError: it does not run."""
        command: list[str | Path] = [self.binary, self.program.version_option]
        said = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if said.returncode != 0:
            raise UnavailableError(f"{self.program.name} does not run: {said.stderr.strip()[:300]}")
        return self.program.version(said.stdout)


def _unpack(program: Program, folder: Path) -> Path:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise UnavailableError(f"{program.name} comes from a Debian package, and this system has no apt-get")
    folder.mkdir()
    fetched = _download(program, folder)
    if fetched.returncode != 0 and os.geteuid() == 0:
        subprocess.run(["apt-get", "-qq", "update"], capture_output=True, check=False)
        fetched = _download(program, folder)
    if fetched.returncode != 0:
        raise UnavailableError(f"apt-get download failed: {' '.join(fetched.stderr.split())[:300]}")
    root = folder / "root"
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
    return root


def _download(program: Program, folder: Path) -> subprocess.CompletedProcess[str]:
    # As root, apt would drop to a user that may not write here; the packages' signatures are checked all the same.
    command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *program.packages]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


class Running:
    """One program in the foreground with one setting, as a context manager."""

    def __init__(self, unpacked: Unpacked, folder: Path, certs: Path, setting: Setting) -> None:
        self._unpacked = unpacked
        self._folder = folder
        self.records = folder / "records"
        self.port = _free_port()
        self._config = setting.config.format(
            folder=folder, certs=certs, host=socket.gethostname(), port=self.port
        )
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        self._folder.mkdir()
        (self._folder / "config").write_text(self._config)
        places = {"folder": self._folder, "modules": self._unpacked.modules}
        options = [option.format(**places) for option in self._unpacked.program.options]
        with (self._folder / "said").open("wb") as log:
            self._process = subprocess.Popen(
                [self._unpacked.binary, *options],
                env=self._unpacked.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wait_for(self._listens, f"{self._unpacked.program.name} to listen")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """SIGTERM, which has it write what it holds."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_LONGEST_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def quiet(self) -> procfs.Cpu:
        """Its CPU time, as soon as that stands still."""
        last: procfs.Cpu | None = None

        def still() -> procfs.Cpu | None:
            nonlocal last
            before, last = last, procfs.cpu(self.pid)
            return last if last == before else None

        return wait_for(still, f"{self._unpacked.program.name} to finish", pause_s=0.5)

    def _listens(self) -> bool | None:
        if self._process.poll() is not None:
            said = (self._folder / "said").read_text(errors="replace")[-500:]
            raise UnavailableError(f"{self._unpacked.program.name} did not start: {said}")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except ConnectionRefusedError:
            return None
        return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def measure(
    unpacked: Unpacked, folder: Path, certs: Path, setting: Setting, records: int, ours_us: float
) -> Peer:
    """Send so many records and compare. `ours_us`: ingestd's CPU per record, 0 where there is none to compare with."""
    place = folder / "peer"
    running = Running(unpacked, place, certs, setting)
    try:
        with running:
            before = running.quiet()
            others = procfs.Others()
            target = Target(setting.transport, running.port, certs / "ca.crt")
            sent = send(target, setting.format, Offer(_LONGEST_S, records=records), folder / "peer.json")
            used = running.quiet().since(before)
            others_cores = others.cores(used)
            peak_rss_bytes = procfs.peak_rss_bytes(running.pid)
        stored, stored_bytes = _count(running.records, setting.zipped)
        # By what it was given: losing records must not make it dearer.
        cpu_us = used.total_s / max(1, sent.sent) * 1e6
        return Peer(
            name=setting.name,
            version=unpacked.version(),
            does=setting.does,
            format=setting.format,
            sent=sent.sent,
            records=stored,
            records_per_s=sent.rate,
            cpu_us=cpu_us,
            peak_rss_bytes=peak_rss_bytes,
            compression_ratio=stored_bytes / max(1, running.records.stat().st_size),
            others_cores=others_cores,
            times=cpu_us / ours_us if ours_us else 0.0,
        )
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _count(path: Path, zipped: bool) -> tuple[int, int]:
    """Records in the output file, and its bytes before compression."""
    stored = nbytes = 0
    with gzip.open(path) if zipped else path.open("rb") as file:
        for line in file:
            stored += _MARK in line
            nbytes += len(line)
    return stored, nbytes
