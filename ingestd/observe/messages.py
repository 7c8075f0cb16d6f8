"""What a worker tells the sidecar, some five times a second and only if there is something to tell.

Everything here was gathered over many blocks and is bounded, whatever the senders do: so many matches, services, nodes
and examples per message, each text cut. Counters are not here: they are in shared memory (ingestd.stats).
"""

from __future__ import annotations

from typing import Final

import msgspec

#: A longer text is cut: what is told is for people to look at.
SAMPLE_BYTES: Final = 2048

#: Stands for all services beyond those that a worker tells apart.
OTHERS: Final = ""


class Match(msgspec.Struct, array_like=True):
    """Records of one service that meet the condition of one rule, since they were last told."""

    rule: str
    """The name of the rule."""
    service: str
    """Or `OTHERS`."""
    count: int
    first_received_ns: int
    """When the first of them was received: UNIX ns."""
    sample: str
    """The stored line of one of them, or of one a little before, cut; empty where a worker has too many of them."""
    estimated: bool = False
    """Some blocks had so many that the rest of the count was inferred."""


class Heartbeat(msgspec.Struct, array_like=True):
    """The latest heartbeat of one service on one node."""

    node: str
    service: str
    timestamp: str
    """By the sender's clock: RFC 3339, microseconds, Z."""
    received_ns: int
    """UNIX ns."""
    interval_s: float = 0.0
    """How often it is going to be sent; 0 where the sender does not say."""
    version: str = ""
    source: str = ""
    """The sender's IP address."""


class Rejected(msgspec.Struct, array_like=True):
    """One refused record, as an example of its reason."""

    reason: str
    detail: str
    data: str
    """Its bytes, cut; what is not UTF-8 as \\xNN."""
    format: str
    transport: str
    source: str
    time: str


class Observation(msgspec.Struct, array_like=True):
    """One message: a worker's number, and what it noticed since the last."""

    worker: int
    matches: list[Match] = []
    heartbeats: list[Heartbeat] = []
    rejects: list[Rejected] = []
    services: dict[str, int] = {}
    """Records received by service; absence rules need the names, the dashboard the numbers. 0: there were some."""
    estimated: bool = False
    """`services` are counted in a part of the blocks and scaled up."""
    sources: dict[str, int] | None = None
    """Open connections by source, the most of them; None where nothing changed lately."""
