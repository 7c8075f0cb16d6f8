"""What the dashboard asks for: events that come each second and cost the same for one listener as for many."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingestd.rings import RESOLUTIONS, Point, Rings
from ingestd.sidecar import Setting
from ingestd.sidecar.live import Snapshot
from ingestd.sidecar.stream import MOST_LISTENERS
from tests.daemon import wait_for
from tests.sidecar.served import Served, Workers, make_view, move_block
from tests.sidecar.test_report import inside


def ask(served: Served) -> socket.socket:
    """A connection on which a stream of events was asked for."""
    sock = socket.create_connection(("127.0.0.1", served.port), timeout=60)
    sock.sendall(b"GET /api/events HTTP/1.0\r\nHost: localhost\r\n\r\n")
    return sock


@contextmanager
def listening(served: Served) -> Iterator[Iterator[dict[str, Any]]]:
    """The data of one event after the other."""
    with ask(served) as sock, sock.makefile("rb") as answer:
        assert answer.readline().split()[1] == b"200"
        yield (json.loads(line.removeprefix(b"data: ")) for line in answer if line.startswith(b"data: "))


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def test_a_snapshot_comes_at_once_and_then_each_second(workers: Workers, served: Served) -> None:
    with listening(served) as snapshots:
        assert next(snapshots)["assessment"]["state"] == "well"
        move_block(workers.board, 0, 100)
        # A second that came late, on a machine that is busy, has no point.
        pointed = (snapshot for snapshot in snapshots if snapshot["point"])
        later = next(snapshot for snapshot in pointed if snapshot["recent"]["received"] == 100)
        assert later["stats"]["rejects"] == {"invalid_json": 1}
        assert later["assessment"]["state"] == "critical", "one was dropped"
        following = next(pointed)
        assert following["point"]["time"] > later["point"]["time"]
        assert [worker["records"] for worker in later["stats"]["workers"]] == [{}, {}]
        stats = served.get("/api/stats").json()
        assert following["stats"].keys() == stats.keys()
        assert following["stats"]["totals"] == stats["totals"]


def test_listeners_share_what_is_rendered(served: Served) -> None:
    with ExitStack() as stack:
        streams = [stack.enter_context(listening(served)) for _ in range(10)]
        seen = [{snapshot["stats"]["time"] for snapshot in islice(one, 4)} for one in streams]
    for one in seen[1:]:
        assert len(one & seen[0]) >= 2, "the same moments, rendered once"


def test_who_reads_nothing_takes_no_memory_and_nobody_s_time(served: Served) -> None:
    with listening(served) as quick, ExitStack() as stack:
        next(quick)
        before = resident_bytes(served.pid)
        for _ in range(20):
            stack.enter_context(ask(served)).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(8):
            next(quick)
        assert resident_bytes(served.pid) - before < 20 * 300_000
        assert served.get("/healthz").status == 200


def test_there_is_an_end_to_how_many_and_who_leaves_makes_room(served: Served) -> None:
    def status() -> bytes:
        with ask(served) as sock, sock.makefile("rb") as answer:
            return answer.readline().split()[1]

    with ExitStack() as stack:
        for _ in range(MOST_LISTENERS):
            stack.enter_context(ask(served))
        wait_for(lambda: status() == b"503", "an answer of too many")
        assert served.get("/api/stats").status == 200
    wait_for(lambda: status() == b"200", "room for another")


def test_the_history_of_another_sidecar_goes_on(workers: Workers, listener: socket.socket) -> None:
    now_s = int(time.time())
    for ago_s in (30, 20):
        point = Point(*[float(ago_s)] * len(Point._fields))
        workers.board.rings.put(RESOLUTIONS[0], now_s - ago_s, point)
    with Served(workers.board, make_view(), listener) as served:
        answer = served.get("/api/history?resolution=1s").json()
        assert answer["time"][:2] == [now_s - 30, now_s - 20]
        assert answer["received_per_second"][:2] == [30, 20]
        assert answer["resolution"] == "1s"
        assert (answer["step_seconds"], answer["span_seconds"]) == (1, 900)

        def grown() -> bool:
            told = served.get("/api/history?resolution=1s").json()
            return len(told["time"]) >= 4 and told["latency_p99_seconds"][-1] is None

        wait_for(grown, "points of its own")
        for name in Point._fields:
            assert len(answer[name]) == len(answer["time"])


def test_every_field_of_a_point_is_documented() -> None:
    text = (Path(__file__).parent.parent.parent / "docs/metrics.md").read_text(encoding="utf-8")
    assert [name for name in Point._fields if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    "name", [name for name in inside(Snapshot) if not name.startswith(("stats.", "alerts."))]
)
def test_every_field_of_a_snapshot_is_documented(name: str) -> None:
    text = (Path(__file__).parent.parent.parent / "docs/metrics.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in text.partition("## Fields of /api/snapshot")[2]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/api/history", "resolution is missing; it must be one of 1s, 10s, 1m"),
        ("/api/history?resolution=5s", "resolution is '5s'; it must be one of 1s, 10s, 1m"),
        ("/api/history?resolution=" + "9" * 5000, "resolution is '" + "9" * 80),
        ("/api/history?resolution=1s&resolution=1s", "resolution is given twice"),
        ("/api/history?resolution=1s&from=0", "'from' is no parameter here; there is resolution"),
        ("/api/rejects", "reason is missing; it must be one of invalid_json, "),
        ("/api/rejects?reason=%00%1b", r"reason is '\x00\x1b'; it must be one of "),
    ],
)
def test_a_bad_question_is_told_what_is_allowed(served: Served, path: str, reason: str) -> None:
    answer = served.get(path)
    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json()["error"].startswith(reason)
    assert len(answer.body) < 500


def test_a_stream_has_no_head(served: Served) -> None:
    answer = served.get("/api/events", "HEAD")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")


def test_the_settings_are_shown_as_they_were_given(workers: Workers, listener: socket.socket) -> None:
    settings = (Setting("segment.level", "3", "1", "zstd level"), Setting("registry.token", '"…"', '""', ""))
    with Served(workers.board, make_view(settings=settings), listener) as served:
        told = served.get("/api/config").json()["settings"]
        assert told == [msgspec.to_builtins(one) for one in settings]


def test_rings_are_small() -> None:
    assert Rings().memory.nbytes < 500_000
