"""Many lanes as one run: shared memory, stopping, and what is said when nothing works."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from tests.loadgen.sink import Sink
from tools.loadgen import fleet, payloads
from tools.loadgen.fleet import Control
from tools.loadgen.plan import Plan
from tools.loadgen.transports import SetupError, Target, client_tls


def test_control_sums_lanes_and_only_grows_more_urgent() -> None:
    control = Control(3)
    control.progress(0, 10, 1_000)
    control.progress(2, 5, 500)
    control.progress(0, 20, 2_000)
    assert control.totals() == (25, 2_500)
    assert not control.stopped()
    control.stop(2)
    control.stop(1)
    assert (control.stopped(), control.urgency) == (True, 2)


def test_a_signal_to_all_processes_is_heard_once() -> None:
    control = Control(1)
    with fleet.signals(control):
        control.stop()  # by a process that had the same signal before
        signal.raise_signal(signal.SIGTERM)
        assert control.urgency == 1
        signal.raise_signal(signal.SIGTERM)
        assert control.urgency == 2


@pytest.mark.parametrize("processes", [1, 3])
def test_lanes_share_the_work_and_the_watch_sees_all(pem: Path, processes: int) -> None:
    seen: list[tuple[int, int]] = []
    before = signal.getsignal(signal.SIGINT)
    with Sink(pem) as sink:
        target = Target("127.0.0.1", sink.port, udp=False, tls=client_tls(str(pem), insecure=False))
        plan = Plan(target, "raw", "r1", 1, connections=5, processes=processes, count=10_001, batch=100)
        report = fleet.run(plan, lambda sent, size, _seconds: seen.append((sent, size)))
        connections = len(sink.received)
    assert connections == 5
    assert report.sent == 10_001
    assert len(report.ranges.confirmed) == 5
    assert seen[-1] == (report.sent, report.bytes)
    assert signal.getsignal(signal.SIGINT) is before


def test_nothing_sent_is_an_error_that_names_the_place() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    target = Target("127.0.0.1", port, udp=False, tls=None)
    with pytest.raises(SetupError, match=f"127.0.0.1:{port}.*Connection refused"):
        fleet.run(Plan(target, "json", "r1", 1, connections=2, count=2_000), lambda *_: None)


def test_a_record_larger_than_a_datagram_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payloads, "DATAGRAM_LIMIT_BYTES", 150)
    monkeypatch.setattr(fleet, "DATAGRAM_LIMIT_BYTES", 150)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        target = Target("127.0.0.1", receiver.getsockname()[1], udp=True, tls=None)
        report = fleet.run(Plan(target, "json", "ab12cd34", 1, count=10), lambda *_: None)
        datagrams = [receiver.recv(2_000) for _ in range(10)]
    assert all(datagram.count(b"\n") == 1 for datagram in datagrams)
    assert list(report.notes.values()) == [1]
    assert "larger" in next(iter(report.notes))
