"""The record counters as JSON: nothing lost, nothing twice."""

import random

from ingestd.sidecar.law import moved, places_of, records_of, totals_of
from ingestd.sidecar.moment import read
from ingestd.stats import METRICS, TRANSPORTS, Board, index


def test_every_record_series_is_on_one_side_of_the_law() -> None:
    board = Board(1)
    board.slot(0).assign(0)
    rng = random.Random(5)
    sides = {"received": 0, "written": 0, "rejected": 0, "dropped": 0, "in_flight": 0}
    for metric in METRICS:
        if (
            metric.name.startswith("ingestd_records_") and "format" in metric.labels
        ):  # levels cut it another way
            side = metric.name.removeprefix("ingestd_records_").removesuffix("_total")
            for values in metric.series:
                amount = rng.randrange(1, 1000)
                board.slot(0)[index(metric.name, *values)] = amount
                sides[side] += amount
    records = records_of(read(board).workers[0])
    totals = totals_of(records)
    assert {name: getattr(totals, name) for name in sides} == sides
    assert all(tuple(transports) == TRANSPORTS for transports in records.values())


def test_only_what_moved_is_named_and_the_same_name_is_summed() -> None:
    assert moved([0, 5, 0, 7], (("a", 0), ("b", 1), ("c", 2), ("b", 3))) == {"b": 12}


def test_the_places_of_a_family_are_all_its_series() -> None:
    (metric,) = (metric for metric in METRICS if metric.name == "ingestd_segment_rotations_total")
    assert places_of(metric.name) == tuple(index(metric.name, *values) for values in metric.series)
