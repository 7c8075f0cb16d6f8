"""The interpreter, the libraries and the compiled kernels: there, and new enough."""

from __future__ import annotations

import platform
import re
import ssl
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import Final

from formats import kernel
from ingestd.doctor.finding import Finding, fail, ok, warn

#: SO_REUSEPORT, memfd sealing, O_TMPFILE, pidfd: all of what is used; older ones are not tried.
_LINUX: Final = (5, 4)

_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*>=\s*([0-9.]+)")


def examine() -> Iterator[Finding]:
    """All of this module."""
    yield system(platform.release(), platform.python_version(), ssl.OPENSSL_VERSION)
    yield kernels(compiled=kernel.COMPILED)
    try:
        wanted = metadata.requires("ingestd") or []
    except metadata.PackageNotFoundError:
        yield warn("libraries", "ingestd is not installed as a package", "pip install .")
        return
    yield from libraries(wanted, metadata.version)


def system(linux: str, python: str, openssl: str) -> Finding:
    """Kernel, interpreter and TLS."""
    says = f"Linux {linux}, Python {python}, {openssl}"
    if _numbers(linux)[:2] < _LINUX:
        return warn(
            "system", f"{says}: this kernel is older than any that ingestd was tried on", "use a newer one"
        )
    return ok("system", says)


def kernels(*, compiled: bool) -> Finding:
    """Whether the formats have their compiled ways."""
    if compiled:
        return ok("kernels", "compiled")
    says = (
        "not compiled, so records take about twice the CPU: there was no C compiler when this was installed"
    )
    return warn("kernels", says, "apt-get install gcc libc6-dev python3-dev, then install ingestd again")


def libraries(wanted: Iterable[str], version: Callable[[str], str]) -> Iterator[Finding]:
    """`wanted`: requirements as a package states them; those of extras are left out."""
    good = []
    for requirement in wanted:
        match = _REQUIREMENT.match(requirement)
        if match is None or "extra ==" in requirement:
            continue
        name, least = match.groups()
        do = f"{sys.executable} -m pip install '{name}>={least}'"
        try:
            found = version(name)
        except metadata.PackageNotFoundError:
            yield fail("libraries", f"{name} is not installed", do)
            continue
        if _numbers(found) < _numbers(least):
            yield fail("libraries", f"{name} {found} is older than {least}", do)
        else:
            good.append(f"{name} {found}")
    if good:
        yield ok("libraries", ", ".join(good))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0]))
