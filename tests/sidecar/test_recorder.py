"""What the recorder makes of readings: the points of each resolution, and how long the disk lasts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ingestd.rings import RESOLUTIONS, Point, Rings
from ingestd.sidecar import disk
from ingestd.sidecar.recorder import Recorder, measure
from tests.sidecar.reading import sums

SECONDS, TENS, MINUTES = RESOLUTIONS
START_S = 1_800_000_000

RECEIVED = ("ingestd_records_received_total", "json", "tcp")
WRITTEN = ("ingestd_records_written_total", "json", "tcp")
QUEUE = ("ingestd_queue_bytes",)


def test_a_point_says_what_moved_between_two_readings() -> None:
    now = {
        RECEIVED: 500,
        ("ingestd_records_received_total", "raw", "udp"): 100,
        WRITTEN: 400,
        ("ingestd_records_rejected_total", "json", "tcp", "oversize"): 20,
        ("ingestd_records_dropped_total", "raw", "udp", "backpressure"): 6,
        ("ingestd_udp_kernel_drops_total",): 8,
        ("ingestd_received_bytes_total", "tcp"): 50_000,
        ("ingestd_encoded_bytes_total",): 60_000,
        ("ingestd_written_bytes_total",): 6_000,
        ("ingestd_backpressure_pauses_total",): 4,
        ("ingestd_connections_open",): 3,
    }
    point = measure(sums(12, now, latency_s=0.04), sums(10), queue_bytes=77, free_bytes=1000)
    assert point._replace(latency_p50_seconds=0, latency_p99_seconds=0) == Point(
        received_per_second=300,
        written_per_second=200,
        rejected_per_second=10,
        dropped_per_second=3,
        udp_kernel_drops_per_second=4,
        in_bytes_per_second=25_000,
        out_bytes_per_second=3_000,
        latency_p50_seconds=0,
        latency_p99_seconds=0,
        queue_bytes=77,
        pauses_per_second=2,
        compression_ratio=10,
        free_bytes=1000,
        connections=3,
    )
    assert 0.025 <= point.latency_p50_seconds <= point.latency_p99_seconds <= 0.05


def test_what_is_not_known_is_no_number() -> None:
    point = measure(sums(1), sums(0), 0, None)
    unknown = {name for name, value in zip(Point._fields, point, strict=True) if math.isnan(value)}
    assert unknown == {"latency_p50_seconds", "latency_p99_seconds", "compression_ratio", "free_bytes"}


def test_each_ring_gets_a_point_when_its_span_is_over() -> None:
    rings = Rings()
    recorder = Recorder(rings)
    for second in range(121):
        recorder.add(sums(second, {RECEIVED: 100 * second, QUEUE: second % 60}), START_S + second, 1000)
    for resolution in RESOLUTIONS:
        points = rings.last(resolution, START_S + 120)
        steps = range(resolution.step_s, 121, resolution.step_s)
        assert [end_s for end_s, _ in points] == [START_S + step for step in steps]
        assert {point.received_per_second for _, point in points} == {100}
    assert [point.queue_bytes for _, point in rings.last(MINUTES, START_S + 120)] == [59, 59]


def test_seconds_that_a_busy_machine_missed_get_the_mean_of_all() -> None:
    rings = Rings()
    recorder = Recorder(rings)
    for second in (0, 1, 4, 100):
        recorder.add(sums(second, {RECEIVED: 100 * second}), START_S + second, None)
    points = rings.last(SECONDS, START_S + 100)
    assert [end_s - START_S for end_s, _ in points] == [1, 2, 3, 4, 100]
    assert {point.received_per_second for _, point in points} == {100}


def test_a_tick_that_is_late_and_the_next_right_behind_it() -> None:
    rings = Rings()
    recorder = Recorder(rings)
    for elapsed, clock in ((0.0, 0), (1.0, 1), (2.99, 2), (3.01, 3), (4.0, 4)):
        recorder.add(sums(elapsed, {RECEIVED: int(100 * elapsed)}), START_S + clock, None)
    points = rings.last(SECONDS, START_S + 4)
    assert [end_s - START_S for end_s, _ in points] == [1, 2, 3, 4]
    assert [point.received_per_second for _, point in points] == pytest.approx([100] * 4, rel=0.02)


def test_a_clock_that_is_set_back_or_stands_still_does_no_harm() -> None:
    rings = Rings()
    recorder = Recorder(rings)
    for elapsed, clock in ((0, 50), (1, 51), (2, 51), (3, 20), (4, 21)):
        recorder.add(sums(elapsed, {RECEIVED: 100 * elapsed}), START_S + clock, None)
    assert [end_s - START_S for end_s, _ in rings.last(SECONDS, START_S + 60)] == [20, 21, 51]


def free_point(free_bytes: float) -> Point:
    return Point(*[0.0] * len(Point._fields))._replace(free_bytes=free_bytes)


def test_how_long_the_disk_lasts(tmp_path: Path) -> None:
    rings = Rings()
    free, total = disk.space(str(tmp_path))
    assert free is not None
    assert total is not None
    assert 0 < free <= total
    quiet = disk.look(str(tmp_path), rings, START_S)
    assert (quiet.full_in_seconds, quiet.observed_seconds) == (None, 0)
    for ago_s in range(0, 310, 10):  # in each second, as much as a thousandth of what is free now
        rings.put(TENS, START_S - ago_s, free_point(free * (1 + ago_s / 1000)))
    filling = disk.look(str(tmp_path), rings, START_S)
    assert filling.observed_seconds == 300
    assert filling.full_in_seconds == pytest.approx(1000, rel=0.02)
    for ago_s in range(0, 160, 10):  # then somebody put a large file there, once
        rings.put(TENS, START_S - ago_s, free_point(free * (0.5 + ago_s / 1000)))
    stepped = disk.look(str(tmp_path), rings, START_S)
    assert stepped.full_in_seconds == pytest.approx(1000, rel=0.02)
    for ago_s in range(0, 310, 10):
        rings.put(TENS, START_S - ago_s, free_point(free * (1 - ago_s / 1000)))
    assert disk.look(str(tmp_path), rings, START_S).full_in_seconds is None, "it empties"


def test_a_forecast_begins_with_the_second_point(tmp_path: Path) -> None:
    rings = Rings()
    free, _ = disk.space(str(tmp_path))
    assert free is not None
    rings.put(TENS, START_S - 10, free_point(free * 1.01))
    assert disk.look(str(tmp_path), rings, START_S).full_in_seconds is None
    rings.put(TENS, START_S, free_point(free))
    first = disk.look(str(tmp_path), rings, START_S + 5)
    assert first.full_in_seconds == pytest.approx(1000, rel=0.02), "a hundredth in ten seconds"
    assert first.observed_seconds == 15


def test_a_disk_that_is_not_there() -> None:
    assert disk.look("/does/not/exist", Rings(), START_S) == disk.Disk(None, None, None, 0.0)
