"""The machine a measurement was made on: without it a figure says nothing."""

from __future__ import annotations

import os
import platform
import ssl
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec


class Machine(msgspec.Struct, frozen=True):
    """What stands at the head of a table. `load_before` is the one-minute load average before the first load."""

    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    system: str
    python: str
    packages: dict[str, str]
    filesystem: str
    date: str
    load_before: float


#: The packages whose speed is measured here beside our own code.
PACKAGES = ("ingestd", "uvloop", "msgspec", "numpy", "orjson", "zstandard")


def describe(folder: Path) -> Machine:
    """This machine, now. `folder` is where segments will be written."""
    packages = {name: version(name) for name in PACKAGES} | {"openssl": ssl.OPENSSL_VERSION.split()[1]}
    return Machine(
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        kernel=platform.release(),
        system=platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        python=platform.python_version(),
        packages=packages,
        filesystem=filesystem(folder),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        load_before=os.getloadavg()[0],
    )


def _cpu_model() -> str:
    """As /proc/cpuinfo names it, with the numbers that tell generations of one name apart."""
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    if "model name" not in fields:  # not an x86
        return platform.machine()
    return f"{fields['model name']} (family {fields['cpu family']}, model {fields['model']})"


def filesystem(folder: Path) -> str:
    """The type of the file system that `folder` is on, such as `ext4` or `tmpfs`."""
    path, found, length = str(folder.resolve()), "unknown", -1
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if len(mount) > length and (path + "/").startswith(mount.rstrip("/") + "/"):
            found, length = kind, len(mount)
    return found
