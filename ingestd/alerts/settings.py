"""What the sidecar's alerts are told at its birth."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ingestd.config_alerts import Alert, Notifier


class EngineSettings(msgspec.Struct, frozen=True):
    """What the engine is told of the configuration."""

    rules: tuple[Alert, ...]
    builtin: frozenset[str] = frozenset()
    """The names of those that are built in."""
    group_interval_s: float = 10.0
    interval_missed: int = 3
    forget_after_s: float = 7 * 86_400.0


class Settings(msgspec.Struct, frozen=True):
    """All of it."""

    state_dir: Path
    engine: EngineSettings
    notifiers: tuple[Notifier, ...] = ()
    """None: the log."""
    certificates: tuple[str, ...] = ()
    """The files of those whose end is watched."""
    high_water_bytes: int = 0
    """What a worker's queue is full at."""
    url: str = ""
    """Where the daemon's page is, for notices."""
