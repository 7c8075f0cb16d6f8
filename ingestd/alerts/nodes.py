"""The table of nodes: who sends heartbeats, how often, and who has stopped.

    ok      heard of within one and a half intervals
    late    silent for longer
    failed  silent for so many intervals (heartbeat.interval_missed)

A sender may say its interval; otherwise it is learned from what comes, and one who was heard once is given a minute.
Time in which nobody listened (the daemon was down) counts as no silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec

from ingestd.alerts.view import NodeCounts, NodeState, NodeView, rfc3339
from ingestd.observe.messages import Heartbeat

#: Nodes, each with a service; beyond them new ones are not taken on.
MAX_NODES: Final = 10_000

#: Of a sender that says none and was heard once.
ASSUMED_INTERVAL_S: Final = 60.0

#: Workers tell in steps of 0.2 s: less cannot be told apart from jitter.
LEAST_INTERVAL_S: Final = 0.4

_LATE_INTERVALS: Final = 1.5

#: How much a new gap counts in what is learned.
_NEWEST: Final = 0.3


class Node(msgspec.Struct):
    """One service on one node. Times are UNIX seconds."""

    node: str
    service: str
    seen_s: float
    """When its last heartbeat came."""
    quiet_s: float
    """Since when it is silent, of the time in which somebody listened."""
    told_s: float = 0.0
    """The interval that it says; 0 where it says none."""
    learned_s: float = 0.0
    skew_s: float = 0.0
    version: str = ""
    source: str = ""
    state: NodeState = "ok"

    @property
    def interval_s(self) -> float:
        """What it is held to."""
        return max(self.told_s or self.learned_s or ASSUMED_INTERVAL_S, LEAST_INTERVAL_S)


class Nodes:
    """All of them. `dropped` counts heartbeats of nodes beyond the bound."""

    def __init__(self, interval_missed: int, forget_after_s: float, limit: int = MAX_NODES) -> None:
        self._missed = interval_missed
        self._forget_after_s = forget_after_s
        self._limit = limit
        self._nodes: dict[tuple[str, str], Node] = {}
        self.dropped = 0

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def hear(self, beat: Heartbeat, now_s: float) -> Node | None:
        """Its node; None where there is no room for it."""
        node = self._nodes.get((beat.node, beat.service))
        seen_s = min(beat.received_ns / 1e9, now_s)
        if node is None:
            if len(self._nodes) >= self._limit:
                self.dropped += 1
                return None
            node = Node(beat.node, beat.service, seen_s, seen_s)
            self._nodes[beat.node, beat.service] = node
        elif seen_s <= node.seen_s:
            return node  # from another worker, late
        else:
            self._learn(node, seen_s)
        node.seen_s = node.quiet_s = seen_s
        node.told_s = max(0.0, beat.interval_s)
        node.version, node.source = beat.version, beat.source
        node.skew_s = _unix_s(beat.timestamp, seen_s) - seen_s
        node.state = "ok"
        return node

    def _learn(self, node: Node, seen_s: float) -> None:
        """A gap in which it had failed is an outage and no interval."""
        gap_s = seen_s - node.quiet_s
        if node.state == "failed":
            return
        node.learned_s = (1 - _NEWEST) * node.learned_s + _NEWEST * gap_s if node.learned_s else gap_s

    def tick(self, now_s: float) -> None:
        """Judge all of them, and forget those unseen for long."""
        forgotten = []
        for node in self._nodes.values():
            silent_s = now_s - node.quiet_s
            interval_s = node.interval_s
            if silent_s >= self._missed * interval_s:
                node.state = "failed"
                if silent_s > self._forget_after_s:
                    forgotten.append((node.node, node.service))
            else:
                node.state = "late" if silent_s > _LATE_INTERVALS * interval_s else "ok"
        for key in forgotten:
            del self._nodes[key]

    def adopt(self, nodes: Iterable[Node]) -> None:
        """Go on with those of an earlier process."""
        self._nodes.update(((node.node, node.service), node) for node in nodes)

    def skip(self, by_s: float) -> None:
        """So much time was no silence: nobody listened, or the clock was moved."""
        for node in self._nodes.values():
            node.quiet_s += by_s

    def counts(self) -> NodeCounts:
        states = [node.state for node in self._nodes.values()]
        return NodeCounts(states.count("ok"), states.count("late"), states.count("failed"))


def view(node: Node, now_s: float) -> NodeView:
    """How a node is shown."""
    known = bool(node.told_s or node.learned_s)
    return NodeView(
        node=node.node,
        service=node.service,
        state=node.state,
        last_seen=rfc3339(node.seen_s),
        silent_seconds=round(max(0.0, now_s - node.seen_s), 3),
        interval_seconds=round(node.interval_s, 3) if known else None,
        interval_told=bool(node.told_s),
        clock_skew_seconds=round(node.skew_s, 3),
        version=node.version,
        source=node.source,
    )


def _unix_s(timestamp: str, otherwise_s: float) -> float:
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return otherwise_s
