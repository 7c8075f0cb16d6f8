"""All checks, in the order in which an operator asks: is it configured, may it start, will it last."""

from __future__ import annotations

import datetime
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingestd.config import Config, load
from ingestd.config_files import check_files
from ingestd.config_patterns import check_patterns
from ingestd.doctor import certificates, clock, disk, kernel, permissions, ports, versions
from ingestd.doctor.finding import Finding, Machine, fail, find_running, ok
from ingestd.errors import ConfigError
from ingestd.generation import workers_of


def examine(path: Path | None, overrides: Sequence[str], machine: Machine | None = None) -> Iterator[Finding]:
    """Look at everything. Where the configuration cannot be read, at what does not need it."""
    machine = machine or Machine()
    yield from versions.examine()
    yield clock.examine(clock.read())
    source = str(path or "built-in defaults")
    try:
        config = load(path, overrides)
    except ConfigError as error:
        yield from _told(error)
        return
    wrong = []
    try:
        check_files(config, source)
        check_patterns(config, source)
    except ConfigError as error:
        wrong = list(_told(error))
    yield from wrong or [ok("configuration", f"{source} has no mistake")]
    yield from _examine(config, path, machine, certificates_are_read=not wrong)


def _told(error: ConfigError) -> Iterator[Finding]:
    for problem in error.problems:
        yield fail("configuration", f"{error.source}: {problem}", "put it right, then: ingestd check")


def _examine(
    config: Config, path: Path | None, machine: Machine, *, certificates_are_read: bool
) -> Iterator[Finding]:
    running = find_running(Path(config.server.state_dir), machine)
    workers = workers_of(config)
    yield from ports.examine(config, machine, running)
    yield from permissions.examine(config, path, permissions.account_of(path, running))
    if certificates_are_read:
        yield from certificates.examine(config, machine, datetime.datetime.now(datetime.UTC))
    yield from disk.examine(config, machine)
    yield from kernel.examine(
        config, machine, running, workers, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    )
