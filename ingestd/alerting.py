"""From the configuration to what the sidecar's alerts are told."""

from __future__ import annotations

import socket
from pathlib import Path

from ingestd.alerts.rules import in_force
from ingestd.alerts.settings import EngineSettings, Settings
from ingestd.config import Config


def alert_settings(config: Config, url: str) -> Settings:
    """The rules in force, the notifiers, and what they need; `url` is where the daemon's page is."""
    rules = in_force(config.alert, builtin=config.alerts.builtin, node_failed=config.heartbeat.alert)
    own = {alert.name for alert in config.alert}
    tcp = config.listen.tcp
    return Settings(
        state_dir=Path(config.server.state_dir),
        engine=EngineSettings(
            rules=rules,
            builtin=frozenset(rule.name for rule in rules if rule.name not in own),
            group_interval_s=config.alerts.group_interval,
            interval_missed=config.heartbeat.interval_missed,
            forget_after_s=config.heartbeat.forget_after,
        ),
        notifiers=config.notifier,
        certificates=(*(() if tcp.plaintext else (tcp.cert,)), *filter(None, (config.http.cert,))),
        high_water_bytes=config.buffer.high_water,
        url=url,
    )


def page_url(config: Config, listening: str) -> str:
    """Where people find the daemon's page; `listening` is its HTTP address, which may stand for every one."""
    host, _, port = listening.rpartition(":")
    if host in ("0.0.0.0", "[::]"):
        host = socket.gethostname()
    return f"{'https' if config.http.cert else 'http'}://{host}:{port}/"
