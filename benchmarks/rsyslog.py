"""rsyslog from Debian's package, beside ingestd on the same records: unpacked, never installed, run in the foreground.

What is fair is hard to say, so doubts go in its favour. Its output is spliced as ours is (the constant fields, then the
message from its second byte); its ruleset has no queue of its own; its buffers are large; it syncs nothing. Medians of
four rounds in turns, 600,000 records, TCP to plain text, a busy machine, in us per record: so 2.7; with the default
queue 2.9; with a FixedArray queue of one thread 4.1; rendered from the parsed tree, as its manual shows it, 4.6, and
that with the default queue 5.9. So a common configuration costs about twice what stands in our table.

It does check that each line is JSON (mmjsonparse) and drops what is not, and adds the same fields. It does not check
levels or timestamps, count by level and service, describe what it wrote, or acknowledge. Two settings: TCP to plain
text, and, nearer to what ingestd does, TLS to gzip level 1.
"""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import procfs
from benchmarks.daemon import wait_for
from benchmarks.errors import UnavailableError
from benchmarks.load import Offer, Target, send
from benchmarks.outcome import Peer

#: The daemon, its TLS driver, and the libraries of it that a Debian system does not have anyway.
PACKAGES: Final = ("rsyslog", "rsyslog-openssl", "libestr0", "libfastjson4", "liblognorm5")

#: No load here lasts longer.
_LONGEST_S: Final = 120.0


class Setting(NamedTuple):
    """One way to run it."""

    name: str
    does: str
    transport: str
    input: str
    output: str


_GLOBAL: Final = """\
global(workDirectory="{folder}" maxMessageSize="64k"
       defaultNetstreamDriverCAFile="{certs}/ca.crt"
       defaultNetstreamDriverCertFile="{certs}/server.crt" defaultNetstreamDriverKeyFile="{certs}/server.key")
module(load="mmjsonparse")
"""

_RULES: Final = r"""
template(name="record" type="list") {{
    constant(value="{{\"hostname\":\"{host}\",\"environment\":\"production\",\"app_version\":\"1.0.0\"")
    constant(value=",\"source_ip\":\"")
    property(name="fromhost-ip")
    constant(value="\",\"format\":\"json\",\"received_at\":\"")
    property(name="timegenerated" dateFormat="rfc3339" date.inUTC="on")
    constant(value="\",")
    property(name="rawmsg" position.from="2")
    constant(value="\n")
}}
ruleset(name="records" queue.type="Direct" parser=["rsyslog.rfc3164"]) {{
    action(type="mmjsonparse" cookie="" useRawMsg="on")
    if $parsesuccess == "OK" then {{
        action(type="omfile" file="{folder}/records" template="record" ioBufferSize="256k" flushOnTXEnd="off" {output})
    }}
}}
"""

_INPUT: Final = """\
input(type="{kind}" address="127.0.0.1" port="{{port}}" ruleset="records" supportOctetCountedFraming="off")
"""

SETTINGS: Final = (
    Setting(
        "rsyslog, TCP, plain text",
        "no TLS, no compression",
        "tcp",
        'module(load="imptcp" threads="2")\n' + _INPUT.format(kind="imptcp"),
        "",
    ),
    Setting(
        "rsyslog, TLS, gzip 1",
        "TLS (OpenSSL), gzip level 1",
        "tls",
        'module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")\n'
        + _INPUT.format(kind="imtcp"),
        'zipLevel="1"',
    ),
)


def unpack(folder: Path) -> Path:
    """Download the packages and unpack them under `folder`. UnavailableError: not Debian, or no network."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise UnavailableError("rsyslog comes from a Debian package, and this system has no apt-get")
    folder.mkdir()
    fetched = _download(folder)
    if fetched.returncode != 0 and os.geteuid() == 0:
        subprocess.run(["apt-get", "-qq", "update"], capture_output=True, check=False)
        fetched = _download(folder)
    if fetched.returncode != 0:
        raise UnavailableError(f"apt-get download failed: {' '.join(fetched.stderr.split())[:300]}")
    root = folder / "root"
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
    return root


def _download(folder: Path) -> subprocess.CompletedProcess[str]:
    # As root, apt would drop to a user that may not write here; the packages' signatures are checked all the same.
    command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *PACKAGES]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


class Rsyslog:
    """One rsyslogd in the foreground, as a context manager."""

    def __init__(self, root: Path, folder: Path, certs: Path, setting: Setting) -> None:
        libraries = next(root.glob("usr/lib/*/rsyslog")).parent
        self._daemon = root / "usr/sbin/rsyslogd"
        self._modules = libraries / "rsyslog"
        self._environment = os.environ | {"LD_LIBRARY_PATH": str(libraries)}
        self._folder = folder
        self.records = folder / "records"
        self.port = _free_port()
        values = {
            "folder": folder,
            "certs": certs,
            "host": socket.gethostname(),
            "port": self.port,
            "output": setting.output,
        }
        self._config = (_GLOBAL + setting.input + _RULES).format(**values)
        self._process: subprocess.Popen[bytes]

    def version(self) -> str:
        said = subprocess.run(
            [self._daemon, "-v"], env=self._environment, capture_output=True, text=True, check=True
        )
        return said.stdout.split()[1]

    def __enter__(self) -> Rsyslog:
        self._folder.mkdir()
        config = self._folder / "rsyslog.conf"
        config.write_text(self._config)
        command: list[str | Path] = [
            self._daemon,
            "-n",
            "-f",
            config,
            "-i",
            self._folder / "pid",
            "-M",
            self._modules,
        ]
        with (self._folder / "said").open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            wait_for(self._listens, "rsyslogd to listen")
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

        return wait_for(still, "rsyslogd to finish", pause_s=0.5)

    def _listens(self) -> bool | None:
        if self._process.poll() is not None:
            raise UnavailableError(f"rsyslogd did not start: {(self._folder / 'said').read_text()[-500:]}")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except ConnectionRefusedError:
            return None
        return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def measure(root: Path, folder: Path, certs: Path, setting: Setting, records: int, ours_us: float) -> Peer:
    """Send so many records and compare. `ours_us`: ingestd's CPU per record, 0 where there is none to compare with."""
    place = folder / "peer"
    rsyslog = Rsyslog(root, place, certs, setting)
    try:
        with rsyslog:
            before = rsyslog.quiet()
            others = procfs.Others()
            target = Target(setting.transport, rsyslog.port, certs / "ca.crt")
            sent = send(target, "json", Offer(_LONGEST_S, records=records), folder / "peer.json")
            used = rsyslog.quiet().since(before)
            others_cores = others.cores(used)
            peak_rss_bytes = procfs.peak_rss_bytes(rsyslog.pid)
        stored, stored_bytes = _count(rsyslog.records, zipped="zip" in setting.output)
        cpu_us = (
            used.total_s / max(1, sent.sent) * 1e6
        )  # by what it was given: losing records must not make it dearer
        return Peer(
            name=setting.name,
            version=rsyslog.version(),
            does=setting.does,
            sent=sent.sent,
            records=stored,
            records_per_s=sent.rate,
            cpu_us=cpu_us,
            peak_rss_bytes=peak_rss_bytes,
            compression_ratio=stored_bytes / max(1, rsyslog.records.stat().st_size),
            others_cores=others_cores,
            times=cpu_us / ours_us if ours_us else 0.0,
        )
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _count(path: Path, zipped: bool) -> tuple[int, int]:
    """Lines of the output file, and their bytes."""
    stored = nbytes = 0
    with gzip.open(path) if zipped else path.open("rb") as file:
        while data := file.read(1 << 20):
            stored += data.count(b"\n")
            nbytes += len(data)
    return stored, nbytes
