"""A booted box with the service installed in it, as `make install-service` does it."""

from __future__ import annotations

import fcntl
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.systemd.box import Box, NoBoxError
from tests.systemd.service import Service

ROOT: Final = Path(__file__).parents[2]

#: Where the box shows the sources, the interpreter of the tests and the packages that are installed for it.
SOURCES: Final = "/opt/sources"
PYTHON: Final = "/usr" if sys.base_prefix == "/usr" else "/opt/python"
PACKAGES: Final = "/opt/packages"

#: A copy of /etc/ingestd, for tests that change it.
CONFIG_AS_INSTALLED: Final = "/root/etc"

#: What an installation makes or changes, and where the box keeps a copy for a moment.
INSTALLED: Final = ("usr/local", "etc/ingestd", "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow")
ARCHIVE: Final = "/root/service.tar"

#: pip has no index in there: what ingestd depends on is what the tests run with. (The last but one is a switch that is
#: turned off, as pip reads it: no build isolation.) There is no compiler either: each installation would take a minute.
PIP: Final = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PYTHONPATH": PACKAGES, "CC": "none"}


@pytest.fixture(scope="package")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box with nothing installed."""
    packages = Path(sysconfig.get_path("purelib"))
    shown = {ROOT: SOURCES, packages: PACKAGES}
    if sys.base_prefix != PYTHON:
        shown[Path(sys.base_prefix)] = PYTHON
    box = Box(tmp_path_factory.mktemp("box"), shown)
    try:
        box.boot()
    except NoBoxError as error:
        pytest.skip(str(error))
    with box:
        # An interpreter that was built elsewhere than it stands here finds its library by this.
        box.put("/etc/ld.so.conf.d/00-python.conf", f"{PYTHON}/lib\n")
        box.run("ldconfig")
        yield box


@pytest.fixture(scope="package")
def installed(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Box:
    """The same with ingestd installed, its configuration as it comes, and not started."""
    run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent  # of all workers: the first of them installs, the others take what that made
    archive = run / "service.tar"
    with (run / "service.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if archive.exists():
            box.run("tar", "-x", "-C", "/", stdin=archive.read_bytes())
            box.run("systemctl", "daemon-reload")
        else:
            install(box)
            box.run("tar", "-c", "-f", ARCHIVE, "-C", "/", *INSTALLED)
            archive.write_bytes(box.path(ARCHIVE).read_bytes())
            box.run("rm", ARCHIVE)
    box.run("cp", "-a", "/etc/ingestd", CONFIG_AS_INSTALLED)
    return box


def install(box: Box, sources: str = SOURCES) -> str:
    """Run `make install-service` in the box; what it said."""
    said = box.run("make", "-C", sources, "install-service", f"PYTHON={PYTHON}/bin/python3", **PIP)
    # The packages of the tests stand in for those that pip would have put there.
    library = next(box.path("/usr/local/lib/ingestd/lib").glob("python3.*")).name
    box.put(f"/usr/local/lib/ingestd/lib/{library}/site-packages/tests.pth", PACKAGES + "\n")
    return said


@pytest.fixture
def service(installed: Box) -> Iterator[Service]:
    """The service, installed and not running; as it was installed again afterwards."""
    service = Service(installed)
    yield service
    service.clear()
    installed.run("cp", "-a", f"{CONFIG_AS_INSTALLED}/.", "/etc/ingestd/")
