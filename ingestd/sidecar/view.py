"""What the sidecar is told at its birth and cannot read from the board."""

import msgspec

from ingestd.alerts.settings import Settings as AlertSettings
from ingestd.registry import Settings


class Setting(msgspec.Struct, frozen=True):
    """One key of the configuration in force, as it would be written in the file."""

    key: str
    value: str
    """A secret is shown as `"…"`."""
    default: str
    what: str


class View(msgspec.Struct, frozen=True):
    """The supervisor fills it in before the fork; nothing in it changes while the daemon runs."""

    version: str
    hostname: str
    """The name senders know this machine by; also accepted in the Host header."""
    listen: dict[str, str]
    """Where the daemon listens, by door: `{"tcp": "127.0.0.1:3001", "udp": …, "http": …}`."""
    data_dir: str
    supervisor_pid: int
    """The parent of the sidecar and of every worker: when it is gone, the sidecar leaves."""
    started_ns: int
    """When the daemon started, UNIX ns."""
    heartbeat_timeout_s: float
    """A process silent for longer counts as hung."""
    hosts: tuple[str, ...] = ()
    """Further names to accept in the Host header, such as the one a reverse proxy passes on."""
    tokens_file: str = ""
    """The tokens of which one must be shown, but for the health checks; empty asks for none."""
    cert: str = ""
    """The certificate to speak TLS with, and its key; empty speaks without."""
    key: str = ""
    registry: Settings | None = None
    """The schema registry to serve beside it; None serves none."""
    queue_limit_bytes: int = 0
    """A worker whose queue holds more pauses reading; 0 is not known."""
    settings: tuple[Setting, ...] = ()
    """The whole configuration, to be shown."""
    alerts: AlertSettings | None = None
    """The rules, and whom they tell; None has none."""
